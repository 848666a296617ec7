/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours. One that is unknown is asked for, by ARP or neighbour solicitation, ROUTER_ASKED_MAX
 * times, a second apart; a few of the packets for it wait meanwhile, and are answered by "host unreachable"
 * if nobody answers. One that was not heard for the ageing time is asked again if packets went to it, by
 * unicast, while they go on; or else it is forgotten.
 */
#include "router.h"
#include <sys/socket.h>

#define ASK_MS 950    /* between two requests: a tick, which may come a little early */
#define SWEEP_MIN 64u /* slots looked at in a tick */

static uint8_t version_of(uint16_t family)
{
    return family == AF_INET ? 4 : 6;
}

static uint64_t link_of(const struct router_neigh *neigh)
{
    uint64_t link = 0;

    memcpy(&link, neigh->mac, ETH_ALEN);
    return link | (uint64_t)neigh->state << ROUTER_LINK_STATE_SHIFT;
}

/* Exists already, so that it cannot fail. */
static void neigh_write(struct router *router, const struct router_neigh *neigh)
{
    uint32_t number;

    (void)router_fib_neighbour_set(router->fib, version_of(neigh->family), &neigh->address, neigh->port, link_of(neigh),
                                   &number);
}

static bool is_loose(const struct router_neigh *neigh)
{
    return neigh->state == ROUTER_NEIGHBOUR_INCOMPLETE && !neigh->holds;
}

static void set_state(struct router *router, struct router_neigh *neigh, enum router_neighbour_state state)
{
    router->n_incomplete -= is_loose(neigh);
    neigh->state = (uint8_t)state;
    router->n_incomplete += is_loose(neigh);
    neigh_write(router, neigh);
}

/* ---- packets that wait ---- */

static void waiting_drop_first(struct router_neigh *neigh)
{
    free(neigh->waiting[0].frame);
    neigh->n_waiting--;
    memmove(&neigh->waiting[0], &neigh->waiting[1], neigh->n_waiting * sizeof(neigh->waiting[0]));
}

static void waiting_add(struct router_neigh *neigh, uint16_t in, const uint8_t *frame, size_t length)
{
    uint8_t *copy = malloc(length);

    if (!copy)
        return;
    memcpy(copy, frame, length);
    /* The newest are kept: their senders still wait. */
    if (neigh->n_waiting == ROUTER_WAITING_MAX)
        waiting_drop_first(neigh);
    neigh->waiting[neigh->n_waiting++] = (struct router_waiting){.frame = copy, .length = length, .port = in};
}

static void waiting_send(struct router *router, struct router_neigh *neigh)
{
    while (neigh->n_waiting) {
        const struct router_waiting *packet = &neigh->waiting[0];

        router_forward(router, neigh, packet->port, packet->frame, packet->length);
        waiting_drop_first(neigh);
    }
}

static void waiting_refuse(struct router *router, struct router_neigh *neigh)
{
    while (neigh->n_waiting) {
        const struct router_waiting *packet = &neigh->waiting[0];

        router_refuse(router, packet->port, packet->frame, packet->length, ROUTER_HOST_UNREACHABLE, 0);
        waiting_drop_first(neigh);
    }
}

/* ---- asking ---- */

static void asking_link(struct router *router, struct router_neigh *neigh)
{
    neigh->prev = router->asking_last;
    neigh->next = NULL;
    if (router->asking_last)
        router->asking_last->next = neigh;
    else
        router->asking = neigh;
    router->asking_last = neigh;
}

static void asking_unlink(struct router *router, struct router_neigh *neigh)
{
    if (neigh->prev)
        neigh->prev->next = neigh->next;
    else
        router->asking = neigh->next;
    if (neigh->next)
        neigh->next->prev = neigh->prev;
    else
        router->asking_last = neigh->prev;
    neigh->asked = 0;
}

static void send_request(struct router *router, struct router_neigh *neigh)
{
    const struct router_interface *interface = router->interfaces[neigh->port];
    struct router_ends ends = {.destination = neigh->address};
    const struct router_address *source;
    uint8_t frame[ROUTER_FRAME_MAX];

    neigh->asked++;
    neigh->asked_at = pcn_clock_ms();
    if (!interface)
        return;
    source = router_source(interface, neigh->family, &neigh->address);
    if (source)
        ends.source = source->address;
    memcpy(ends.source_mac, interface->mac, ETH_ALEN);
    if (neigh->state == ROUTER_NEIGHBOUR_STALE)
        memcpy(ends.destination_mac, neigh->mac, ETH_ALEN);
    (void)pcn_cube_send(router->cube, interface->id, PCN_EGRESS, frame,
                        router_request_build(neigh->family, &ends, frame));
}

void router_neigh_ask(struct router *router, struct router_neigh *neigh)
{
    if (neigh->asked)
        return;
    asking_link(router, neigh);
    send_request(router, neigh);
}

/* ---- coming and going ---- */

struct router_neigh *router_neigh_find(const struct router *router, uint16_t family, const union pcn_address *address,
                                       uint16_t port)
{
    uint32_t number = router_fib_neighbour_find(router->fib, version_of(family), address, port);

    return number ? router->neighbours[number] : NULL;
}

static int neigh_new(struct router *router, uint16_t family, const union pcn_address *address, uint16_t port,
                     uint32_t holds, struct router_neigh **ret_neigh)
{
    struct router_neigh *neigh = calloc(1, sizeof(*neigh));

    if (!neigh)
        return -ENOMEM;
    neigh->address = *address;
    neigh->family = family;
    neigh->port = port;
    neigh->state = ROUTER_NEIGHBOUR_INCOMPLETE;
    neigh->holds = holds;
    if (router_fib_neighbour_set(router->fib, version_of(family), address, port, link_of(neigh), &neigh->number) < 0) {
        free(neigh);
        return -ENOBUFS;
    }
    router->neighbours[neigh->number] = neigh;
    router->n_incomplete += is_loose(neigh);
    *ret_neigh = neigh;
    return 0;
}

static void neigh_free(struct router *router, struct router_neigh *neigh)
{
    if (neigh->asked)
        asking_unlink(router, neigh);
    while (neigh->n_waiting)
        waiting_drop_first(neigh);
    router->n_incomplete -= is_loose(neigh);
    router->neighbours[neigh->number] = NULL;
    router_fib_neighbour_delete(router->fib, neigh->number);
    free(neigh);
}

void router_neigh_forget(struct router *router, struct router_neigh *neigh)
{
    if (!neigh->holds) {
        neigh_free(router, neigh);
        return;
    }
    if (neigh->asked)
        asking_unlink(router, neigh);
    while (neigh->n_waiting)
        waiting_drop_first(neigh);
    memset(neigh->mac, 0, sizeof(neigh->mac));
    set_state(router, neigh, ROUTER_NEIGHBOUR_INCOMPLETE);
}

int router_neigh_hold(struct router *router, uint16_t family, const union pcn_address *address, uint16_t port,
                      struct router_neigh **ret_neigh)
{
    struct router_neigh *neigh = router_neigh_find(router, family, address, port);

    if (!neigh)
        return neigh_new(router, family, address, port, 1, ret_neigh);
    router->n_incomplete -= is_loose(neigh);
    neigh->holds++;
    *ret_neigh = neigh;
    return 0;
}

void router_neigh_release(struct router *router, struct router_neigh *neigh)
{
    neigh->holds--;
    if (neigh->holds)
        return;
    router->n_incomplete += is_loose(neigh);
    if (neigh->state == ROUTER_NEIGHBOUR_INCOMPLETE && !neigh->asked)
        neigh_free(router, neigh);
}

struct router_neigh *router_neigh_for_packet(struct router *router, uint16_t family, const union pcn_address *address,
                                             uint16_t port)
{
    struct router_neigh *neigh = router_neigh_find(router, family, address, port);

    if (neigh)
        return neigh;
    /* Whoever scans a network fills half of the table at most. */
    if (router->n_incomplete >= router->n_neighbours / 2 || neigh_new(router, family, address, port, 0, &neigh) < 0)
        return NULL;
    return neigh;
}

/* ---- what is heard ---- */

void router_neigh_set_static(struct router *router, struct router_neigh *neigh, const uint8_t mac[ETH_ALEN])
{
    if (neigh->asked)
        asking_unlink(router, neigh);
    memcpy(neigh->mac, mac, ETH_ALEN);
    set_state(router, neigh, ROUTER_NEIGHBOUR_STATIC);
    waiting_send(router, neigh);
}

void router_neigh_heard(struct router *router, struct router_neigh *neigh, const uint8_t mac[ETH_ALEN], bool confirmed)
{
    bool changed = memcmp(neigh->mac, mac, ETH_ALEN) != 0;

    if (neigh->state == ROUTER_NEIGHBOUR_STATIC)
        return;
    if (!confirmed && !changed && neigh->state != ROUTER_NEIGHBOUR_INCOMPLETE)
        return;
    memcpy(neigh->mac, mac, ETH_ALEN);
    neigh->heard = pcn_clock_ms();
    if (neigh->asked)
        asking_unlink(router, neigh);
    set_state(router, neigh, ROUTER_NEIGHBOUR_REACHABLE);
    waiting_send(router, neigh);
}

void router_neigh_send(struct router *router, struct router_neigh *neigh, uint16_t in, const uint8_t *frame,
                       size_t length)
{
    if (neigh->state != ROUTER_NEIGHBOUR_INCOMPLETE) {
        router_forward(router, neigh, in, frame, length);
        return;
    }
    waiting_add(neigh, in, frame, length);
    router_neigh_ask(router, neigh);
}

/* ---- time ---- */

static void asked_in_vain(struct router *router, struct router_neigh *neigh)
{
    waiting_refuse(router, neigh);
    router_neigh_forget(router, neigh);
}

static bool was_used(const struct router *router, const struct router_neigh *neigh)
{
    uint64_t used = __atomic_load_n(&router->slots[neigh->number].used, __ATOMIC_RELAXED);

    return used && pcn_clock_jiffies() - used < (uint64_t)router->aging * pcn_clock_hz();
}

static void neigh_age(struct router *router, struct router_neigh *neigh, uint64_t now)
{
    if (neigh->state != ROUTER_NEIGHBOUR_REACHABLE || now - neigh->heard < (uint64_t)router->aging * 1000)
        return;
    if (!was_used(router, neigh)) {
        router_neigh_forget(router, neigh);
        return;
    }
    set_state(router, neigh, ROUTER_NEIGHBOUR_STALE);
    router_neigh_ask(router, neigh);
}

void router_neigh_tick(struct router *router)
{
    /* The whole table in a quarter of the ageing time. */
    uint32_t n = router->n_neighbours / PCN_MAX(router->aging / 4, 1u);
    struct router_neigh *neigh, *next;
    uint64_t now = pcn_clock_ms();

    for (neigh = router->asking; neigh; neigh = next) {
        next = neigh->next;
        if (now - neigh->asked_at < ASK_MS)
            continue;
        if (neigh->asked < ROUTER_ASKED_MAX)
            send_request(router, neigh);
        else
            asked_in_vain(router, neigh);
    }
    n = PCN_MIN(PCN_MAX(n, SWEEP_MIN), router->n_neighbours);
    for (uint32_t i = 0; i < n; i++) {
        router->cursor = (router->cursor + 1) % router->n_neighbours;
        if (router->neighbours[router->cursor])
            neigh_age(router, router->neighbours[router->cursor], now);
    }
}

void router_neigh_drop_port(struct router *router, uint16_t port)
{
    for (uint32_t i = 0; i < router->n_neighbours; i++) {
        struct router_neigh *neigh = router->neighbours[i];

        if (neigh && neigh->port == port)
            router_neigh_forget(router, neigh);
    }
}

void router_neigh_clear(struct router *router)
{
    for (uint32_t i = 0; i < router->n_neighbours; i++) {
        struct router_neigh *neigh = router->neighbours[i];

        if (!neigh)
            continue;
        while (neigh->n_waiting)
            waiting_drop_first(neigh);
        free(neigh);
    }
    pcn_freep(&router->neighbours);
}
