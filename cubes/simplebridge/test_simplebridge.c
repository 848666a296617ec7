/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path at TC and at XDP, and what it shares with user space: the table. Two ports,
 * 0 and 1: so a flood leaves by the other one. Station n is 02:00:00:00:00:n.
 */
#include "simplebridge.h"
#include <harness/suite.h>
#include <harness/testrun.h>
#include <stdio.h>
#include <sys/mman.h>

#define AGING (300ull * pcn_clock_hz())
#define REFRESH (1ull * pcn_clock_hz())
#define REDIRECTED 4 /* XDP_REDIRECT */

struct bridge {
    struct pcn_fast fast;
    struct simplebridge_table table;
    struct pcn_fast_run run;
    struct pcn_frame sent;
    uint16_t from;
};

static int bridge_open_as(bool xdp, struct pcn_cube_identity identity, struct bridge *bridge)
{
    const struct pcn_fast_spec spec = {.kind = "simplebridge", .xdp = xdp, .n_ports = 2, .identity = identity};
    int r;

    *bridge = (struct bridge){};
    r = pcn_fast_open(&spec, &bridge->fast);
    if (r < 0)
        return r;
    bridge->table.buckets = pcn_fast_memory(&bridge->fast, SIMPLEBRIDGE_FDB, &bridge->table.n_buckets);
    bridge->table.data = pcn_fast_memory(&bridge->fast, SIMPLEBRIDGE_DATA, NULL);
    if (!bridge->table.buckets || !bridge->table.data)
        return -ENOMEM;
    bridge->table.data->seed = 0x1234567;
    bridge->table.data->aging = AGING;
    bridge->table.data->refresh = REFRESH;
    return 0;
}

static int bridge_open(bool xdp, struct bridge *bridge)
{
    return bridge_open_as(xdp, (struct pcn_cube_identity){}, bridge);
}

static void bridge_close(struct bridge *bridge)
{
    if (bridge->table.buckets)
        munmap(bridge->table.buckets, bridge->table.n_buckets * sizeof(struct simplebridge_bucket));
    if (bridge->table.data)
        munmap(bridge->table.data, 4096);
    pcn_fast_close(&bridge->fast);
}

static uint64_t station(unsigned int n)
{
    return 2 | (uint64_t)n << 40;
}

static struct pcn_frame frame_between(const char *source, const char *destination)
{
    return pcn_frame_make(&(struct pcn_frame_spec){.source_mac = source,
                                                   .destination_mac = destination,
                                                   .source = "10.0.0.1",
                                                   .destination = "10.0.0.2",
                                                   .protocol = IPPROTO_UDP,
                                                   .source_port = 1,
                                                   .destination_port = 2,
                                                   .payload_length = 20});
}

static bool give(struct bridge *bridge, uint16_t port, struct pcn_frame frame)
{
    bridge->from = port;
    bridge->sent = frame;
    return PCN_CHECK_OK(pcn_fast_run(&bridge->fast, PCN_INGRESS, port, &bridge->sent, &bridge->run));
}

/* From station to station, 0 being everybody. */
static bool send_to(struct bridge *bridge, uint16_t port, unsigned int source, unsigned int destination)
{
    char from[18], to[18] = "ff:ff:ff:ff:ff:ff";

    simplebridge_mac_format(station(source), from);
    if (destination)
        simplebridge_mac_format(station(destination), to);
    return give(bridge, port, frame_between(from, to));
}

static void check_left_by(const struct bridge *bridge, uint16_t port)
{
    PCN_CHECK_EQ(bridge->run.verdict, PCN_SINK);
    PCN_CHECK_EQ(bridge->run.port, port);
    PCN_CHECK_FRAME(&bridge->run.frame, &bridge->sent);
}

/* XDP: the kernel makes the copies, and the header of those it cannot make stands in front, as metadata. */
static void check_flooded(const struct bridge *bridge)
{
    struct pcn_reinject header;

    if (!bridge->fast.xdp) {
        check_left_by(bridge, 1 - bridge->from);
        return;
    }
    PCN_CHECK_EQ(bridge->run.verdict, REDIRECTED);
    PCN_REQUIRE(bridge->run.frame.length == bridge->sent.length + sizeof(header));
    memcpy(&header, bridge->run.frame.bytes, sizeof(header));
    PCN_CHECK_EQ(header.port, bridge->from);
    PCN_CHECK_EQ(header.flags, PCN_REINJECT_XDP | PCN_REINJECT_FLOOD);
    PCN_CHECK_BYTES(bridge->run.frame.bytes + sizeof(header), bridge->sent.length, bridge->sent.bytes,
                    bridge->sent.length);
}

static void check_dropped(const struct bridge *bridge, uint32_t reason, uint64_t n)
{
    PCN_CHECK_EQ(bridge->run.verdict, pcn_fast_dropped(&bridge->fast));
    PCN_CHECK_EQ(pcn_fast_drops(&bridge->fast, reason), n);
}

static uint64_t *seen_of(const struct bridge *bridge, unsigned int n)
{
    __u64 *slot = simplebridge_table_find(&bridge->table, station(n), NULL);

    return slot ? (uint64_t *)slot + SIMPLEBRIDGE_WAYS : NULL;
}

/* The port of a station; -1: it is not known. */
static int port_of(const struct bridge *bridge, unsigned int n)
{
    __u64 word;

    return simplebridge_table_find(&bridge->table, station(n), &word) ? (int)simplebridge_port(word) : -1;
}

/* A declaration: bridge_ cannot be put in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define EACH_TYPE(bridge_)                                                                                             \
    for (int xdp_ = 0; xdp_ < 2; xdp_++)                                                                               \
        for (_cleanup_(bridge_close) struct bridge bridge_ = {.from = 2}; bridge_.from == 2;)                          \
            if (PCN_CHECK_OK(bridge_open(xdp_, &bridge_)))
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- the fast path ---- */

static void test_learning(void)
{
    EACH_TYPE(bridge)
    {
        uint64_t before = pcn_clock_jiffies();

        send_to(&bridge, 0, 1, 2);
        check_flooded(&bridge);
        PCN_CHECK_EQ(port_of(&bridge, 1), 0);
        PCN_CHECK_EQ(port_of(&bridge, 2), -1);
        PCN_REQUIRE(seen_of(&bridge, 1) != NULL);
        /* User space computes jiffies from its own clock: they are some tenths of a second apart. */
        PCN_CHECK(llabs((long long)(*seen_of(&bridge, 1) - before)) <= pcn_clock_hz());
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
        send_to(&bridge, 0, 1, 2);
        check_left_by(&bridge, 1);
        PCN_CHECK_EQ(pcn_fast_counters(&bridge.fast, 0).packets, 2);
        PCN_CHECK_EQ(pcn_fast_counters(&bridge.fast, 0).bytes, 2 * bridge.sent.length);
        PCN_CHECK_EQ(pcn_fast_counters(&bridge.fast, 1).packets, 1);
        PCN_CHECK_EQ(pcn_fast_counters(&bridge.fast, 1).bytes, bridge.sent.length);
    }
}

static void test_move(void)
{
    EACH_TYPE(bridge)
    {
        send_to(&bridge, 0, 1, 0);
        send_to(&bridge, 1, 1, 0);
        PCN_CHECK_EQ(port_of(&bridge, 1), 1);
        send_to(&bridge, 0, 2, 1);
        check_left_by(&bridge, 1);
    }
}

static void test_ageing(void)
{
    EACH_TYPE(bridge)
    {
        send_to(&bridge, 0, 1, 0);
        PCN_REQUIRE(seen_of(&bridge, 1) != NULL);
        *seen_of(&bridge, 1) = pcn_clock_jiffies() - AGING + 10 * REFRESH;
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
        *seen_of(&bridge, 1) = pcn_clock_jiffies() - AGING - REFRESH;
        send_to(&bridge, 1, 2, 1);
        check_flooded(&bridge);
        /* A packet of its own brings it back. */
        send_to(&bridge, 0, 1, 0);
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
        bridge.table.data->aging = 0;
        send_to(&bridge, 1, 2, 1);
        check_flooded(&bridge);
    }
}

static void test_refresh(void)
{
    EACH_TYPE(bridge)
    {
        uint64_t recent, late;

        send_to(&bridge, 0, 1, 0);
        PCN_REQUIRE(seen_of(&bridge, 1) != NULL);
        bridge.table.data->refresh = 100 * REFRESH;
        recent = pcn_clock_jiffies() - 50 * REFRESH;
        *seen_of(&bridge, 1) = recent;
        send_to(&bridge, 0, 1, 0);
        PCN_CHECK_EQ(*seen_of(&bridge, 1), recent);
        late = pcn_clock_jiffies() - 101 * REFRESH;
        *seen_of(&bridge, 1) = late;
        send_to(&bridge, 0, 1, 0);
        PCN_CHECK(*seen_of(&bridge, 1) - late >= 100 * REFRESH);
    }
}

static void test_static(void)
{
    EACH_TYPE(bridge)
    {
        __u64 *slot = simplebridge_table_reserve(&bridge.table, station(1));

        PCN_REQUIRE(slot != NULL);
        /* Reserved, not yet published: it is not found. */
        send_to(&bridge, 1, 2, 1);
        check_flooded(&bridge);
        simplebridge_table_publish(&bridge.table, slot, station(1), 0);
        slot[SIMPLEBRIDGE_WAYS] = pcn_clock_jiffies() - 2 * AGING;
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
        send_to(&bridge, 1, 1, 0);
        PCN_CHECK_EQ(port_of(&bridge, 1), 0);
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
        bridge.table.data->aging = 0;
        send_to(&bridge, 1, 2, 1);
        check_left_by(&bridge, 0);
    }
}

static void test_same_port(void)
{
    EACH_TYPE(bridge)
    {
        send_to(&bridge, 0, 1, 0);
        send_to(&bridge, 0, 2, 1);
        check_dropped(&bridge, SIMPLEBRIDGE_SAME_PORT, 1);
        PCN_CHECK_EQ(port_of(&bridge, 2), 0);
    }
}

static void test_bad_source(void)
{
    static const char *const sources[] = {"00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff",
                                          "03:00:00:00:00:01"};

    EACH_TYPE(bridge)
    {
        for (size_t i = 0; i < PCN_ARRAY_SIZE(sources); i++) {
            give(&bridge, 0, frame_between(sources[i], "02:00:00:00:00:09"));
            check_dropped(&bridge, SIMPLEBRIDGE_BAD_SOURCE, i + 1);
            PCN_CHECK(!simplebridge_table_find(&bridge.table, simplebridge_mac_parse(sources[i]), NULL));
        }
    }
}

static void test_reserved(void)
{
    EACH_TYPE(bridge)
    {
        char address[18];

        for (unsigned int i = 0; i < 16; i++) {
            (void)snprintf(address, sizeof(address), "01:80:c2:00:00:%02x", i);
            give(&bridge, 0, frame_between("02:00:00:00:00:01", address));
            check_dropped(&bridge, SIMPLEBRIDGE_RESERVED, i + 1);
        }
        PCN_CHECK_EQ(port_of(&bridge, 1), 0);
        give(&bridge, 0, frame_between("02:00:00:00:00:01", "01:80:c2:00:00:10"));
        check_flooded(&bridge);
        PCN_CHECK_EQ(pcn_fast_drops(&bridge.fast, SIMPLEBRIDGE_RESERVED), 16);
    }
}

static void test_flood(void)
{
    static const char *const groups[] = {"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33:33:00:00:00:01",
                                         "02:00:00:00:00:77"};

    EACH_TYPE(bridge)
    {
        for (uint16_t port = 0; port < 2; port++) {
            for (size_t i = 0; i < PCN_ARRAY_SIZE(groups); i++) {
                give(&bridge, port, frame_between("02:00:00:00:00:01", groups[i]));
                check_flooded(&bridge);
            }
        }
        PCN_CHECK_EQ(pcn_fast_drops(&bridge.fast, PCN_DROP_FLOOD), 0);
    }
}

/* With two buckets: a station, beginning with n, that may stand in bucket 0 and in bucket 1. */
static unsigned int two_buckets(const struct bridge *bridge, unsigned int n)
{
    for (;; n++) {
        uint64_t hash = simplebridge_hash(station(n), bridge->table.data->seed);

        if (simplebridge_bucket_of(hash, 0, 1) != simplebridge_bucket_of(hash, 1, 1))
            return n;
    }
}

static void test_full(void)
{
    EACH_TYPE(bridge)
    {
        unsigned int stations[2 * SIMPLEBRIDGE_WAYS + 1], last = 0;

        bridge.table.data->mask = 1;
        for (size_t i = 0; i < PCN_ARRAY_SIZE(stations); i++)
            stations[i] = last = two_buckets(&bridge, last + 1);
        for (size_t i = 0; i < 2 * SIMPLEBRIDGE_WAYS; i++) {
            send_to(&bridge, 0, stations[i], 0);
            PCN_REQUIRE(seen_of(&bridge, stations[i]) != NULL);
            *seen_of(&bridge, stations[i]) = pcn_clock_jiffies() - (i == 5 ? 20 : 10) * REFRESH;
        }
        send_to(&bridge, 1, last, 0);
        for (size_t i = 0; i < PCN_ARRAY_SIZE(stations); i++)
            PCN_CHECK_EQ(port_of(&bridge, stations[i]), i == 5 ? -1 : stations[i] == last);
    }
}

static void test_full_of_static(void)
{
    EACH_TYPE(bridge)
    {
        bridge.table.data->mask = 0;
        for (unsigned int n = 1; n <= SIMPLEBRIDGE_WAYS; n++) {
            __u64 *slot = simplebridge_table_reserve(&bridge.table, station(n));

            PCN_REQUIRE(slot != NULL);
            simplebridge_table_publish(&bridge.table, slot, station(n), 0);
        }
        send_to(&bridge, 1, 9, 1);
        check_left_by(&bridge, 0);
        PCN_CHECK_EQ(port_of(&bridge, 9), -1);
        for (unsigned int n = 1; n <= SIMPLEBRIDGE_WAYS; n++)
            PCN_CHECK_EQ(port_of(&bridge, n), 0);
    }
}

static void test_vlan(void)
{
    const struct pcn_frame_spec spec = {.source_mac = "02:00:00:00:00:02",
                                        .destination_mac = "02:00:00:00:00:01",
                                        .source = "fd00::1",
                                        .destination = "fd00::2",
                                        .protocol = IPPROTO_UDP,
                                        .payload_length = 40,
                                        .vlans = {{.tci = 0x2064}, {.tci = 7}},
                                        .n_vlans = 2};

    EACH_TYPE(bridge)
    {
        send_to(&bridge, 0, 1, 0);
        give(&bridge, 1, pcn_frame_make(&spec));
        check_left_by(&bridge, 0);
        /* Learned for all tags: one table for all VLANs. */
        send_to(&bridge, 0, 1, 2);
        check_left_by(&bridge, 1);
    }
}

/* The kernel gives no program less than an Ethernet header. */
static void test_short(void)
{
    EACH_TYPE(bridge)
    {
        struct pcn_frame frame = frame_between("02:00:00:00:00:02", "02:00:00:00:00:01");

        /* An ethertype that the kernel does not look into. */
        frame.bytes[12] = 0x88;
        frame.bytes[13] = 0xb5;
        send_to(&bridge, 0, 1, 0);
        for (size_t length = ETH_HLEN; length < 40; length++) {
            frame.length = length;
            give(&bridge, 1, frame);
            check_left_by(&bridge, 0);
        }
        PCN_CHECK_EQ(pcn_fast_drops(&bridge.fast, PCN_DROP_MALFORMED), 0);
    }
}

static void test_dry_run(void)
{
    for (int xdp = 0; xdp < 2; xdp++) {
        _cleanup_(bridge_close) struct bridge bridge = {};

        PCN_REQUIRE_OK(bridge_open_as(xdp, (struct pcn_cube_identity){.dry_run = 1}, &bridge));
        send_to(&bridge, 0, 1, 0);
        PCN_CHECK_EQ(port_of(&bridge, 1), -1);
    }
}

/* ---- the table, as user space has it ---- */

struct memory {
    struct simplebridge_bucket buckets[4];
    struct simplebridge_data data;
    struct simplebridge_table table;
};

static void memory_init(struct memory *memory, uint32_t n_buckets)
{
    *memory = (struct memory){.data = {.seed = 42, .aging = AGING, .mask = n_buckets - 1}};
    memory->table = (struct simplebridge_table){memory->buckets, n_buckets, &memory->data};
}

/* As the fast path does, in a slot that the test chooses. */
static __u64 *learned(struct memory *memory, unsigned int slot, unsigned int n, uint16_t port, uint64_t silent)
{
    struct simplebridge_bucket *bucket = &memory->buckets[slot / SIMPLEBRIDGE_WAYS];

    bucket->stations[slot % SIMPLEBRIDGE_WAYS] = simplebridge_station(station(n), port, SIMPLEBRIDGE_VALID);
    bucket->seen[slot % SIMPLEBRIDGE_WAYS] = pcn_clock_jiffies() - silent;
    return &bucket->stations[slot % SIMPLEBRIDGE_WAYS];
}

static void test_mac(void)
{
    char text[18];

    PCN_CHECK_EQ(simplebridge_mac_parse("01:02:03:04:05:06"), 0x060504030201ull);
    simplebridge_mac_format(simplebridge_mac_parse("aA:bb:CC:0d:ee:ff"), text);
    PCN_CHECK_STR(text, "aa:bb:cc:0d:ee:ff");
}

static void test_reserve(void)
{
    struct memory memory;
    __u64 *slots[SIMPLEBRIDGE_WAYS], *oldest;

    memory_init(&memory, 1);
    learned(&memory, 0, 1, 0, 10);
    oldest = learned(&memory, 1, 2, 0, 30);
    learned(&memory, 2, 3, 0, 20);
    slots[0] = simplebridge_table_reserve(&memory.table, station(10));
    PCN_CHECK(slots[0] == &memory.buckets[0].stations[3]);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(10), NULL) == NULL);
    slots[1] = simplebridge_table_reserve(&memory.table, station(11));
    PCN_CHECK(slots[1] == oldest);
    PCN_CHECK(simplebridge_table_reserve(&memory.table, station(10)) == slots[0]);
    slots[2] = simplebridge_table_reserve(&memory.table, station(12));
    slots[3] = simplebridge_table_reserve(&memory.table, station(13));
    PCN_REQUIRE(slots[2] && slots[3]);
    PCN_CHECK(simplebridge_table_reserve(&memory.table, station(14)) == NULL);
    simplebridge_table_release(slots[2]);
    PCN_CHECK(simplebridge_table_reserve(&memory.table, station(14)) == slots[2]);
}

static void test_publish(void)
{
    struct memory memory;
    __u64 *slot, *copy, word;

    memory_init(&memory, 1);
    copy = learned(&memory, 0, 1, 5, 1);
    slot = simplebridge_table_reserve(&memory.table, station(1));
    PCN_REQUIRE(slot && slot != copy);
    /* Until it is published, packets go by what was learned. */
    PCN_CHECK(simplebridge_table_find(&memory.table, station(1), NULL) == copy);
    simplebridge_table_publish(&memory.table, slot, station(1), 1023);
    PCN_CHECK_EQ(*copy, 0);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(1), &word) == slot);
    PCN_CHECK_EQ(simplebridge_port(word), 1023);
    PCN_CHECK(word & SIMPLEBRIDGE_STATIC);
    simplebridge_table_publish(&memory.table, slot, station(1), -1);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(1), NULL) == NULL);
    PCN_CHECK(simplebridge_table_reserve(&memory.table, station(1)) == slot);
}

static void test_fresh(void)
{
    struct memory memory;
    uint64_t now = pcn_clock_jiffies();
    uint32_t age = 99;
    __u64 *slot;

    memory_init(&memory, 1);
    slot = learned(&memory, 0, 1, 0, 0);
    slot[SIMPLEBRIDGE_WAYS] = now - AGING + 1;
    PCN_CHECK(simplebridge_table_is_fresh(&memory.table, *slot, slot, now, &age));
    PCN_CHECK_EQ(age, 299);
    slot[SIMPLEBRIDGE_WAYS] = now - AGING;
    age = 99;
    PCN_CHECK(!simplebridge_table_is_fresh(&memory.table, *slot, slot, now, &age));
    PCN_CHECK_EQ(age, 99);
    /* A packet that came after the clock was read. */
    slot[SIMPLEBRIDGE_WAYS] = now + 5;
    PCN_CHECK(simplebridge_table_is_fresh(&memory.table, *slot, slot, now, &age));
    PCN_CHECK_EQ(age, 0);
    PCN_CHECK(!simplebridge_table_is_fresh(&memory.table, *slot | SIMPLEBRIDGE_STATIC, slot, now, NULL));
    PCN_CHECK(!simplebridge_table_is_fresh(&memory.table, 0, slot, now, NULL));
}

static bool keep_below_5(uint16_t id, void *data)
{
    return id < 5;
}

static void test_sweep(void)
{
    struct memory memory;
    const struct simplebridge_sweep sweep = {.now = pcn_clock_jiffies(), .keep = keep_below_5};
    const struct simplebridge_sweep all = {.now = sweep.now};
    __u64 *kept, *expired, *gone, *copy, *fixed;

    memory_init(&memory, 1);
    kept = learned(&memory, 0, 1, 4, 1);
    expired = learned(&memory, 1, 2, 4, AGING);
    gone = learned(&memory, 2, 3, 5, 1);
    copy = learned(&memory, 3, 1, 3, 1);
    simplebridge_table_sweep(&memory.table, 0, 1, &sweep);
    PCN_CHECK(*kept != 0);
    PCN_CHECK_EQ(*expired, 0);
    PCN_CHECK_EQ(*gone, 0);
    PCN_CHECK_EQ(*copy, 0);
    fixed = simplebridge_table_reserve(&memory.table, station(9));
    PCN_REQUIRE(fixed != NULL);
    simplebridge_table_sweep(&memory.table, 0, 1, &all);
    PCN_CHECK_EQ(*kept, 0);
    PCN_CHECK(*fixed != 0);
}

static void test_sweep_part(void)
{
    struct memory memory;
    const struct simplebridge_sweep all = {.now = pcn_clock_jiffies()};

    memory_init(&memory, 4);
    for (unsigned int bucket = 0; bucket < 4; bucket++)
        learned(&memory, bucket * SIMPLEBRIDGE_WAYS, bucket + 1, 0, 1);
    simplebridge_table_sweep(&memory.table, 3, 2, &all);
    for (unsigned int bucket = 0; bucket < 4; bucket++)
        PCN_CHECK_EQ(memory.buckets[bucket].stations[0] != 0, bucket == 1 || bucket == 2);
}

static void test_forget(void)
{
    struct memory memory;
    __u64 *slot;

    memory_init(&memory, 1);
    PCN_CHECK_EQ(simplebridge_table_forget(&memory.table, station(1)), -ENOENT);
    learned(&memory, 0, 1, 4, 1);
    learned(&memory, 2, 1, 3, 1);
    learned(&memory, 1, 2, 3, 1);
    PCN_CHECK_EQ(simplebridge_table_forget(&memory.table, station(1)), 0);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(1), NULL) == NULL);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(2), NULL) != NULL);
    slot = simplebridge_table_reserve(&memory.table, station(3));
    PCN_REQUIRE(slot != NULL);
    simplebridge_table_publish(&memory.table, slot, station(3), 0);
    PCN_CHECK_EQ(simplebridge_table_forget(&memory.table, station(3)), -ENOENT);
    PCN_CHECK(simplebridge_table_find(&memory.table, station(3), NULL) == slot);
}

static const struct pcn_test tests[] = {
    {"a station is learned, then reached by its port alone", test_learning, .skip = pcn_skip_unless_root},
    {"a station that moved is reached by its new port", test_move, .skip = pcn_skip_unless_root},
    {"a station that was silent for too long is forgotten", test_ageing, .skip = pcn_skip_unless_root},
    {"the time of a station is not written more often than said", test_refresh, .skip = pcn_skip_unless_root},
    {"a configured station neither ages nor moves", test_static, .skip = pcn_skip_unless_root},
    {"what is for a station of the same port is dropped", test_same_port, .skip = pcn_skip_unless_root},
    {"a source that is zero or a group is dropped, not learned", test_bad_source, .skip = pcn_skip_unless_root},
    {"the 16 reserved addresses are dropped, the next is not", test_reserved, .skip = pcn_skip_unless_root},
    {"groups and unknown stations are flooded", test_flood, .skip = pcn_skip_unless_root},
    {"a full table gives up the oldest station", test_full, .skip = pcn_skip_unless_root},
    {"configured stations are never given up", test_full_of_static, .skip = pcn_skip_unless_root},
    {"tagged frames go unchanged, by one table", test_vlan, .skip = pcn_skip_unless_root},
    {"frames down to an Ethernet header are forwarded", test_short, .skip = pcn_skip_unless_root},
    {"a dry run learns nothing", test_dry_run, .skip = pcn_skip_unless_root},
    {"table: MAC addresses are parsed and written", test_mac},
    {"table: a free slot, then the oldest, never a configured one", test_reserve},
    {"table: publishing replaces what was learned", test_publish},
    {"table: a station is fresh until the ageing time", test_fresh},
    {"table: a sweep takes what is expired, gone or double", test_sweep},
    {"table: a sweep of a part wraps, and spares the rest", test_sweep_part},
    {"table: forgetting takes all copies, and no configured one", test_forget},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("simplebridge", tests);
}
