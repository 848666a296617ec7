/* SPDX-License-Identifier: Apache-2.0 */
#include "router_rib.h"
#include "router_text.h"
#include <harness/suite.h>
#include <stdio.h>
#include <sys/socket.h>

/*
 * An owner of a RIB that notes what is installed: ports p0, p1... are there or not, gateways
 * 10.N.x.x are in the network of port N.
 */
struct owner {
    struct router_rib rib;
    bool up[8];
    unsigned int room; /* ways that can still be had */
    unsigned int acquired;
    unsigned int n_installs;
    char installed[ROUTER_ECMP_MAX * 24 + 64]; /* the last one: "10.0.0.0/8 via 10.1.0.1 10.2.0.1" */
};

static int owner_locate(void *data, const struct router_nexthop_key *key)
{
    const struct owner *owner = data;
    int port = key->interface[0] ? key->interface[1] - '0' : ((const uint8_t *)&key->gateway)[1];

    if (key->kind == ROUTER_BLACKHOLE)
        return 0;
    return owner->up[port] ? port : -1;
}

static int owner_acquire(void *data, const struct router_nexthop_key *key, struct router_way *way)
{
    struct owner *owner = data;

    if (!owner->room)
        return -ENOBUFS;
    owner->room--;
    owner->acquired++;
    return 0;
}

static void owner_release(void *data, const struct router_way *way)
{
    struct owner *owner = data;

    owner->room++;
    owner->acquired--;
}

static void owner_install(void *data, struct router_prefix *prefix, struct router_nexthop *const *nexthops,
                          unsigned int n)
{
    struct owner *owner = data;
    char network[ROUTER_NETWORK_TEXT], gateway[ROUTER_ADDRESS_TEXT];
    int length = snprintf(owner->installed, sizeof(owner->installed), "%s via",
                          router_network_format(&prefix->network, network));

    for (unsigned int i = 0; i < n; i++) {
        const struct router_nexthop_key *key = &nexthops[i]->key;
        const char *text = key->kind == ROUTER_GATEWAY     ? router_address_format(AF_INET, &key->gateway, gateway)
                           : key->kind == ROUTER_BLACKHOLE ? "blackhole"
                                                           : key->interface;

        length += snprintf(owner->installed + length, sizeof(owner->installed) - (size_t)length, " %s", text);
    }
    owner->n_installs++;
}

static const struct router_rib_ops ops = {
    .locate = owner_locate,
    .acquire = owner_acquire,
    .release = owner_release,
    .install = owner_install,
};

static void owner_open(struct owner *owner)
{
    *owner = (struct owner){.up = {true, true, true, true}, .room = 1000};
    owner->rib = (struct router_rib){.ops = &ops, .data = owner, .capacity = 100};
}

static struct router_network network_of(const char *text)
{
    struct router_network network = {};

    PCN_CHECK_EQ(router_network_parse(text, &network), 0);
    router_network_mask(&network);
    return network;
}

/* "10.1.0.1", "blackhole", or the name of a port. */
static struct router_nexthop_key key_of(const char *text)
{
    struct router_nexthop_key key = {.kind = ROUTER_LOCAL};

    if (pcn_streq(text, "blackhole"))
        key.kind = ROUTER_BLACKHOLE;
    else if (router_address_parse(text, &key.family, &key.gateway, NULL) == 0)
        key.kind = ROUTER_GATEWAY;
    else
        (void)snprintf(key.interface, sizeof(key.interface), "%s", text);
    return key;
}

static int prepare(struct owner *owner, const char *network, const char *nexthop, uint32_t cost,
                   struct router_rib_route **ret_route)
{
    struct router_network to = network_of(network);
    struct router_nexthop_key key = key_of(nexthop);

    return router_rib_prepare(&owner->rib, &to, &key, cost, ROUTER_CONFIGURED, ret_route);
}

static struct router_rib_route *add(struct owner *owner, const char *network, const char *nexthop, uint32_t cost)
{
    struct router_rib_route *route = NULL;

    PCN_CHECK_OK(prepare(owner, network, nexthop, cost, &route));
    if (route)
        router_rib_add(&owner->rib, route);
    return route;
}

/* Everything is given back when all routes are gone. */
static void owner_close(struct owner *owner)
{
    for (struct router_prefix *prefix = owner->rib.prefixes, *next; prefix; prefix = next) {
        next = prefix->hh.next;
        while (prefix->n_routes > 1)
            router_rib_remove(&owner->rib, prefix->routes);
        router_rib_remove(&owner->rib, prefix->routes);
    }
    PCN_CHECK_EQ(owner->acquired, 0);
    PCN_CHECK_EQ(owner->rib.n_routes, 0);
    PCN_CHECK_EQ(owner->rib.n_pending, 0);
    PCN_CHECK(!owner->rib.prefixes);
    PCN_CHECK(!owner->rib.nexthops);
    router_rib_clear(&owner->rib);
}

static void test_network(void)
{
    struct router_network network = network_of("10.1.2.3/9");
    union pcn_address inside, outside;
    char text[ROUTER_NETWORK_TEXT];
    uint16_t family;

    PCN_CHECK_STR(router_network_format(&network, text), "10.0.0.0/9");
    PCN_CHECK_OK(router_address_parse("10.127.255.255", &family, &inside, NULL));
    PCN_CHECK_OK(router_address_parse("10.128.0.0", &family, &outside, NULL));
    PCN_CHECK(router_network_contains(&network, family, &inside));
    PCN_CHECK(!router_network_contains(&network, family, &outside));
    PCN_CHECK(!router_network_contains(&network, AF_INET6, &inside));
    network = network_of("2001:db8::ffff/113");
    PCN_CHECK_STR(router_network_format(&network, text), "2001:db8::8000/113");
    network = network_of("1.2.3.4/0");
    PCN_CHECK_STR(router_network_format(&network, text), "0.0.0.0/0");
    PCN_CHECK_EQ(router_network_parse("10.0.0.0/33", &network), -EINVAL);
    PCN_CHECK_EQ(router_network_parse("10.0.0/8", &network), -EINVAL);
}

static void test_lowest_cost_wins(void)
{
    struct owner owner;
    struct router_rib_route *dear, *cheap;

    owner_open(&owner);
    dear = add(&owner, "20.0.0.0/8", "10.1.0.1", 20);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.1.0.1");
    cheap = add(&owner, "20.0.0.0/8", "10.2.0.1", 10);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.2.0.1");
    PCN_CHECK(cheap->active && !dear->active);
    owner.installed[0] = '\0';
    (void)add(&owner, "20.0.0.0/9", "10.3.0.1", 30);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/9 via 10.3.0.1");
    owner_close(&owner);
}

static void test_next_best_takes_over(void)
{
    struct owner owner;
    struct router_rib_route *best, *second;

    owner_open(&owner);
    best = add(&owner, "20.0.0.0/8", "10.1.0.1", 1);
    (void)add(&owner, "20.0.0.0/8", "10.3.0.1", 3);
    second = add(&owner, "20.0.0.0/8", "10.2.0.1", 2);
    router_rib_remove(&owner.rib, best);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.2.0.1");
    router_rib_set_pathcost(&owner.rib, second, 4);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.3.0.1");
    router_rib_set_pathcost(&owner.rib, second, 1);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.2.0.1");
    owner_close(&owner);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via");
}

static void test_equal_costs_share(void)
{
    struct owner owner;
    struct router_rib_route *one;

    owner_open(&owner);
    one = add(&owner, "20.0.0.0/8", "10.1.0.1", 5);
    (void)add(&owner, "20.0.0.0/8", "10.2.0.1", 5);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.1.0.1 10.2.0.1");
    (void)add(&owner, "20.0.0.0/8", "10.3.0.1", 6);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.1.0.1 10.2.0.1");
    (void)add(&owner, "20.0.0.0/8", "blackhole", 5);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.1.0.1 10.2.0.1");
    router_rib_remove(&owner.rib, one);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.2.0.1");
    owner_close(&owner);
}

static void test_group_has_a_limit(void)
{
    struct owner owner;
    unsigned int n = 0, spaces = 0;

    owner_open(&owner);
    for (int i = 1; i <= ROUTER_ECMP_MAX + 1; i++) {
        char gateway[16];

        (void)snprintf(gateway, sizeof(gateway), "10.1.0.%d", i);
        (void)add(&owner, "20.0.0.0/8", gateway, 5);
    }
    for (const char *c = owner.installed; *c; c++)
        spaces += *c == ' ';
    PCN_CHECK_EQ(spaces, ROUTER_ECMP_MAX + 1);
    for (const struct router_rib_route *route = owner.rib.prefixes->routes; route; route = route->next)
        n += route->active;
    PCN_CHECK_EQ(n, ROUTER_ECMP_MAX);
    owner_close(&owner);
}

static void test_attached_before_gateway(void)
{
    struct owner owner;

    owner_open(&owner);
    (void)add(&owner, "10.1.0.0/16", "10.2.0.1", 0);
    (void)add(&owner, "10.1.0.0/16", "p1", 0);
    PCN_CHECK_STR(owner.installed, "10.1.0.0/16 via p1");
    owner_close(&owner);
}

static void test_blackhole_needs_no_port(void)
{
    struct owner owner;

    owner_open(&owner);
    memset(owner.up, 0, sizeof(owner.up));
    (void)add(&owner, "20.0.0.0/8", "blackhole", 1);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via blackhole");
    owner_close(&owner);
}

static void test_unreachable_gives_way(void)
{
    struct owner owner;
    struct router_rib_route *first;

    owner_open(&owner);
    first = add(&owner, "20.0.0.0/8", "10.1.0.1", 1);
    (void)add(&owner, "20.0.0.0/8", "10.2.0.1", 2);
    owner.up[1] = false;
    router_rib_resolve(&owner.rib);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.2.0.1");
    PCN_CHECK(!first->active);
    PCN_CHECK_EQ(owner.acquired, 1);
    owner.up[2] = false;
    router_rib_resolve(&owner.rib);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via");
    owner.n_installs = 0;
    router_rib_resolve(&owner.rib);
    PCN_CHECK_EQ(owner.n_installs, 0);
    owner.up[1] = owner.up[2] = true;
    router_rib_resolve(&owner.rib);
    PCN_CHECK_STR(owner.installed, "20.0.0.0/8 via 10.1.0.1");
    PCN_CHECK(first->active);
    owner_close(&owner);
}

static void test_no_room_for_a_way(void)
{
    struct router_rib_route *route = NULL;
    struct owner owner;

    owner_open(&owner);
    owner.room = 1;
    (void)add(&owner, "20.0.0.0/8", "10.1.0.1", 1);
    PCN_CHECK_EQ(prepare(&owner, "21.0.0.0/8", "10.2.0.1", 1, &route), -ENOBUFS);
    PCN_CHECK(!route);
    /* One that is there already is shared. */
    (void)add(&owner, "21.0.0.0/8", "10.1.0.1", 1);
    PCN_CHECK_EQ(owner.acquired, 1);
    owner_close(&owner);
}

static void test_prepared_is_not_used(void)
{
    struct router_network network = network_of("20.0.0.0/8");
    struct router_nexthop_key key = key_of("10.1.0.1");
    struct router_rib_route *route = NULL;
    struct owner owner;

    owner_open(&owner);
    PCN_CHECK_OK(prepare(&owner, "20.0.0.0/8", "10.1.0.1", 1, &route));
    PCN_CHECK_EQ(owner.n_installs, 0);
    PCN_CHECK(!router_rib_find(&owner.rib, &network, &key, ROUTER_ANY));
    router_rib_discard(&owner.rib, route);
    PCN_CHECK_EQ(owner.n_installs, 0);
    owner_close(&owner);
}

static void test_limits(void)
{
    struct router_rib_route *routes[100], *more;
    struct owner owner;
    char network[32];

    owner_open(&owner);
    for (int i = 0; i < ROUTER_ROUTES_PER_NETWORK; i++) {
        (void)snprintf(network, sizeof(network), "10.1.0.%d", i + 1);
        PCN_CHECK_OK(prepare(&owner, "20.0.0.0/8", network, 1, &routes[i]));
    }
    PCN_CHECK_EQ(prepare(&owner, "20.0.0.0/8", "10.1.1.1", 1, &more), -E2BIG);
    for (int i = ROUTER_ROUTES_PER_NETWORK; i < 100; i++) {
        (void)snprintf(network, sizeof(network), "20.%d.0.0/16", i);
        PCN_CHECK_OK(prepare(&owner, network, "10.1.0.1", 1, &routes[i]));
    }
    PCN_CHECK_EQ(prepare(&owner, "30.0.0.0/8", "10.1.0.1", 1, &more), -ENOSPC);
    for (int i = 0; i < 100; i++)
        router_rib_discard(&owner.rib, routes[i]);
    owner_close(&owner);
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {"networks are masked, compared and read as they are written", test_network},
        {"of the routes to a network the one of the lowest cost is used", test_lowest_cost_wins},
        {"the next best takes over when a route goes or gets dearer", test_next_best_takes_over},
        {"gateways of the same cost share the traffic, a blackhole does not", test_equal_costs_share},
        {"of more gateways than a group has room for the first are used", test_group_has_a_limit},
        {"an attached network goes before a gateway of the same cost", test_attached_before_gateway},
        {"a blackhole is used without any port", test_blackhole_needs_no_port},
        {"a gateway that cannot be reached gives way, and comes back", test_unreachable_gives_way},
        {"a route that there is no way for is refused, and takes nothing", test_no_room_for_a_way},
        {"a prepared route is not used, and can be taken back", test_prepared_is_not_used},
        {"too many routes, or too many to one network, are refused", test_limits},
    };

    return PCN_SUITE("router_rib", tests);
}
