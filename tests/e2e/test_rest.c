/* SPDX-License-Identifier: Apache-2.0 */
/* What docs/rest.md says of conditions, redirects, lists in parts and limits. */
#include "e2e.h"
#include <stdio.h>

#define BRIDGE "simplebridge/b"
#define ENTRIES 20

static struct e2e lab;

static int setup(void)
{
    return e2e_open(&lab, 1);
}

static int teardown(void)
{
    return e2e_close(&lab);
}

static void bridge(void)
{
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{\"ports\":[{\"name\":\"p1\",\"peer\":\"v0\"}]}", BRIDGE), 201);
}

/* The value of a header of what a GET gives. Caller frees. */
static char *header_of(const char *path, const char *name)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    const char *value;

    (void)pcn_testd_request(lab.daemon, "GET", path, NULL, &reply);
    value = reply.headers ? strcasestr(reply.headers, name) : NULL;
    if (!value)
        return strdup("");
    value += strlen(name) + 2;
    return strndup(value, strcspn(value, "\r\n"));
}

static int ask_if(const char *method, const char *path, const char *condition, const char *tags, const char *body)
{
    char header[320];

    (void)snprintf(header, sizeof(header), "%s: %s", condition, tags);
    return pcn_testd_request_with(lab.daemon, method, path, header, body, NULL);
}

static void check_loglevel(const char *expected)
{
    json_t *cube = pcn_testd_get(lab.daemon, BRIDGE);

    PCN_CHECK_STR(pcn_json_text(cube, "loglevel"), expected);
    json_decref(cube);
}

static void test_if_match(void)
{
    _cleanup_free_ char *etag = NULL;
    char tags[128];

    bridge();
    etag = header_of(BRIDGE, "etag");
    (void)snprintf(tags, sizeof(tags), "\"other\",%s", etag);
    PCN_CHECK_EQ(ask_if("PATCH", BRIDGE "/loglevel", "If-Match", "\"other\"", "\"DEBUG\""), 412);
    check_loglevel("INFO");
    PCN_CHECK_EQ(ask_if("PATCH", BRIDGE "/loglevel", "If-Match", tags, "\"DEBUG\""), 200);
    PCN_CHECK_EQ(ask_if("PATCH", BRIDGE "/loglevel", "If-Match", tags, "\"ERR\""), 412);
    check_loglevel("DEBUG");
    PCN_CHECK_EQ(ask_if("PUT", "simplebridge/none", "If-Match", "*", "{}"), 412);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "simplebridge/none", NULL, NULL), 404);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_if_none_match(void)
{
    _cleanup_free_ char *etag = NULL;

    PCN_CHECK_EQ(ask_if("PUT", BRIDGE, "If-None-Match", "*", "{}"), 201);
    PCN_CHECK_EQ(ask_if("PUT", BRIDGE, "If-None-Match", "*", "{\"loglevel\":\"TRACE\"}"), 412);
    check_loglevel("INFO");
    PCN_CHECK_EQ(ask_if("PUT", BRIDGE "/ports/p1", "If-None-Match", "*", "{}"), 201);
    PCN_CHECK_EQ(ask_if("PUT", BRIDGE "/ports/p1", "If-None-Match", "*", "{\"peer\":\"v0\"}"), 412);
    etag = header_of(BRIDGE, "etag");
    PCN_CHECK_EQ(ask_if("PATCH", BRIDGE "/loglevel", "If-None-Match", etag, "\"ERR\""), 412);
    PCN_CHECK_EQ(ask_if("PATCH", BRIDGE "/loglevel", "If-None-Match", "\"other\"", "\"ERR\""), 200);
    PCN_CHECK_OK(e2e_clear(&lab));
}

/* 304 is for what only the configuration tells. */
static void test_not_modified(void)
{
    _cleanup_free_ char *etag = NULL;
    struct pcn_frame frame = e2e_broadcast(1);

    bridge();
    etag = header_of(BRIDGE "/loglevel", "etag");
    PCN_CHECK_EQ(ask_if("GET", BRIDGE "/loglevel", "If-None-Match", etag, NULL), 304);
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK(PCN_WAIT(2000, e2e_ask(&lab, "GET", BRIDGE "/fdb/entry/02:00:00:00:00:01", NULL, NULL) == 200));
    PCN_CHECK_EQ(ask_if("GET", BRIDGE "/counters", "If-None-Match", etag, NULL), 200);
    PCN_CHECK_EQ(ask_if("GET", BRIDGE "/fdb/entry", "If-None-Match", etag, NULL), 200);
    PCN_CHECK_EQ(e2e_ask(&lab, "PATCH", BRIDGE "/loglevel", "\"ERR\"", NULL), 200);
    PCN_CHECK_EQ(ask_if("GET", BRIDGE "/loglevel", "If-None-Match", etag, NULL), 200);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void check_location(const char *path, const char *expected)
{
    _cleanup_free_ char *location = header_of(path, "location");

    PCN_CHECK_STR(location, expected);
}

static void test_redirect(void)
{
    bridge();
    check_location("b", "/polycube/v1/simplebridge/b/");
    check_location("b/ports?offset=2&limit=5", "/polycube/v1/simplebridge/b/ports/?offset=2&limit=5");
    check_location("b/fdb/?help=add&completion", "/polycube/v1/simplebridge/b/fdb/?help=ADD&completion");
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_paging(void)
{
    char body[64], path[64];
    json_t *list;

    bridge();
    for (unsigned int i = 0; i < ENTRIES; i++) {
        (void)snprintf(path, sizeof(path), BRIDGE "/fdb/entry/02:00:00:00:01:%02x", i);
        (void)snprintf(body, sizeof(body), "{\"port\":\"p1\"}");
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", path, body, NULL), 201);
    }
    for (unsigned int i = 0; i < ENTRIES; i += 8) {
        list = pcn_testd_get(lab.daemon, BRIDGE "/fdb/entry?offset=%u&limit=8", i);
        PCN_CHECK_EQ(json_array_size(list), PCN_MIN(8u, ENTRIES - i));
        (void)snprintf(path, sizeof(path), "02:00:00:00:01:%02x", i);
        PCN_CHECK_STR(pcn_json_text(list, "0.address"), path);
        json_decref(list);
    }
    list = pcn_testd_get(lab.daemon, BRIDGE "/fdb/entry?offset=%u", ENTRIES);
    PCN_CHECK_EQ(json_array_size(list), 0);
    json_decref(list);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_limits(void)
{
    char deep[2 * 65 + 1], path[40 * 2 + 1] = "";

    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[2 * 65] = '\0';
    PCN_CHECK_EQ(e2e_ask(&lab, "POST", "simplebridge", deep, "nested deeper than 64 levels"), 413);
    for (size_t i = 0; i < 33; i++)
        strcat(path, "a/");
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", path, NULL, "more than 32 segments"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "cubes?limit=0", NULL, "a number from 1"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "cubes?depth=1", NULL, "depth"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "cubes?limit=1&limit=2", NULL, "twice"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "DELETE", BRIDGE "/ports/?filter=name=none", NULL, "of GET"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "DELETE", BRIDGE "/ports/?limit=1", NULL, "of GET"), 400);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "simplebridge/../cubes", NULL, NULL), 400);
}

static const struct pcn_test tests[] = {
    {"If-Match: one of the tags has to be the cube's", test_if_match},
    {"If-None-Match: nothing that exists is overwritten", test_if_none_match},
    {"304 where the configuration tells all, 200 where state is shown", test_not_modified},
    {"a redirect keeps the query", test_redirect},
    {"a list comes in parts, each entry once", test_paging},
    {"what is too deep, too long or unknown is refused", test_limits},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("e2e REST", tests, .setup = setup, .teardown = teardown, .skip = pcn_skip_unless_root);
}
