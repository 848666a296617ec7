/* SPDX-License-Identifier: Apache-2.0 */
/* The REST server as ordinary clients use it, over TCP and the unix socket; a mock answers. */
#include "http_mock.h"
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define V1 "/polycube/v1"

static struct http_mock mock;

static int server_start(void)
{
    const struct pcn_http_config config = {
        .address = "localhost", .unix_path = "", .unix_mode = 0600, .body_max = 65536};
    struct pcn_error error = {};
    int r = http_mock_start(&mock, &config, &error);

    if (r < 0)
        printf("cannot start: %s\n", error.message);
    return r;
}

static int server_stop(void)
{
    http_mock_stop(&mock);
    return 0;
}

static struct http_reply ask(const char *method, const char *path, const char *body)
{
    return http_mock_ask(&mock, false, method, path, body, NULL);
}

static struct http_reply ask_with(const char *method, const char *path, const char *header)
{
    const char *const headers[] = {header, NULL};

    return http_mock_ask(&mock, false, method, path, NULL, headers);
}

static void status_is(const char *method, const char *path, const char *body, long status)
{
    struct http_reply reply = ask(method, path, body);

    if (!PCN_CHECK_EQ(reply.status, status))
        printf("    of %s %s: %s %s\n", method, path, reply.error, reply.body);
    http_reply_done(&reply);
}

static json_t *echo(bool unix_socket, const char *method, const char *path, const char *body,
                    const char *const *headers)
{
    struct http_reply reply = http_mock_ask(&mock, unix_socket, method, path, body, headers);
    json_t *json = json_loads(reply.body, JSON_DECODE_ANY, NULL);

    PCN_CHECK_EQ(reply.status, 200);
    PCN_CHECK(json != NULL);
    http_reply_done(&reply);
    return json;
}

static void member_is(const json_t *json, const char *name, const char *expected)
{
    json_t *value = json_object_get(json, name);
    _cleanup_free_ char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    PCN_CHECK_STR(text ? text : "(none)", expected);
}

static void every_verb_reaches_the_submitter(void)
{
    static const char *const verbs[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(verbs); i++) {
        json_t *request = echo(false, verbs[i], V1 "/echo/r1/", NULL, NULL);
        char quoted[16];

        snprintf(quoted, sizeof(quoted), "\"%s\"", verbs[i]);
        member_is(request, "verb", quoted);
        member_is(request, "segments", "[\"echo\",\"r1\"]");
        member_is(request, "body", "(none)");
        json_decref(request);
    }
}

static void keys_are_decoded_within_their_segment(void)
{
    json_t *request = echo(false, "GET", V1 "/echo/10.0.0.0%2F24/a+b/%e2%82%ac", NULL, NULL);

    member_is(request, "segments", "[\"echo\",\"10.0.0.0/24\",\"a b\",\"€\"]");
    json_decref(request);
}

static void bodies_reach_the_submitter_whatever_their_content_type(void)
{
    static const char *const types[] = {"Content-Type: application/json", NULL};
    json_t *request = echo(false, "PATCH", V1 "/echo", "\"DROP\"", NULL);

    member_is(request, "body", "\"DROP\"");
    json_decref(request);
    request = echo(false, "POST", V1 "/echo", " {\"loglevel\":\"debug\", \"a\":[1,true]} ", types);
    member_is(request, "body", "{\"loglevel\":\"debug\",\"a\":[1,true]}");
    json_decref(request);
    /* Of these a body has no meaning. */
    request = echo(false, "DELETE", V1 "/echo", "{}", NULL);
    member_is(request, "body", "(none)");
    json_decref(request);
    request = echo(false, "GET", V1 "/echo", "not even JSON", NULL);
    member_is(request, "body", "(none)");
    json_decref(request);
}

static void a_chunked_body_in_many_pieces_is_put_together(void)
{
    static const char *const chunked[] = {"Transfer-Encoding: chunked", NULL};
    char body[60000], expected[60000 + 8];
    json_t *request;

    memset(body, 'x', sizeof(body) - 1);
    body[0] = body[sizeof(body) - 2] = '"';
    body[sizeof(body) - 1] = '\0';
    strcpy(expected, body);
    request = echo(false, "POST", V1 "/echo", body, chunked);
    member_is(request, "body", expected);
    json_decref(request);
    request = echo(false, "POST", V1 "/echo", body, NULL);
    member_is(request, "body", expected);
    json_decref(request);
}

static void malformed_json_is_400_and_says_where(void)
{
    struct http_reply reply = ask("POST", V1 "/echo", "{\"a\":1,\n\"b\":}");
    size_t submitted = http_mock_submitted(&mock);

    PCN_CHECK_EQ(reply.status, 400);
    PCN_CHECK_HAS(reply.body, "ietf-restconf:errors");
    PCN_CHECK_HAS(reply.body, "line 2, column 5");
    PCN_CHECK_HAS(reply.headers, "Content-Type: application/yang.data+json; charset=utf-8");
    http_reply_done(&reply);
    status_is("PUT", V1 "/echo", "{\"a\":1} x", 400);
    status_is("PATCH", V1 "/echo", "{\"a\":1,\"a\":2}", 400);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted);
}

static void queries_reach_the_submitter(void)
{
    json_t *request = echo(false, "OPTIONS", V1 "/echo?help=SHOW&completion", NULL, NULL);

    member_is(request, "help", "1");
    member_is(request, "completion", "true");
    json_decref(request);
    request = echo(false, "GET", V1 "/echo/?offset=10&limit=5", NULL, NULL);
    member_is(request, "help", "5");
    member_is(request, "completion", "false");
    member_is(request, "offset", "10");
    member_is(request, "limit", "5");
    json_decref(request);
    status_is("GET", V1 "/echo?limit=x", NULL, 400);
    status_is("OPTIONS", V1 "/echo?help=WHAT", NULL, 400);
}

static void conditions_of_edits_reach_the_submitter(void)
{
    static const char *const headers[] = {"If-Match: \"b-7\"", "If-None-Match: *", NULL};
    json_t *request = echo(false, "PUT", V1 "/echo", "1", headers);

    member_is(request, "if-match", "\"\\\"b-7\\\"\"");
    member_is(request, "if-none-match", "\"*\"");
    json_decref(request);
}

static void links_have_the_bound_address(void)
{
    char base[128];
    json_t *request = echo(false, "GET", V1 "/echo", NULL, NULL);

    snprintf(base, sizeof(base), "\"//127.0.0.1:%u/polycube/v1/\"", mock.port);
    member_is(request, "base", base);
    json_decref(request);
    request = echo(true, "GET", V1 "/echo", NULL, NULL);
    member_is(request, "base", base);
    json_decref(request);
}

static void links_of_a_wildcard_address_have_that_of_the_connection(void)
{
    const struct pcn_http_config config = {.address = "0.0.0.0"};
    struct pcn_error error = {};
    struct http_mock other;
    struct http_reply reply;
    char base[128];

    PCN_REQUIRE_OK(http_mock_start(&other, &config, &error));
    snprintf(base, sizeof(base), "\"//127.0.0.1:%u/polycube/v1/\"", other.port);
    reply = http_mock_ask(&other, false, "GET", V1 "/echo", NULL, NULL);
    PCN_CHECK_HAS(reply.body, base);
    http_reply_done(&reply);
    reply = http_mock_ask(&other, false, "GET", V1 "/leaf", NULL, NULL);
    http_reply_done(&reply);
    reply = http_mock_ask(&other, false, "GET", V1 "/leaf", NULL, NULL);
    PCN_CHECK_STR(reply.body, "\"DEBUG\"");
    PCN_CHECK_EQ(http_mock_submitted(&other), 2);
    http_reply_done(&reply);
    http_mock_stop(&other);
}

static void answers_carry_location_and_allow(void)
{
    struct http_reply reply = ask("POST", V1 "/status/308", "{}");

    PCN_CHECK_EQ(reply.status, 308);
    PCN_CHECK_HAS(reply.headers, "Location: /polycube/v1/router/r1/?a=1\r\n");
    PCN_CHECK_HAS(reply.headers, "Content-Type: text/plain; charset=utf-8\r\n");
    PCN_CHECK_STR(reply.body, "some text");
    http_reply_done(&reply);
    reply = ask("POST", V1 "/status/405", "{}");
    PCN_CHECK_EQ(reply.status, 405);
    PCN_CHECK_HAS(reply.headers, "Allow: GET, PATCH\r\n");
    http_reply_done(&reply);
    status_is("POST", V1 "/status/201", "{}", 201);
    status_is("POST", V1 "/status/500", "{}", 500);
}

static void an_empty_answer_has_no_content_type(void)
{
    struct http_reply reply = ask("DELETE", V1 "/bump", NULL);

    PCN_CHECK_EQ(reply.status, 204);
    PCN_CHECK_EQ(http_count(reply.headers, "Content-Type"), 0);
    PCN_CHECK_EQ(reply.length, 0);
    http_reply_done(&reply);
}

static void an_unknown_base_is_404_in_words(void)
{
    static const char *const paths[] = {"/", "/polycube/v2/cubes", "/restconf/data", "/polycube/v1x"};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(paths); i++) {
        struct http_reply reply = ask("GET", paths[i], NULL);

        PCN_CHECK_EQ(reply.status, 404);
        PCN_CHECK_STR(reply.body, "Cannot find a matching route.");
        PCN_CHECK_HAS(reply.headers, "Content-Type: text/plain");
        http_reply_done(&reply);
    }
    status_is("GET", V1, NULL, 200);
    status_is("GET", V1 "/", NULL, 200);
}

static void a_cacheable_answer_is_served_until_something_changes(void)
{
    struct http_reply reply, again;
    size_t submitted;

    status_is("DELETE", V1 "/bump", NULL, 204);
    submitted = http_mock_submitted(&mock);
    reply = ask("GET", V1 "/leaf/one", NULL);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 1);
    again = ask("GET", V1 "/leaf/one", NULL);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 1);
    PCN_CHECK_STR(again.body, reply.body);
    PCN_CHECK_STR(strstr(again.headers, "Content-Type"), strstr(reply.headers, "Content-Type"));
    http_reply_done(&again);
    /* Over the socket it is the same. */
    again = http_mock_ask(&mock, true, "GET", V1 "/leaf/one", NULL, NULL);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 1);
    PCN_CHECK_STR(again.body, "\"DEBUG\"");
    http_reply_done(&again);
    status_is("GET", V1 "/leaf/two", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 2);
    status_is("OPTIONS", V1 "/leaf/one", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 3);
    status_is("DELETE", V1 "/bump", NULL, 204);
    status_is("GET", V1 "/leaf/one", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 5);
    http_reply_done(&reply);
}

static void an_answer_that_a_change_overtook_is_not_served_again(void)
{
    size_t submitted = http_mock_submitted(&mock);

    status_is("GET", V1 "/race", NULL, 200);
    status_is("GET", V1 "/race", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 2);
}

static void other_answers_are_not_cached(void)
{
    size_t submitted = http_mock_submitted(&mock);

    status_is("GET", V1 "/fresh", NULL, 200);
    status_is("GET", V1 "/fresh", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 2);
    status_is("GET", V1 "/big/300000", NULL, 200);
    status_is("GET", V1 "/big/300000", NULL, 200);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 4);
    status_is("GET", V1 "/status/404", NULL, 404);
    status_is("GET", V1 "/status/404", NULL, 404);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 6);
}

static char *etag_of(const struct http_reply *reply)
{
    const char *etag = strstr(reply->headers, "ETag: ");

    return etag ? strndup(etag + 6, strcspn(etag + 6, "\r")) : NULL;
}

static void if_none_match_gives_304_while_the_etag_is_the_same(void)
{
    struct http_reply reply = ask("GET", V1 "/leaf/etag", NULL);
    _cleanup_free_ char *etag = etag_of(&reply);
    char header[128];

    PCN_REQUIRE(etag != NULL);
    http_reply_done(&reply);
    snprintf(header, sizeof(header), "If-None-Match: \"other\", %s", etag);
    reply = ask_with("GET", V1 "/leaf/etag", header);
    PCN_CHECK_EQ(reply.status, 304);
    PCN_CHECK_EQ(reply.length, 0);
    PCN_CHECK_HAS(reply.headers, etag);
    http_reply_done(&reply);
    status_is("DELETE", V1 "/bump", NULL, 204);
    reply = ask_with("GET", V1 "/leaf/etag", header);
    PCN_CHECK_EQ(reply.status, 200);
    PCN_CHECK_STR(reply.body, "\"DEBUG\"");
    http_reply_done(&reply);
    /* What is another one each time is sent: its ETag is for If-Match. */
    reply = ask_with("GET", V1 "/fresh", "If-None-Match: \"fresh\"");
    PCN_CHECK_EQ(reply.status, 200);
    http_reply_done(&reply);
}

static void a_first_304_fills_the_cache(void)
{
    struct http_reply reply;
    size_t submitted;

    status_is("DELETE", V1 "/bump", NULL, 204);
    submitted = http_mock_submitted(&mock);
    reply = ask_with("GET", V1 "/leaf/first", "If-None-Match: *");
    PCN_CHECK_EQ(reply.status, 304);
    http_reply_done(&reply);
    reply = ask("GET", V1 "/leaf/first", NULL);
    PCN_CHECK_EQ(reply.status, 200);
    PCN_CHECK_STR(reply.body, "\"DEBUG\"");
    http_reply_done(&reply);
    PCN_CHECK_EQ(http_mock_submitted(&mock), submitted + 1);
}

static void head_is_get_without_its_body(void)
{
    for (int i = 0; i < 2; i++) { /* uncached, cached */
        struct http_reply reply = ask("HEAD", V1 "/leaf/head", NULL);

        PCN_CHECK_EQ(reply.status, 200);
        PCN_CHECK_HAS(reply.headers, "Content-Length: 7\r\n");
        PCN_CHECK_EQ(reply.length, 0);
        http_reply_done(&reply);
    }
    status_is("HEAD", V1 "/status/404", NULL, 404);
}

static void submit_may_answer_at_once(void)
{
    for (int i = 0; i < 100; i++) {
        struct http_reply reply = ask("GET", V1 "/inline", NULL);

        PCN_CHECK_STR(reply.body, "\"at once\"");
        http_reply_done(&reply);
    }
}

static void the_unix_socket_serves_the_same_api_with_its_mode(void)
{
    struct stat status;
    json_t *request = echo(true, "PATCH", V1 "/echo/x", "3", NULL);

    member_is(request, "verb", "\"PATCH\"");
    member_is(request, "body", "3");
    json_decref(request);
    PCN_REQUIRE(stat(mock.unix_path, &status) == 0);
    PCN_CHECK(S_ISSOCK(status.st_mode));
    PCN_CHECK_EQ(status.st_mode & 07777, 0600);
}

static void a_live_socket_and_a_taken_port_are_refused_with_their_name(void)
{
    struct pcn_http_config config = {.unix_path = mock.unix_path};
    struct pcn_error error = {};
    struct http_mock other;

    PCN_CHECK_EQ(http_mock_start(&other, &config, &error), -EADDRINUSE);
    PCN_CHECK_HAS(error.message, mock.unix_path);
    error = (struct pcn_error){};
    config = (struct pcn_http_config){.address = "127.0.0.1", .port = mock.port};
    PCN_CHECK_EQ(http_mock_start(&other, &config, &error), -EADDRINUSE);
    PCN_CHECK_HAS(error.message, "127.0.0.1 port");
    error = (struct pcn_error){};
    config = (struct pcn_http_config){.address = "256.1.1.1"};
    PCN_CHECK_EQ(http_mock_start(&other, &config, &error), -EADDRNOTAVAIL);
    PCN_CHECK_HAS(error.message, "256.1.1.1");
    /* And the first one is as it was. */
    status_is("GET", V1 "/echo", NULL, 200);
}

static void a_stale_socket_is_replaced_and_other_files_are_not(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pcn_http_config config = {.unix_path = address.sun_path};
    struct pcn_error error = {};
    struct http_mock other;
    FILE *file;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/pcn-test-stale-%d", (int)getpid());
    PCN_CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    close(fd); /* nobody listens, the file stays */
    if (PCN_CHECK_OK(http_mock_start(&other, &config, &error))) {
        struct http_reply reply;

        strcpy(other.unix_path, address.sun_path);
        reply = http_mock_ask(&other, true, "GET", V1 "/echo", NULL, NULL);
        PCN_CHECK_EQ(reply.status, 200);
        PCN_CHECK_HAS(reply.body, "//localhost/polycube/v1/");
        http_reply_done(&reply);
        http_mock_stop(&other);
        PCN_CHECK(access(address.sun_path, F_OK) < 0);
    }
    file = fopen(address.sun_path, "w");
    fclose(file);
    PCN_CHECK_EQ(http_mock_start(&other, &config, &error), -EEXIST);
    PCN_CHECK(access(address.sun_path, F_OK) == 0);
    unlink(address.sun_path);
}

static void settings_without_a_door_are_refused(void)
{
    const struct pcn_http_config config = {.port = 9000};
    struct pcn_error error = {};
    struct http_mock other;

    PCN_CHECK_EQ(http_mock_start(&other, &config, &error), -EINVAL);
    PCN_CHECK(error.message[0] != '\0');
}

struct caller {
    pthread_t thread;
    struct http_reply reply;
    const char *path;
};

static void *caller_run(void *data)
{
    struct caller *caller = data;

    caller->reply = ask("GET", caller->path, NULL);
    return NULL;
}

static void a_slow_answer_holds_up_nobody_else(void)
{
    struct caller caller = {.path = V1 "/echo/slow"};
    size_t submitted;

    status_is("GET", V1 "/leaf/quick", NULL, 200);
    submitted = http_mock_submitted(&mock);
    http_mock_hold(&mock, true);
    pthread_create(&caller.thread, NULL, caller_run, &caller);
    PCN_CHECK(PCN_WAIT(5000, http_mock_submitted(&mock) == submitted + 1));
    for (int i = 0; i < 10; i++) {
        status_is("GET", V1 "/leaf/quick", NULL, 200);
        status_is("GET", V1 "/inline", NULL, 200);
    }
    http_mock_hold(&mock, false);
    pthread_join(caller.thread, NULL);
    PCN_CHECK_EQ(caller.reply.status, 200);
    http_reply_done(&caller.reply);
}

static void stopping_with_requests_out_answers_them_503(void)
{
    const struct pcn_http_config config = {.address = "", .unix_path = NULL};
    struct pcn_error error = {};
    struct http_mock other;
    int fds[8];

    PCN_REQUIRE_OK(http_mock_start(&other, &config, &error));
    http_mock_hold(&other, true);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(fds); i++) {
        static const char request[] = "GET " V1 "/echo HTTP/1.1\r\nHost: h\r\n\r\n";

        fds[i] = http_mock_connect(&other);
        PCN_CHECK(http_raw_send(fds[i], request, sizeof(request) - 1));
    }
    PCN_CHECK(PCN_WAIT(5000, http_mock_submitted(&other) == PCN_ARRAY_SIZE(fds)));
    http_mock_stop(&other);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(fds); i++) {
        bool closed;
        _cleanup_free_ char *text = http_raw_read(fds[i], 0, 5000, &closed);

        PCN_CHECK_HAS(text, "HTTP/1.1 503");
        PCN_CHECK(closed);
        close(fds[i]);
    }
}

static void many_clients_at_once_each_get_their_own_answer(void)
{
    struct caller callers[16];
    char paths[16][32];

    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(callers); i++) {
            snprintf(paths[i], sizeof(paths[i]), V1 "/echo/client-%zu", i);
            callers[i] = (struct caller){.path = paths[i]};
            pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]);
        }
        for (size_t i = 0; i < PCN_ARRAY_SIZE(callers); i++) {
            char segment[32];

            snprintf(segment, sizeof(segment), "\"client-%zu\"", i);
            pthread_join(callers[i].thread, NULL);
            PCN_CHECK_HAS(callers[i].reply.body, segment);
            http_reply_done(&callers[i].reply);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {.name = "every verb reaches the submitter", .run = every_verb_reaches_the_submitter},
        {.name = "keys are decoded within their segment", .run = keys_are_decoded_within_their_segment},
        {.name = "bodies reach the submitter whatever their content type",
         .run = bodies_reach_the_submitter_whatever_their_content_type},
        {.name = "a chunked body in many pieces is put together", .run = a_chunked_body_in_many_pieces_is_put_together},
        {.name = "malformed JSON is 400 and says where", .run = malformed_json_is_400_and_says_where},
        {.name = "queries reach the submitter", .run = queries_reach_the_submitter},
        {.name = "conditions of edits reach the submitter", .run = conditions_of_edits_reach_the_submitter},
        {.name = "links have the bound address", .run = links_have_the_bound_address},
        {.name = "links of a wildcard address have that of the connection",
         .run = links_of_a_wildcard_address_have_that_of_the_connection},
        {.name = "answers carry Location and Allow", .run = answers_carry_location_and_allow},
        {.name = "an empty answer has no content type", .run = an_empty_answer_has_no_content_type},
        {.name = "an unknown base is 404 in words", .run = an_unknown_base_is_404_in_words},
        {.name = "a cacheable answer is served until something changes",
         .run = a_cacheable_answer_is_served_until_something_changes},
        {.name = "an answer that a change overtook is not served again",
         .run = an_answer_that_a_change_overtook_is_not_served_again},
        {.name = "other answers are not cached", .run = other_answers_are_not_cached},
        {.name = "If-None-Match gives 304 while the ETag is the same",
         .run = if_none_match_gives_304_while_the_etag_is_the_same},
        {.name = "a first 304 fills the cache", .run = a_first_304_fills_the_cache},
        {.name = "HEAD is GET without its body", .run = head_is_get_without_its_body},
        {.name = "submit may answer at once", .run = submit_may_answer_at_once},
        {.name = "the unix socket serves the same API, with its mode",
         .run = the_unix_socket_serves_the_same_api_with_its_mode},
        {.name = "a live socket and a taken port are refused with their name",
         .run = a_live_socket_and_a_taken_port_are_refused_with_their_name},
        {.name = "a stale socket is replaced and other files are not",
         .run = a_stale_socket_is_replaced_and_other_files_are_not},
        {.name = "settings without a door are refused", .run = settings_without_a_door_are_refused},
        {.name = "a slow answer holds up nobody else", .run = a_slow_answer_holds_up_nobody_else},
        {.name = "stopping with requests out answers them 503", .run = stopping_with_requests_out_answers_them_503},
        {.name = "many clients at once each get their own answer",
         .run = many_clients_at_once_each_get_their_own_answer},
    };

    return PCN_SUITE("HTTP: server", tests, .setup = server_start, .teardown = server_stop);
}
