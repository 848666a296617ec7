/* SPDX-License-Identifier: Apache-2.0 */
/* What it takes to change the rules of a firewall that has many, beside a command that does the same to the kernel's. */
#include "acl.h"
#include "bench.h"
#include <harness/netns.h>

#define SEED 1
#define RULES 9900u
#define SAMPLES 15
#define CHAINS 3 /* in turns: none is one of the last two that were in force */
#define ONE "firewall/fw/chain/INGRESS/rule/4000"
#define LIMIT_CHANGE_MS 5
#define LIMIT_FIELD_MS 50
#define LIMIT_REPLACE_MS 200

struct rules_bench {
    struct pcn_testd *daemon;
    struct oracle_rules rules;
    char *cube;
    char *chains[CHAINS];
    struct pcn_netns *kernel;
};

static char *chain_body(const struct oracle_rules *rules)
{
    char *body = NULL;
    size_t size;
    FILE *stream = open_memstream(&body, &size);

    if (!stream)
        return NULL;
    (void)fputs("{\"name\": \"INGRESS\", \"default\": \"DROP\", \"rule\": ", stream);
    acl_json(rules, stream);
    (void)fputs("}", stream);
    (void)fclose(stream);
    return body;
}

static int cube_open(struct rules_bench *bench)
{
    return bench_request(bench->daemon, "POST", "firewall/fw", bench->cube) < 0 ? -EIO : 0;
}

static int cube_close(struct rules_bench *bench)
{
    return bench_request(bench->daemon, "DELETE", "firewall/fw", NULL) < 0 ? -EIO : 0;
}

static int bench_open(struct rules_bench *bench)
{
    static const struct pcn_testd_spec quiet = {.loglevel = "warning"};
    int r = 0;

    for (int i = CHAINS; i-- > 0 && r == 0;) {
        oracle_rules_done(&bench->rules);
        r = oracle_rules_acl(SEED + (uint64_t)i, RULES, 4, &bench->rules);
        bench->chains[i] = r == 0 ? chain_body(&bench->rules) : NULL;
        if (r == 0 && !bench->chains[i])
            return -ENOMEM;
    }
    if (r == 0 && asprintf(&bench->cube,
                           "{\"type\": \"XDP_DRV\", \"loglevel\": \"OFF\", \"accept-established\": \"OFF\", "
                           "\"conntrack\": \"ON\", \"chain\": [%s]}",
                           bench->chains[0]) < 0)
        return -ENOMEM;
    if (r == 0)
        r = pcn_testd_start(&quiet, &bench->daemon);
    return r < 0 ? r : pcn_netns_new("rules", &bench->kernel);
}

static void bench_close(struct rules_bench *bench)
{
    pcn_testd_freep(&bench->daemon);
    pcn_netns_freep(&bench->kernel);
    for (int i = 0; i < CHAINS; i++)
        free(bench->chains[i]);
    free(bench->cube);
    oracle_rules_done(&bench->rules);
}

/* ---- one rule ---- */

/* Each change is another one, so that what the compiler keeps of the rules before does not help with the next. */
static const struct rules_change {
    const char *what;
    const char *body; /* of the number of the change */
} changes[] = {
    {"one of 9,900 rules, another burst", "{\"rate\": 1000, \"burst\": %d}"},
    {"one of 9,900 rules, another port", "{\"dport\": %d}"},
    {"one of 9,900 rules, another source", "{\"src\": \"10.77.%d.0/24\"}"},
};

static double rule_change(struct rules_bench *bench, const struct rules_change *change, int number)
{
    char body[96];

    /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): from the table above */
    (void)snprintf(body, sizeof(body), change->body, number + 10);
    return bench_request(bench->daemon, "PATCH", ONE, body);
}

static int change_measure(struct rules_bench *bench, const struct rules_change *change)
{
    double samples[SAMPLES];

    for (int i = -2; i < SAMPLES; i++) {
        double spent = rule_change(bench, change, i);

        if (spent < 0)
            return -EIO;
        if (i >= 0)
            samples[i] = spent;
    }
    bench_print_ms(change->what, samples, SAMPLES, LIMIT_CHANGE_MS);
    return 0;
}

/* Rules come and go. At the front, all others move, and their ids with them. */
static int place_measure(struct rules_bench *bench, bool last, const char *what, const char *undo, double limit)
{
    double inserted[SAMPLES], deleted[SAMPLES];
    char rule[160], body[32];

    for (unsigned int i = 0; i < SAMPLES; i++) {
        (void)snprintf(
            rule, sizeof(rule),
            "{\"id\": %u, \"src\": \"10.9.%u.0/24\", \"l4proto\": \"TCP\", \"dport\": %u, \"action\": \"ACCEPT\"}",
            last ? RULES + i : 0, i, 1000 + i);
        inserted[i] = bench_request(bench->daemon, "POST", "firewall/fw/chain/INGRESS/insert", rule);
        if (inserted[i] < 0)
            return -EIO;
    }
    for (unsigned int i = SAMPLES; i-- > 0;) {
        (void)snprintf(body, sizeof(body), "{\"id\": %u}", last ? RULES + i : 0);
        deleted[i] = bench_request(bench->daemon, "POST", "firewall/fw/chain/INGRESS/delete", body);
        if (deleted[i] < 0)
            return -EIO;
    }
    bench_print_ms(what, inserted, SAMPLES, limit);
    bench_print_ms(undo, deleted, SAMPLES, limit);
    return 0;
}

/* ---- one rule that is the first to use a field: a program is loaded ---- */

static const struct {
    const char *what;
    const char *body;
} fields[] = {
    {"one of 9,900 rules is the first with a DSCP", "{\"dscp\": \"46\"}"},
    {"one of 9,900 rules is the first with TCP flags", "{\"tcpflags\": \"SYN\"}"},
    {"one of 9,900 rules is the first with a state: tracking begins", "{\"conntrack\": \"NEW\"}"},
};
#define FIELDS PCN_ARRAY_SIZE(fields)
#define FIELD_SAMPLES 5

static int fields_measure(struct rules_bench *bench)
{
    double samples[FIELDS][FIELD_SAMPLES];

    for (int i = 0; i < FIELD_SAMPLES; i++) {
        if (cube_close(bench) < 0 || cube_open(bench) < 0 || rule_change(bench, &changes[1], 0) < 0 ||
            rule_change(bench, &changes[1], 1) < 0)
            return -EIO;
        for (size_t field = 0; field < FIELDS; field++) {
            samples[field][i] = bench_request(bench->daemon, "PATCH", ONE, fields[field].body);
            if (samples[field][i] < 0)
                return -EIO;
        }
    }
    for (size_t field = 0; field < FIELDS; field++)
        bench_print_ms(fields[field].what, samples[field], FIELD_SAMPLES, LIMIT_FIELD_MS);
    return 0;
}

/* ---- all of them ---- */

static int replace_measure(struct rules_bench *bench)
{
    double samples[SAMPLES];

    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = bench_request(bench->daemon, "PUT", "firewall/fw/chain/INGRESS", bench->chains[(i + 1) % CHAINS]);
        if (samples[i] < 0)
            return -EIO;
    }
    bench_print_ms("9,900 rules are replaced by others", samples, SAMPLES, LIMIT_REPLACE_MS);
    return 0;
}

/* ---- the kernel's ---- */

static int kernel_load(struct rules_bench *bench, const char *loader,
                       void (*write)(const struct oracle_rules *, FILE *))
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/many-rules", pcn_sandbox_directory());
    file = fopen(path, "we");
    if (!file)
        return -errno;
    write(&bench->rules, file);
    (void)fclose(file);
    return pcn_netns_must(bench->kernel, "%s %s", loader, path);
}

static int kernel_measure(struct rules_bench *bench, const char *what, const char *command)
{
    struct bench_row row = {.what = what, .unit = "ms", .measure = "ms", .pairs = SAMPLES, .how = "one command"};
    double samples[SAMPLES];

    for (int i = 0; i < SAMPLES; i++) {
        double start = bench_now_ms();

        if (pcn_netns_must(bench->kernel, "%s", command) < 0)
            return -EIO;
        samples[i] = bench_now_ms() - start;
    }
    row.value = bench_figure(samples, SAMPLES);
    bench_print(&row);
    return 0;
}

int bench_rules(void)
{
    struct rules_bench bench = {};
    int r = bench_open(&bench);

    if (r == 0)
        r = cube_open(&bench);
    for (size_t i = 0; i < PCN_ARRAY_SIZE(changes) && r == 0; i++)
        r = change_measure(&bench, &changes[i]);
    if (r == 0)
        r = place_measure(&bench, true, "a rule after 9,900", "the last of 9,900 rules is deleted", LIMIT_CHANGE_MS);
    if (r == 0)
        r = place_measure(&bench, false, "a rule before 9,900", "the first of 9,900 rules is deleted", 0);
    if (r == 0)
        r = kernel_load(&bench, "iptables-legacy-restore <", acl_iptables) ?: kernel_load(&bench, "nft -f", acl_nft);
    if (r == 0)
        r = kernel_measure(&bench, "a rule after 9,900, iptables",
                           "iptables-legacy -A FORWARD -s 10.9.0.0/16 -p tcp --dport 443 -j ACCEPT");
    if (r == 0)
        r = kernel_measure(&bench, "a rule after 9,900, nft",
                           "nft add rule ip filter forward ip saddr 10.9.0.0/16 tcp dport 443 accept");
    if (r == 0)
        r = replace_measure(&bench);
    if (r == 0)
        r = fields_measure(&bench);
    bench_close(&bench);
    return r;
}
