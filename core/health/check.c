/* SPDX-License-Identifier: Apache-2.0 */
/* How a service is checked, from the model. */
#include "private.h"
#include <stdio.h>

#define INTERVAL 2000 /* defaults of the model */
#define TIMEOUT 1000
#define RISE 2
#define FALL 3

struct pcn_health_check *pcn_health_check_ref(struct pcn_health_check *check)
{
    if (check)
        __atomic_add_fetch(&check->references, 1, __ATOMIC_RELAXED);
    return check;
}

static void check_freep(struct pcn_health_check **ptr)
{
    struct pcn_health_check *check = TAKE_PTR(*ptr);

    if (!check)
        return;
    free(check->http.path);
    free(check->http.host);
    free(check->http.status);
    free(check->udp.payload);
    free(check->udp.expect);
    free(check->script);
    free(check);
}

/* From either thread. */
void pcn_health_check_unrefp(struct pcn_health_check **ptr)
{
    struct pcn_health_check *check = TAKE_PTR(*ptr);

    if (check && !__atomic_sub_fetch(&check->references, 1, __ATOMIC_ACQ_REL))
        check_freep(&check);
}

/* False: there is no memory. */
static bool bytes_copy(uint8_t **ret_copy, const uint8_t *bytes, size_t size)
{
    *ret_copy = NULL;
    if (!size)
        return true;
    *ret_copy = malloc(size);
    if (*ret_copy)
        memcpy(*ret_copy, bytes, size);
    return *ret_copy;
}

static bool text_copy(char **ret_copy, const char *text)
{
    *ret_copy = text ? strdup(text) : NULL;
    return *ret_copy || !text;
}

static int check_copy(const struct pcn_health_check *from, struct pcn_health_check **ret_check)
{
    _cleanup_(check_freep) struct pcn_health_check *check = calloc(1, sizeof(*check));
    bool whole;

    if (!check)
        return -ENOMEM;
    if (from)
        *check = *from;
    else
        *check = (struct pcn_health_check){.interval = INTERVAL, .timeout = TIMEOUT, .rise = RISE, .fall = FALL};
    check->references = 1;
    whole = text_copy(&check->http.path, check->http.path);
    whole = text_copy(&check->http.host, check->http.host) && whole;
    whole = text_copy(&check->http.status, check->http.status) && whole;
    whole = bytes_copy(&check->udp.payload, check->udp.payload, check->udp.payload_size) && whole;
    whole = bytes_copy(&check->udp.expect, check->udp.expect, check->udp.expect_size) && whole;
    whole = text_copy(&check->script, check->script) && whole;
    if (!whole)
        return -ENOMEM;
    *ret_check = TAKE_PTR(check);
    return 0;
}

/* ---- containers of the model ---- */

static enum pcn_health_type type_of(const struct pcn_node *node)
{
    static const char *const names[] = {
        [PCN_HEALTH_NONE] = "NONE",     [PCN_HEALTH_TCP] = "TCP",   [PCN_HEALTH_UDP] = "UDP",
        [PCN_HEALTH_ICMP] = "ICMP",     [PCN_HEALTH_HTTP] = "HTTP", [PCN_HEALTH_HTTPS] = "HTTPS",
        [PCN_HEALTH_SCRIPT] = "SCRIPT",
    };
    const char *text = node ? pcn_node_string(node, "type") : NULL;

    for (size_t i = 0; text && i < PCN_ARRAY_SIZE(names); i++)
        if (pcn_streq(names[i], text))
            return (enum pcn_health_type)i;
    return PCN_HEALTH_NONE;
}

static uint64_t number_of(const struct pcn_node *node, const char *leaf, uint64_t fallback)
{
    return node ? pcn_node_uint(node, leaf, fallback) : fallback;
}

static bool is_set(const struct pcn_node *node, const char *leaf)
{
    return node && pcn_node_bool(node, leaf, false);
}

static const char *string_of(const struct pcn_node *node, const char *leaf)
{
    return node ? pcn_node_string(node, leaf) : NULL;
}

static int read_general(struct pcn_health_check *check, const struct pcn_node *node)
{
    const char *device = string_of(node, "device"), *when = string_of(node, "when-all-down");

    check->type = type_of(node);
    check->port = (uint16_t)number_of(node, "port", 0);
    check->interval = (uint32_t)number_of(node, "interval", INTERVAL);
    check->timeout = (uint32_t)number_of(node, "timeout", TIMEOUT);
    check->rise = (uint8_t)number_of(node, "rise", RISE);
    check->fall = (uint8_t)number_of(node, "fall", FALL);
    check->drop_when_all_down = when && pcn_streq(when, "drop");
    memset(check->device, 0, sizeof(check->device));
    (void)snprintf(check->device, sizeof(check->device), "%s", device ? device : "");
    return 0;
}

static int text_read(char **text, const struct pcn_node *node, const char *leaf)
{
    free(*text);
    return text_copy(text, string_of(node, leaf)) ? 0 : -ENOMEM;
}

static int read_http(struct pcn_health_check *check, const struct pcn_node *node)
{
    const char *method = string_of(node, "method");
    int r;

    check->http.head = method && pcn_streq(method, "HEAD");
    check->http.tls_verify = is_set(node, "tls-verify");
    r = text_read(&check->http.path, node, "path");
    if (r >= 0)
        r = text_read(&check->http.host, node, "host");
    if (r >= 0)
        r = text_read(&check->http.status, node, "status");
    return r;
}

/* Of typedef bytes, whose pattern lets nothing else through. */
static size_t bytes_parse(const char *text, uint8_t *ret_bytes)
{
    size_t n = 0;

    while (*text) {
        char digits[3] = {};

        if (*text != '\\') {
            ret_bytes[n++] = (uint8_t)*text++;
            continue;
        }
        switch (text[1]) {
        case 'x':
            memcpy(digits, text + 2, 2);
            ret_bytes[n++] = (uint8_t)strtoul(digits, NULL, 16);
            text += 4;
            continue;
        case 'r':
            ret_bytes[n++] = '\r';
            break;
        case 'n':
            ret_bytes[n++] = '\n';
            break;
        case 't':
            ret_bytes[n++] = '\t';
            break;
        default:
            ret_bytes[n++] = '\\';
        }
        text += 2;
    }
    return n;
}

static int bytes_read(uint8_t **bytes, size_t *size, const struct pcn_node *node, const char *leaf)
{
    const char *text = string_of(node, leaf);

    free(*bytes);
    *bytes = NULL;
    *size = 0;
    if (!text)
        return 0;
    *bytes = malloc(strlen(text));
    if (!*bytes)
        return -ENOMEM;
    *size = bytes_parse(text, *bytes);
    return 0;
}

static int read_udp(struct pcn_health_check *check, const struct pcn_node *node)
{
    int r = bytes_read(&check->udp.payload, &check->udp.payload_size, node, "payload");

    if (r >= 0)
        r = bytes_read(&check->udp.expect, &check->udp.expect_size, node, "expect");
    check->udp.answer_required = is_set(node, "answer-required");
    return r;
}

int pcn_health_check_read(struct pcn_health_check **check, const char *unit, const struct pcn_node *node)
{
    _cleanup_(check_freep) struct pcn_health_check *copy = NULL;
    int r;

    r = check_copy(*check, &copy);
    if (r < 0)
        return r;
    if (pcn_streq(unit, "http"))
        r = read_http(copy, node);
    else if (pcn_streq(unit, "udp"))
        r = read_udp(copy, node);
    else if (pcn_streq(unit, "script"))
        r = text_read(&copy->script, node, "path");
    else
        r = read_general(copy, node);
    if (r < 0)
        return r;
    pcn_health_check_unrefp(check);
    *check = TAKE_PTR(copy);
    return 0;
}

/* ---- what it may be ---- */

static int validate_status(const char *statuses, const char *path, struct pcn_error *error)
{
    for (const char *dash = statuses; dash && (dash = strchr(dash, '-')); dash++)
        if (strtol(dash - 3, NULL, 10) > strtol(dash + 1, NULL, 10))
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, path,
                                 "http/status %s: %.7s has its ends the wrong way round", statuses, dash - 3);
    return 0;
}

int pcn_health_check_validate(const struct pcn_health_check *check, uint16_t port, const char *path,
                              struct pcn_error *error)
{
    char at[256], text[REASON_MAX];

    if (pcn_health_check_is_none(check))
        return 0;
    (void)snprintf(at, sizeof(at), "%s/health-check", path);
    if (check->timeout > check->interval)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, at,
                             "timeout %u is longer than interval %u: it is as long at most", check->timeout,
                             check->interval);
    if (!check->port && !port && check->type != PCN_HEALTH_ICMP && check->type != PCN_HEALTH_SCRIPT)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, at,
                             "port is missing: the service is of all ports, so it must be said which one is checked");
    if (check->type != PCN_HEALTH_SCRIPT)
        return validate_status(check->http.status, at, error);
    if (!check->script)
        return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, at, "type SCRIPT needs script/path: what is to be run");
    if (script_check(check->script, text) < 0)
        return pcn_error_set(
            error, PCN_ERROR_INVALID_VALUE, at,
            "script/path: %s; it has to be a program that only root can write, in folders of that kind", text);
    return 0;
}

bool pcn_health_check_is_none(const struct pcn_health_check *check)
{
    return !check || check->type == PCN_HEALTH_NONE;
}

static bool text_is_same(const char *a, const char *b)
{
    return a && b ? pcn_streq(a, b) : a == b;
}

static bool bytes_are_same(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    return a_size == b_size && (!a_size || memcmp(a, b, a_size) == 0);
}

bool pcn_health_check_is_same(const struct pcn_health_check *a, const struct pcn_health_check *b)
{
    if (a == b || !a || !b)
        return a == b;
    return a->type == b->type && a->port == b->port && a->interval == b->interval && a->timeout == b->timeout &&
           a->rise == b->rise && a->fall == b->fall && a->drop_when_all_down == b->drop_when_all_down &&
           pcn_streq(a->device, b->device) && a->http.head == b->http.head &&
           a->http.tls_verify == b->http.tls_verify && text_is_same(a->http.path, b->http.path) &&
           text_is_same(a->http.host, b->http.host) && text_is_same(a->http.status, b->http.status) &&
           bytes_are_same(a->udp.payload, a->udp.payload_size, b->udp.payload, b->udp.payload_size) &&
           bytes_are_same(a->udp.expect, a->udp.expect_size, b->udp.expect, b->udp.expect_size) &&
           a->udp.answer_required == b->udp.answer_required && text_is_same(a->script, b->script);
}
