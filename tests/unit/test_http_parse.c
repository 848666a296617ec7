/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of a request to struct pcn_request: no server. */
#include "http_mock.h"
#include <http/parse.h>
#include <stdio.h>

/* The segments as "a|b|c", "ROUTE" outside the base path, "ERROR <message>" for what is refused. */
static char *parsed(const char *target)
{
    _cleanup_(pcn_request_done) struct pcn_request request = {};
    struct pcn_error error = {};
    int r = pcn_http_parse_url(target, &request, &error);
    char *said = NULL;
    size_t size;
    FILE *out;

    if (r == -ENOENT)
        return strdup(error.tag ? "ROUTE with an error" : "ROUTE");
    if (r < 0)
        return asprintf(&said, "ERROR %s", error.message) < 0 ? NULL : said;
    out = open_memstream(&said, &size);
    for (size_t i = 0; i < request.n_segments; i++)
        fprintf(out, "%s%s", i ? "|" : "", request.segments[i]);
    fclose(out);
    return said;
}

static void gives(const char *target, const char *expected)
{
    _cleanup_free_ char *said = parsed(target);

    if (!PCN_CHECK_STR(said, expected))
        printf("    of %s\n", target);
}

static void refuses(const char *target, const char *part)
{
    _cleanup_free_ char *said = parsed(target);

    if (!PCN_CHECK_HAS(said, "ERROR ") || !PCN_CHECK_HAS(said, part))
        printf("    of %s\n", target);
}

static void segments_are_split_and_decoded_one_by_one(void)
{
    gives("/polycube/v1", "");
    gives("/polycube/v1/", "");
    gives("/polycube/v1/cubes", "cubes");
    gives("/polycube/v1/router/r1/ports/p1/", "router|r1|ports|p1");
    gives("/polycube/v1/r1/route/10.1.0.0%2F16/10.0.0.2/", "r1|route|10.1.0.0/16|10.0.0.2");
    gives("/polycube/v1/a%2fb%3Fc%25/d", "a/b?c%|d");
    gives("/polycube/v1/a+b%20c%2Bd", "a b c+d");
    gives("/polycube/v1/%e2%82%ac/\xc3\xa9", "€|é");
    gives("/polycube/v1/...a/b..", "...a|b..");
    gives("http://host:9000/polycube/v1/cubes/", "cubes");
    gives("HTTPS://[::1]:9000/polycube/v1?help=NONE", "");
}

static void other_paths_are_no_route(void)
{
    gives("/", "ROUTE");
    gives("", "ROUTE");
    gives("*", "ROUTE");
    gives("/polycube", "ROUTE");
    gives("/polycube/v2/cubes", "ROUTE");
    gives("/polycube/v10", "ROUTE");
    gives("/Polycube/v1", "ROUTE");
    gives("//polycube/v1/cubes", "ROUTE");
    gives("http://polycube/v1/", "ROUTE");
    gives("/restconf/data", "ROUTE");
}

static void paths_that_two_readers_may_see_differently_are_refused(void)
{
    refuses("/polycube/v1//", "'//'");
    refuses("/polycube/v1//cubes", "'//'");
    refuses("/polycube/v1/cubes//", "'//'");
    refuses("/polycube/v1/cubes//x", "'//'");
    refuses("/polycube/v1/../v1/cubes", "'..'");
    refuses("/polycube/v1/cubes/..", "'..'");
    refuses("/polycube/v1/cubes/%2e%2E/", "'..'");
    refuses("/polycube/v1/./cubes", "'.'");
    refuses("/polycube/v1/cubes#top", "'#'");
}

static void escapes_and_bytes_that_are_no_text_are_refused(void)
{
    refuses("/polycube/v1/a%00b", "control character %00");
    refuses("/polycube/v1/a%0d%0aSet-Cookie:%20x", "control character %0D");
    refuses("/polycube/v1/%7f", "control character");
    refuses("/polycube/v1/100%", "two hexadecimal digits");
    refuses("/polycube/v1/%4", "two hexadecimal digits");
    refuses("/polycube/v1/%g1/x", "two hexadecimal digits");
    refuses("/polycube/v1/%4/1", "two hexadecimal digits");
    refuses("/polycube/v1/%ff", "UTF-8");
    refuses("/polycube/v1/%c0%af", "UTF-8");       /* '/', overlong */
    refuses("/polycube/v1/%e0%80%af", "UTF-8");    /* the same in three bytes */
    refuses("/polycube/v1/%ed%a0%80", "UTF-8");    /* a surrogate */
    refuses("/polycube/v1/%f4%90%80%80", "UTF-8"); /* above U+10FFFF */
    refuses("/polycube/v1/%e2%82", "UTF-8");       /* cut */
    refuses("/polycube/v1/%e2/%82%ac", "UTF-8");   /* one character over two segments */
    gives("/polycube/v1/%f4%8f%bf%bf%ed%9f%bf%ee%80%80", "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80");
}

static void a_path_has_at_most_32_segments(void)
{
    char target[256] = PCN_HTTP_BASE_PATH;
    _cleanup_free_ char *said = NULL;

    for (int i = 0; i < PCN_REQUEST_SEGMENTS_MAX; i++)
        strcat(target, "/s");
    said = parsed(target);
    PCN_CHECK_EQ(http_count(said, "s"), PCN_REQUEST_SEGMENTS_MAX);
    strcat(target, "/s");
    refuses(target, "more than 32 segments");
}

static void query_members_are_read(void)
{
    struct pcn_request request = {};
    struct pcn_error error = {};

    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_NO_HELP);
    PCN_CHECK(!request.completion);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1?help=SHOW&completion", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_SHOW);
    PCN_CHECK(request.completion);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?completion=false&help=none", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_NONE);
    PCN_CHECK(!request.completion);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?completion=TRUE&&help=%41DD&", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_ADD);
    PCN_CHECK(request.completion);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?help=SET", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_SET);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?help=DEL", &request, &error));
    PCN_CHECK_EQ(request.help, PCN_HELP_DEL);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?offset=0&limit=4294967295", &request, &error));
    PCN_CHECK_EQ(request.page.offset, 0);
    PCN_CHECK_EQ(request.page.limit, UINT32_MAX);
    PCN_REQUIRE_OK(pcn_http_parse_url("/polycube/v1/?filter=src=10.0.0.1,l4proto=TCP&limit=1", &request, &error));
    PCN_CHECK_STR(request.page.filter, "src=10.0.0.1,l4proto=TCP");
    pcn_request_done(&request);
}

static void bad_query_members_are_refused(void)
{
    refuses("/polycube/v1/?help=HELP", "help is 'HELP'; it must be SHOW");
    refuses("/polycube/v1/?help", "help is ''");
    refuses("/polycube/v1/?completion=1", "true or false");
    refuses("/polycube/v1/?offset=-1", "offset is '-1'");
    refuses("/polycube/v1/?offset=", "offset is ''");
    refuses("/polycube/v1/?offset=1e3", "offset");
    refuses("/polycube/v1/?offset=4294967296", "offset");
    refuses("/polycube/v1/?offset=99999999999999999999", "offset");
    refuses("/polycube/v1/?limit=0", "from 1 to 4294967295");
    refuses("/polycube/v1/?limit=+5", "limit is ' 5'");
    refuses("/polycube/v1/?limit=1&limit=2", "limit is given twice");
    refuses("/polycube/v1/?limt=1", "'limt' is unknown");
    refuses("/polycube/v1/?help=SHOW%00", "control character");
    refuses("/polycube/v1/?%ff=1", "UTF-8");
}

static char *body_parsed(const char *text, size_t size)
{
    struct pcn_error error = {};
    json_t *body = NULL;
    char *said = NULL;
    int r = pcn_http_parse_body(text, size, &body, &error);

    if (r < 0)
        return asprintf(&said, "ERROR %d %s", r == -E2BIG ? 413 : 400, error.message) < 0 ? NULL : said;
    said = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("NONE");
    json_decref(body);
    return said;
}

static void body_gives(const char *text, const char *expected)
{
    _cleanup_free_ char *said = body_parsed(text, strlen(text));

    PCN_CHECK_STR(said, expected);
}

static void body_refuses(const char *text, size_t size, const char *part)
{
    _cleanup_free_ char *said = body_parsed(text, size);

    PCN_CHECK_HAS(said, "ERROR ");
    PCN_CHECK_HAS(said, part);
}

static void a_body_is_one_json_value_of_any_type(void)
{
    body_gives("", "NONE");
    body_gives("\"DROP\"", "\"DROP\"");
    body_gives(" 3 ", "3");
    body_gives("true", "true");
    body_gives("[]", "[]");
    body_gives("{\"a\":{\"b\":[1,\"[{,\\\"\"]}}", "{\"a\":{\"b\":[1,\"[{,\\\"\"]}}");
    body_gives("\"\\ud83d\\ude00\"", "\"😀\"");
}

static void malformed_bodies_are_refused_with_the_place(void)
{
    body_refuses("{\"a\":", 5, "line 1, column 5");
    body_refuses("{\n\"a\": 1,\n}", 11, "line 3");
    body_refuses("{\"a\":1}x", 8, "end of file expected");
    body_refuses("{\"a\":1} {}", 10, "end of file expected");
    body_refuses("{\"a\":1,\"a\":2}", 13, "duplicate object key");
    body_refuses("{'a':1}", 7, "not valid JSON");
    body_refuses("\"\xff\"", 3, "not valid JSON");
    body_refuses("\"a\0b\"", 5, "not valid JSON");
    body_refuses("\"\\u0000\"", 8, "not valid JSON");
    body_refuses("18446744073709551616", 20, "too big integer");
    body_refuses("NaN", 3, "not valid JSON");
    body_refuses(" ", 1, "not valid JSON");
    body_refuses("\"\\", 2, "not valid JSON");
}

static void deep_bodies_are_refused_before_they_are_parsed(void)
{
    char text[2 * PCN_HTTP_BODY_DEPTH_MAX + 2] = "";
    _cleanup_free_ char *said = NULL, *million = NULL;
    const size_t size = 1u << 20;

    memset(text, '[', PCN_HTTP_BODY_DEPTH_MAX);
    memset(text + PCN_HTTP_BODY_DEPTH_MAX, ']', PCN_HTTP_BODY_DEPTH_MAX);
    said = body_parsed(text, 2 * PCN_HTTP_BODY_DEPTH_MAX);
    PCN_CHECK_STR(said, text);
    memset(text, '[', PCN_HTTP_BODY_DEPTH_MAX + 1);
    body_refuses(text, PCN_HTTP_BODY_DEPTH_MAX + 1, "ERROR 413 body: nested deeper than 64");
    million = malloc(size);
    memset(million, '[', size);
    body_refuses(million, size, "ERROR 413");
}

static void bodies_of_too_many_values_are_refused(void)
{
    const size_t size = 3 * (PCN_HTTP_BODY_CONTAINERS_MAX + 1) + 1;
    _cleanup_free_ char *text = malloc(size);

    for (size_t i = 0; i < size - 1; i += 3)
        memcpy(text + i, ",{}", 3);
    text[0] = '[';
    text[size - 1] = ']';
    body_refuses(text, size, "ERROR 413 body: more than 1048576 objects");
}

static void etags_are_compared_as_lists(void)
{
    PCN_CHECK(pcn_http_etag_matches("\"a-1\"", "\"a-1\""));
    PCN_CHECK(pcn_http_etag_matches("\"x\", W/\"a-1\" ,\"y\"", "\"a-1\""));
    PCN_CHECK(pcn_http_etag_matches("*", "\"a-1\""));
    PCN_CHECK(!pcn_http_etag_matches("\"a-11\"", "\"a-1\""));
    PCN_CHECK(!pcn_http_etag_matches("\"a-1\"x", "\"a-1\""));
    PCN_CHECK(!pcn_http_etag_matches("a-1", "\"a-1\""));
    PCN_CHECK(!pcn_http_etag_matches("", "\"a-1\""));
    PCN_CHECK(!pcn_http_etag_matches(",,W/", "\"a-1\""));
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {.name = "segments are split and decoded one by one", .run = segments_are_split_and_decoded_one_by_one},
        {.name = "other paths are no route", .run = other_paths_are_no_route},
        {.name = "paths that two readers may see differently are refused",
         .run = paths_that_two_readers_may_see_differently_are_refused},
        {.name = "escapes and bytes that are no text are refused",
         .run = escapes_and_bytes_that_are_no_text_are_refused},
        {.name = "a path has at most 32 segments", .run = a_path_has_at_most_32_segments},
        {.name = "query members are read", .run = query_members_are_read},
        {.name = "bad query members are refused", .run = bad_query_members_are_refused},
        {.name = "a body is one JSON value of any type", .run = a_body_is_one_json_value_of_any_type},
        {.name = "malformed bodies are refused with the place", .run = malformed_bodies_are_refused_with_the_place},
        {.name = "deep bodies are refused before they are parsed",
         .run = deep_bodies_are_refused_before_they_are_parsed},
        {.name = "bodies of too many values are refused", .run = bodies_of_too_many_values_are_refused},
        {.name = "ETags are compared as lists", .run = etags_are_compared_as_lists},
    };

    return PCN_SUITE("HTTP: URL and body", tests);
}
