/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/suite.h>
#include <pcn/error.h>

static void every_tag_has_a_name_a_status_and_an_errno(void)
{
    for (enum pcn_error_tag tag = PCN_ERROR_NONE; tag < PCN_ERROR_TAG_MAX; tag++) {
        PCN_CHECK(pcn_error_tag_name(tag) && *pcn_error_tag_name(tag));
        PCN_CHECK(pcn_error_status(tag) >= 400 && pcn_error_status(tag) < 600);
        PCN_CHECK(pcn_error_set(NULL, tag, "", "x") < 0);
    }
    PCN_CHECK_STR(pcn_error_tag_name(PCN_ERROR_DATA_EXISTS), "data-exists");
    PCN_CHECK_EQ(pcn_error_status(PCN_ERROR_DATA_EXISTS), 409);
    PCN_CHECK_STR(pcn_error_tag_name(PCN_ERROR_NOT_FOUND), "invalid-value");
    PCN_CHECK_EQ(pcn_error_status(PCN_ERROR_NOT_FOUND), 404);
    PCN_CHECK_EQ(pcn_error_status(PCN_ERROR_TOO_BIG), 413);
    PCN_CHECK_EQ(pcn_error_status(PCN_ERROR_PRECONDITION), 412);
    PCN_CHECK_EQ(pcn_error_status(PCN_ERROR_NOT_SUPPORTED), 405);
    PCN_CHECK_EQ(pcn_error_set(NULL, PCN_ERROR_IN_USE, "", "x"), -EBUSY);
    PCN_CHECK_EQ(pcn_error_set(NULL, PCN_ERROR_DATA_EXISTS, "", "x"), -EEXIST);
}

static void the_first_error_stays(void)
{
    struct pcn_error error = {};

    PCN_CHECK_EQ(pcn_error_set(&error, PCN_ERROR_DATA_EXISTS, "ports/p", "%s is %d", "p", 1), -EEXIST);
    PCN_CHECK_EQ(pcn_error_set(&error, PCN_ERROR_FAILED, "", "out of memory"), -EEXIST);
    PCN_CHECK_EQ(error.tag, PCN_ERROR_DATA_EXISTS);
    PCN_CHECK_STR(error.path, "ports/p");
    PCN_CHECK_STR(error.message, "p is 1");
}

static void what_is_too_long_is_cut(void)
{
    struct pcn_error error = {};
    char text[2048];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    PCN_CHECK_EQ(pcn_error_set(&error, PCN_ERROR_INVALID_VALUE, text, "%s", text), -EINVAL);
    PCN_CHECK_EQ(strlen(error.path), sizeof(error.path) - 1);
    PCN_CHECK_EQ(strlen(error.message), sizeof(error.message) - 1);
}

static void what_is_said_is_always_utf8(void)
{
    struct pcn_error error = {};

    (void)pcn_error_set(&error, PCN_ERROR_INVALID_VALUE, "a\xff/b", "%.2s|%.3s|%s|%s|%s|%s", "\xe2\x82\xac",
                        "\xe2\x82\xac", "\xed\xa0\x80", "\xc0\xaf", "\xf0\x9f\x98\x80", "\xc3");
    PCN_CHECK_STR(error.path, "a?/b");
    PCN_CHECK_STR(error.message, "??|\xe2\x82\xac|???|??|\xf0\x9f\x98\x80|?");
}

static const struct pcn_test tests[] = {
    {.name = "every tag has a name a status and an errno", .run = every_tag_has_a_name_a_status_and_an_errno},
    {.name = "the first error stays", .run = the_first_error_stays},
    {.name = "what is too long is cut", .run = what_is_too_long_is_cut},
    {.name = "what is said is always utf8", .run = what_is_said_is_always_utf8},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("error", tests);
}
