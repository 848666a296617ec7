/* SPDX-License-Identifier: Apache-2.0 */
#include "model_probe.h"
#include <stdarg.h>
#include <stdio.h>

static const char probe_yang[] = PROBE_MODULE(
    "probe",
    "  uses \"polycube-standard-base:standard-base-yang-module\" {\n"
    "    augment ports {\n"
    "      leaf ip { type string { pattern '[0-9]{1,3}(\\.[0-9]{1,3}){3}'; }\n"
    "                description \"Address of the port\"; polycube-base:cli-example \"10.0.0.1\"; }\n"
    "      leaf vlan { type uint16 { range \"1..4094\"; } default 1; }\n"
    "      leaf sent { type uint64; config false; }\n"
    "      action clear { output { leaf cleared { type boolean; } } }\n"
    "    }\n"
    "  }\n"
    "  leaf mode { type enumeration { enum OPEN; enum Strict; enum off { value 7; } } default OPEN;\n"
    "              description \"What is let through\"; }\n"
    "  leaf target { type union { type uint16 { range \"1..65535\"; } type enumeration { enum any; } } }\n"
    "  leaf code { type string { length \"2..4\"; pattern '[a-z]+'; } polycube-base:cli-example \"abc\"; }\n"
    "  leaf label { type string; }\n"
    "  leaf active { type boolean; default true; }\n"
    "  leaf balance { type int32 { range \"-10..10 | 100\"; } }\n"
    "  leaf ratio { type decimal64 { fraction-digits 2; } }\n"
    "  leaf flag { type empty; }\n"
    "  leaf size { type uint32; default 16; polycube-base:init-only-config; }\n"
    "  leaf-list tag { type string; }\n"
    "  leaf-list number { type uint8; }\n"
    "  leaf uptime { type uint32; config false; }\n"
    "  container limits {\n"
    "    leaf burst { type uint32 { range \"1..1000\"; } default 10; }\n"
    "    leaf rate { type uint64; }\n"
    "    container deep { leaf depth { type uint8; default 1; } leaf note { type string; } }\n"
    "  }\n"
    "  container tls {\n"
    "    presence \"encrypt\";\n"
    "    leaf certificate { type string; mandatory true; }\n"
    "    leaf level { type enumeration { enum low; enum high; } default low; }\n"
    "  }\n"
    "  list rule {\n"
    "    key id;\n"
    "    leaf id { type uint32; description \"Number of the rule\"; }\n"
    "    leaf action { type enumeration { enum drop; enum pass; } mandatory true; description \"What to do\"; }\n"
    "    leaf note { type string; }\n"
    "    leaf weight { type uint8; default 5; }\n"
    "    leaf origin { type string; polycube-base:init-only-config; }\n"
    "    leaf-list via { type string; }\n"
    "    leaf hits { type uint64; config false; }\n"
    "    container when-hit { leaf log { type boolean; default false; } }\n"
    "    list match {\n"
    "      key \"field value\";\n"
    "      leaf field { type enumeration { enum src; enum dst; } }\n"
    "      leaf value { type string; }\n"
    "      leaf negate { type boolean; default false; }\n"
    "    }\n"
    "  }\n"
    "  list learned {\n"
    "    key mac;\n"
    "    leaf mac { type string; }\n"
    "    leaf port { type string; }\n"
    "    leaf age { type uint32; config false; }\n"
    "  }\n"
    "  container stats {\n"
    "    config false;\n"
    "    leaf total { type uint64; }\n"
    "    list per { key id; leaf id { type uint32; } leaf packets { type uint64; } }\n"
    "  }\n"
    "  choice source {\n"
    "    case file { leaf file { type string; } leaf format { type string; } }\n"
    "    case net { leaf url { type string; } }\n"
    "  }\n"
    "  container window {\n"
    "    must \"not(low > high)\" { error-message \"low is above high\"; }\n"
    "    leaf low { type uint32; default 0; }\n"
    "    leaf high { type uint32; default 100; }\n"
    "  }\n"
    "  action reset {\n"
    "    input {\n"
    "      leaf scope { type enumeration { enum all; enum some; } default all; }\n"
    "      leaf count { type uint32 { range \"1..9\"; } mandatory true; }\n"
    "      list item { key name; leaf name { type string; } leaf times { type uint8; default 2; } }\n"
    "    }\n"
    "    output { leaf done { type boolean; } leaf text { type string; } }\n"
    "  }\n"
    "  action quiet;\n");

/* ---- handlers ---- */

char probe_calls[4096];
static char cube_memory;
struct pcn_cube *const probe_cube = (struct pcn_cube *)&cube_memory;

static void record(const char *format, ...) PCN_PRINTF(1, 2);
static void record(const char *format, ...)
{
    size_t used = strlen(probe_calls);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(probe_calls + used, sizeof(probe_calls) - used, format, args);
    va_end(args);
}

static void record_call(const char *what, struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    record("%s%s", what, cube == probe_cube ? "" : " (another cube)");
    for (size_t i = 0; i < n_keys; i++)
        record(" %s", keys[i] ? keys[i] : "(all)");
    record("\n");
}

static int cube_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    pcn_emit_uint(emitter, "uptime", 42);
    return 0;
}

static int ports_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    record_call("state of ports", cube, keys, n_keys);
    pcn_emit_uint(emitter, "sent", UINT64_MAX);
    return 0;
}

static int rule_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    record_call("state of rule", cube, keys, n_keys);
    pcn_emit_uint(emitter, "hits", strtoul(keys[0], NULL, 10) * 10);
    return 0;
}

static int stats_state(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    pcn_emit_uint(emitter, "total", 3);
    pcn_emit_list(emitter, "per");
    for (unsigned int id = 1; id <= 2; id++) {
        pcn_emit_entry(emitter);
        pcn_emit_uint(emitter, "id", id);
        pcn_emit_uint(emitter, "packets", id);
        pcn_emit_end(emitter);
    }
    pcn_emit_end(emitter);
    return 0;
}

/* Stations m0 to m4. */
static int learned_entries(struct pcn_cube *cube, const char *const *keys, size_t n_keys, struct pcn_emitter *emitter)
{
    bool found = n_keys == 0;
    char mac[8];

    record_call("entries of learned", cube, keys, n_keys);
    for (unsigned int i = 0; i < 5; i++) {
        (void)snprintf(mac, sizeof(mac), "m%u", i);
        if (n_keys && !pcn_streq(keys[0], mac))
            continue;
        found = true;
        pcn_emit_entry(emitter);
        pcn_emit_string(emitter, "mac", mac);
        pcn_emit_string(emitter, "port", "p\"1\"");
        pcn_emit_uint(emitter, "age", i);
        pcn_emit_end(emitter);
    }
    return found ? 0 : -ENOENT;
}

static int learned_forget(struct pcn_cube *cube, const char *const *keys, size_t n_keys)
{
    record_call("forget learned", cube, keys, n_keys);
    return keys[0] && !pcn_streq(keys[0], "m1") ? -ENOENT : 0;
}

static int reset_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                        struct pcn_emitter *output, struct pcn_error *error)
{
    const struct pcn_node *item;

    record_call("reset", cube, keys, n_keys);
    record("scope %s count %u\n", pcn_node_string(input, "scope"), (unsigned int)pcn_node_uint(input, "count", 0));
    for (item = pcn_node_first(input, "item"); item; item = pcn_node_next(item))
        record("item %s %u\n", pcn_node_string(item, "name"), (unsigned int)pcn_node_uint(item, "times", 0));
    if (pcn_node_uint(input, "count", 0) == 9)
        return pcn_error_set(error, PCN_ERROR_IN_USE, "", "nine is taken");
    if (pcn_node_uint(input, "count", 0) == 8)
        return -EIO;
    pcn_emit_bool(output, "done", true);
    pcn_emit_string(output, "text", "a\n\"b\\");
    return 0;
}

static int quiet_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                        struct pcn_emitter *output, struct pcn_error *error)
{
    record_call("quiet", cube, keys, n_keys);
    return 0;
}

static int clear_action(struct pcn_cube *cube, const char *const *keys, size_t n_keys, const struct pcn_node *input,
                        struct pcn_emitter *output, struct pcn_error *error)
{
    record_call("clear", cube, keys, n_keys);
    pcn_emit_bool(output, "cleared", true);
    return 0;
}

static const struct pcn_handler handlers[] = {
    {.path = "", .state = cube_state},
    {.path = "ports", .state = ports_state},
    {.path = "ports/clear", .action = clear_action},
    {.path = "rule", .state = rule_state},
    {.path = "learned", .entries = learned_entries, .forget = learned_forget},
    {.path = "stats", .state = stats_state},
    {.path = "reset", .action = reset_action},
    {.path = "quiet", .action = quiet_action},
};

const struct pcn_cube_kind probe_kind = {
    .abi_major = PCN_ABI_MAJOR,
    .size = sizeof(struct pcn_cube_kind),
    .name = "probe",
    .yang = probe_yang,
    .handlers = handlers,
    .n_handlers = PCN_ARRAY_SIZE(handlers),
};

/* ---- the core's state ---- */

static void hook_cube(void *data, struct pcn_emitter *emitter)
{
    pcn_emit_string(emitter, "uuid", "0-1");
    pcn_emit_string(emitter, "service-name", "probe");
}

static void hook_port(void *data, const char *port, struct pcn_emitter *emitter)
{
    pcn_emit_string(emitter, "uuid", port);
    pcn_emit_string(emitter, "status", "UP");
}

static void hook_counters(void *data, struct pcn_emitter *emitter)
{
    pcn_emit_container(emitter, "slow-path");
    pcn_emit_uint(emitter, "shed", 1);
    pcn_emit_end(emitter);
}

const struct pcn_state_hooks probe_config = {};
const struct pcn_state_hooks probe_state = {
    .cube = hook_cube,
    .port = hook_port,
    .counters = hook_counters,
    .cube_instance = (struct pcn_cube *)&cube_memory,
};

/* ---- paths and bodies ---- */

void probe_path(struct probe_path *ret_path, const char *text)
{
    char *at = ret_path->text, *segment;

    ret_path->n = 0;
    (void)snprintf(ret_path->text, sizeof(ret_path->text), "%s", text);
    while ((segment = strsep(&at, "/")) && ret_path->n < PCN_ARRAY_SIZE(ret_path->segments)) {
        if (*segment)
            ret_path->segments[ret_path->n++] = segment;
    }
}
