/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: what one of them does happens wholly or not at all, and what is wrong with one is said. */
#include "e2e.h"

static struct e2e lab;

static int setup(void)
{
    return e2e_open(&lab, 2);
}

static int teardown(void)
{
    return e2e_close(&lab);
}

static size_t count_cubes(void)
{
    json_t *all = pcn_testd_get(lab.daemon, "topology");
    size_t n = all ? json_array_size(all) : SIZE_MAX;

    json_decref(all);
    return n;
}

/* The text of a member of the cube or of what is below it. */
static void check_text(const char *path, const char *member, const char *expected)
{
    json_t *json = pcn_testd_get(lab.daemon, "%s", path);

    PCN_CHECK_STR(pcn_json_text(json, member), expected);
    json_decref(json);
}

static void test_all(void)
{
    PCN_CHECK_EQ(e2e_ask(&lab, "POST", "cubes",
                         "[{\"service-name\":\"simplebridge\",\"name\":\"b1\",\"ports\":["
                         "{\"name\":\"p1\",\"peer\":\"v0\"},{\"name\":\"x\",\"peer\":\"b2:x\"}]},"
                         "{\"service-name\":\"simplebridge\",\"name\":\"b2\",\"ports\":["
                         "{\"name\":\"p1\",\"peer\":\"v1\"},{\"name\":\"x\",\"peer\":\"b1:x\"}]}]",
                         NULL),
                 201);
    check_text("simplebridge/b1/ports/x", "status", "UP");
    check_text("simplebridge/b2/ports/x", "peer", "b1:x");
    struct pcn_frame frame = e2e_broadcast(1);

    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK_OK(pcn_wire_expect(&lab.wires[1], 2000, &frame));
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_nothing(void)
{
    static const struct {
        const char *bad; /* the last cube of the array */
        int status;
        const char *says;
    } cases[] = {
        {"{\"service-name\":\"nope\",\"name\":\"c\"}", 400, "nope"},
        {"{\"service-name\":\"helloworld\"}", 400, "name"},
        {"{\"service-name\":\"helloworld\",\"name\":\"a\"}", 409, "data-exists"},
        {"{\"service-name\":\"helloworld\",\"name\":\"c\",\"nonsense\":1}", 400, "nonsense"},
        {"{\"service-name\":\"helloworld\",\"name\":\"c\",\"action\":\"JUMP\"}", 400, "action"},
        {"{\"service-name\":\"helloworld\",\"name\":\"c\",\"ports\":[{\"name\":\"p\",\"peer\":\"none0\"}]}", 400,
         "peer"},
        {"{\"service-name\":\"helloworld\",\"name\":\"c\",\"ports\":[{\"name\":\"p\",\"peer\":\"v0\"}]}", 409, "peer"},
        {"{\"service-name\":\"helloworld\",\"name\":\"c\",\"type\":\"XDP_SKB\","
         "\"ports\":[{\"name\":\"p\",\"peer\":\"a:free\"}]}",
         400, "XDP"},
        {"7", 400, NULL},
    };

    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        char body[1024];

        snprintf(body, sizeof(body),
                 "[{\"service-name\":\"simplebridge\",\"name\":\"a\",\"ports\":["
                 "{\"name\":\"p1\",\"peer\":\"v0\"},{\"name\":\"free\"}]},%s]",
                 cases[i].bad);
        PCN_CHECK_EQ(e2e_ask(&lab, "POST", "cubes", body, cases[i].says), cases[i].status);
        PCN_CHECK_EQ(count_cubes(), 0);
    }
    /* The device is not held by what did not happen. */
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{\"ports\":[{\"name\":\"p\",\"peer\":\"v0\"}]}", "helloworld/h"), 201);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_refusals(void)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *says;
    } cases[] = {
        {"PATCH", "helloworld/h/type", "\"XDP_SKB\"", 400, "type"},
        {"PATCH", "helloworld/h", "{\"type\":\"XDP_SKB\"}", 400, "type"},
        {"PATCH", "helloworld/h/uuid", "\"x\"", 405, NULL},
        {"PATCH", "helloworld/h", "{\"colour\":\"red\"}", 400, "colour"},
        {"PATCH", "helloworld/h/action", "7", 400, "action"},
        {"PATCH", "helloworld/h/action", "{}", 400, "action"},
        {"PATCH", "helloworld/h/action", "{", 400, NULL},
        {"PATCH", "helloworld/h/shadow", "\"perhaps\"", 400, "shadow"},
        {"POST", "helloworld/h/ports/p1", "{\"ip\":\"1.2.3.4\"}", 400, "ip"},
        {"POST", "helloworld/h/ports/p1", "{\"peer\":5}", 400, "peer"},
        {"POST", "helloworld/h/ports/p1", "[]", 400, NULL},
        {"POST", "helloworld/h/ports/p1", "{\"name\":\"p2\"}", 400, "name"},
        {"POST", "helloworld/h", "{}", 409, "data-exists"},
        {"DELETE", "helloworld/h/ports/p1", NULL, 409, "data-missing"},
        {"DELETE", "helloworld/none", NULL, 409, "none"},
        {"PATCH", "helloworld/none", "{}", 409, "none"},
        {"GET", "helloworld/none", NULL, 404, "none"},
        {"GET", "helloworld/h/nothing", NULL, 404, "nothing"},
        {"GET", "nobody/h", NULL, 404, "nobody"},
        {"POST", "helloworld/h/action", "\"DROP\"", 405, NULL},
        {"DELETE", "version", NULL, 405, NULL},
        {"POST", "simpleforwarder/s/actions/p1", "{\"outport\":\"p2\"}", 400, "action"},
    };

    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{}", "helloworld/h"), 201);
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{}", "simpleforwarder/s"), 201);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(cases); i++) {
        int status = e2e_ask(&lab, cases[i].method, cases[i].path, cases[i].body, cases[i].says);

        if (status != cases[i].status)
            printf("    %s %s %s:\n", cases[i].method, cases[i].path, cases[i].body ?: "");
        PCN_CHECK_EQ(status, cases[i].status);
    }
    check_text("helloworld/h", "action", "DROP");
    check_text("helloworld/h", "type", "TC");
    PCN_CHECK_OK(e2e_clear(&lab));
}

static void test_verbs(void)
{
    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{\"action\":\"FORWARD\",\"loglevel\":\"debug\"}", "helloworld/h"), 201);
    PCN_CHECK_EQ(e2e_ask(&lab, "PATCH", "helloworld/h", "{\"loglevel\":\"WARN\"}", NULL), 201);
    check_text("helloworld/h", "action", "FORWARD");
    PCN_CHECK_EQ(e2e_ask(&lab, "PATCH", "helloworld/h/action", "\"slowpath\"", NULL), 200);
    check_text("helloworld/h", "action", "SLOWPATH");
    /* Replaced: what is not given has its default again. */
    PCN_CHECK_EQ(e2e_ask(&lab, "PUT", "helloworld/h", "{\"loglevel\":\"ERR\"}", NULL), 201);
    check_text("helloworld/h", "action", "DROP");
    check_text("helloworld/h", "loglevel", "ERR");

    PCN_CHECK_EQ(
        e2e_ask(&lab, "POST", "helloworld/h/ports", "[{\"name\":\"p1\",\"peer\":\"v0\"},{\"name\":\"p2\"}]", NULL),
        201);
    /* One of them exists: the other one does not come to be. */
    PCN_CHECK_EQ(e2e_ask(&lab, "POST", "helloworld/h/ports", "[{\"name\":\"p3\"},{\"name\":\"p2\"}]", "p2"), 409);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "helloworld/h/ports/p3", NULL, NULL), 404);
    PCN_CHECK_EQ(e2e_ask(&lab, "PUT", "helloworld/h/ports", "[{\"name\":\"p9\",\"peer\":\"v1\"}]", NULL), 201);
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "helloworld/h/ports/p1", NULL, NULL), 404);
    check_text("helloworld/h/ports/p9", "status", "UP");
    PCN_CHECK_EQ(e2e_ask(&lab, "DELETE", "helloworld/h/ports/p9", NULL, NULL), 204);
    PCN_CHECK_EQ(e2e_ask(&lab, "DELETE", "helloworld/h", NULL, NULL), 204);
    PCN_CHECK_EQ(count_cubes(), 0);
}

/* The value of a header of the reply, with its line's end cut off. */
static void header_value(const struct pcn_reply *reply, const char *name, char *ret_value, size_t size)
{
    const char *at = reply->headers ? strcasestr(reply->headers, name) : NULL;

    ret_value[0] = '\0';
    if (!at)
        return;
    at += strlen(name);
    snprintf(ret_value, size, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static void test_etag(void)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    char etag[128], header[160];

    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{}", "helloworld/h"), 201);
    PCN_CHECK_EQ(pcn_testd_request(lab.daemon, "GET", "helloworld/h", NULL, &reply), 200);
    header_value(&reply, "etag: ", etag, sizeof(etag));
    PCN_REQUIRE(etag[0] == '"');
    snprintf(header, sizeof(header), "If-Match: %s", etag);
    PCN_CHECK_EQ(pcn_testd_request_with(lab.daemon, "PATCH", "helloworld/h/action", header, "\"FORWARD\"", NULL), 200);
    /* It has changed since. */
    PCN_CHECK_EQ(pcn_testd_request_with(lab.daemon, "PATCH", "helloworld/h/action", header, "\"DROP\"", NULL), 412);
    PCN_CHECK_EQ(pcn_testd_request_with(lab.daemon, "DELETE", "helloworld/h", header, NULL, NULL), 412);
    check_text("helloworld/h", "action", "FORWARD");
    PCN_CHECK_EQ(pcn_testd_request_with(lab.daemon, "DELETE", "helloworld/h", "If-Match: *", NULL, NULL), 204);
}

static void test_redirect(void)
{
    _cleanup_(pcn_reply_done) struct pcn_reply reply = {};
    char location[256];

    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{}", "simpleforwarder/s"), 201);
    PCN_CHECK_EQ(pcn_testd_request(lab.daemon, "POST", "s/ports/p%2F1", "{}", &reply), 308);
    header_value(&reply, "location: ", location, sizeof(location));
    PCN_CHECK_STR(location, "/polycube/v1/simpleforwarder/s/ports/p%2F1/");
    PCN_CHECK_OK(pcn_testd_ctl_must(lab.daemon, "s ports add p1"));
    check_text("simpleforwarder/s/ports/p1", "status", "DOWN");
    PCN_CHECK_EQ(e2e_ask(&lab, "GET", "nobody", NULL, "No cube found named nobody"), 404);
    PCN_CHECK_OK(e2e_clear(&lab));
}

/* The pins of the daemon's programs: a program that is loaded anew has another inode. */
static int list_programs(struct pcn_output *ret_output)
{
    return pcn_netns_run(NULL, ret_output, "find %s -name 'prog_*' -printf '%%p %%i\n' | sort",
                         pcn_testd_bpffs(lab.daemon));
}

static void test_loglevel(void)
{
    struct pcn_frame frame = e2e_broadcast(7);
    _cleanup_free_ char *before = NULL;
    _cleanup_(pcn_output_done) struct pcn_output programs = {}, later = {};

    PCN_CHECK_EQ(pcn_testd_post(lab.daemon, "{\"ports\":[{\"name\":\"p\",\"peer\":\"v0\"}]}", "helloworld/talker"),
                 201);
    PCN_CHECK_EQ(list_programs(&programs), 0);
    PCN_CHECK(programs.length > 0);
    PCN_CHECK_OK(pcn_wire_send(&lab.wires[0], &frame));
    PCN_CHECK_EQ(e2e_ask(&lab, "PATCH", "helloworld/talker/loglevel", "\"DEBUG\"", NULL), 200);
    before = pcn_testd_log(lab.daemon);
    PCN_CHECK(!strstr(before, "[INGRESS] Receiving packet from port 0"));
    PCN_CHECK(PCN_WAIT(2000, pcn_wire_send(&lab.wires[0], &frame) == 0 &&
                                 pcn_testd_logged(lab.daemon, "[INGRESS] Receiving packet from port 0", 50)));
    PCN_CHECK_EQ(list_programs(&later), 0);
    PCN_CHECK_STR(later.text, programs.text);
    PCN_CHECK_OK(e2e_clear(&lab));
}

static const struct pcn_test tests[] = {
    {"cubes, ports and links of one request come to be together", test_all},
    {"a request with one bad cube leaves nothing", test_nothing},
    {"a refusal has its status and names what was wrong", test_refusals},
    {"POST creates, PUT replaces, PATCH changes, DELETE removes", test_verbs},
    {"If-Match holds off who has not seen the last change", test_etag},
    {"a path that begins with a cube is redirected to its service", test_redirect},
    {"a change of log level shows at once, by the same programs", test_loglevel},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("e2e transaction", tests, .setup = setup, .teardown = teardown, .skip = pcn_skip_unless_root);
}
