/* SPDX-License-Identifier: Apache-2.0 */
#include "router_fib_private.h"
#include <endian.h>
#include <time.h>

#define FIB_DEPTH_MAX 64 /* nodes on the way to a prefix: skips, and branches of 4 bits */

/* ---- keys: addresses of both versions, aligned to the left ---- */

static struct key key_mask(unsigned int length)
{
    if (length == 0)
        return (struct key){};
    if (length <= 64)
        return (struct key){{~0ull << (64 - length), 0}};
    return (struct key){{~0ull, ~0ull << (128 - length)}};
}

static struct key key_cut(struct key key, unsigned int length)
{
    struct key mask = key_mask(length);

    return (struct key){{key.bits[0] & mask.bits[0], key.bits[1] & mask.bits[1]}};
}

static struct key key_of(uint8_t version, const union pcn_address *address)
{
    if (version == 4)
        return (struct key){{(uint64_t)be32toh(address->v4) << 32, 0}};
    return (struct key){{(uint64_t)be32toh(address->v6[0]) << 32 | be32toh(address->v6[1]),
                         (uint64_t)be32toh(address->v6[2]) << 32 | be32toh(address->v6[3])}};
}

/* Number of the first bits that are the same. */
static unsigned int key_common(struct key a, struct key b)
{
    if (a.bits[0] != b.bits[0])
        return (unsigned int)__builtin_clzll(a.bits[0] ^ b.bits[0]);
    if (a.bits[1] != b.bits[1])
        return 64 + (unsigned int)__builtin_clzll(a.bits[1] ^ b.bits[1]);
    return 128;
}

/* The 4 bits at position. */
static unsigned int key_nibble(struct key key, unsigned int position)
{
    return key.bits[position / 64] >> (60 - position % 64) & 15;
}

static uint64_t key_hash(struct key key, uint8_t version, uint8_t length)
{
    uint64_t hash = (key.bits[0] ^ length) * 0x9e3779b97f4a7c15ull;

    hash = (hash ^ hash >> 29 ^ key.bits[1] ^ version) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 32;
}

/* ---- words ---- */

static void word_store(uint32_t *slot, uint32_t word)
{
    __atomic_store_n(slot, word, __ATOMIC_RELEASE);
}

static bool word_is_node(uint32_t word)
{
    return word & ROUTER_WORD_NODE;
}

static unsigned int word_length(uint32_t word)
{
    return word >> ROUTER_WORD_LENGTH_SHIFT & 0xff;
}

static uint32_t word_leaf(unsigned int length, uint32_t hop)
{
    return (uint32_t)length << ROUTER_WORD_LENGTH_SHIFT | hop;
}

static uint32_t word_branch(uint32_t number, unsigned int position)
{
    uint32_t word = ROUTER_WORD_NODE | (60 - position % 64) / 4 << 25 | number;

    return position < 64 ? word : word | ROUTER_WORD_SECOND;
}

static uint32_t word_skip(uint32_t number)
{
    return ROUTER_WORD_NODE | ROUTER_WORD_SKIP | number;
}

/* Of a branch: the position of the bits it branches by. */
static unsigned int word_position(uint32_t word)
{
    return (word & ROUTER_WORD_SECOND ? 64 : 0) + 60 - ROUTER_WORD_SHIFT(word);
}

static union router_node *fib_node(const struct router_fib *fib, uint32_t word)
{
    return &fib->memory.nodes[word & ROUTER_WORD_NUMBER];
}

static unsigned int fib_root_bits(const struct router_fib *fib, uint8_t version)
{
    return version == 4 ? fib->memory.root4_bits : ROUTER_ROOT6_BITS;
}

static uint32_t *fib_root(const struct router_fib *fib, uint8_t version, struct key key)
{
    uint32_t *root = version == 4 ? fib->memory.root4 : fib->memory.root6;

    return &root[key.bits[0] >> (64 - fib_root_bits(fib, version))];
}

static uint32_t *fib_default(const struct router_fib *fib, uint8_t version)
{
    return version == 4 ? &fib->memory.data->default4 : &fib->memory.data->default6;
}

/* ---- routes by prefix ---- */

/* The route, or the free slot where it would stand. */
static struct route *route_slot(const struct router_fib *fib, uint8_t version, struct key key, uint8_t length)
{
    uint32_t i = (uint32_t)key_hash(key, version, length) & fib->route_mask;

    while (fib->routes[i].version) {
        const struct route *route = &fib->routes[i];

        if (route->version == version && route->length == length && route->key.bits[0] == key.bits[0] &&
            route->key.bits[1] == key.bits[1])
            break;
        i = (i + 1) & fib->route_mask;
    }
    return &fib->routes[i];
}

/* Closes the gap: those behind move up, unless they would pass the place their hash names. */
static void route_remove(struct router_fib *fib, struct route *route)
{
    uint32_t gap = (uint32_t)(route - fib->routes), i = gap;

    fib->lengths[route->version == 6][route->length]--;
    fib->n_routes--;
    for (;;) {
        const struct route *next;
        uint32_t home;

        i = (i + 1) & fib->route_mask;
        next = &fib->routes[i];
        if (!next->version)
            break;
        home = (uint32_t)key_hash(next->key, next->version, next->length) & fib->route_mask;
        if (((i - home) & fib->route_mask) < ((i - gap) & fib->route_mask))
            continue;
        fib->routes[gap] = *next;
        gap = i;
    }
    fib->routes[gap] = (struct route){};
}

/* Leaf of the longest prefix around this one, that of length 0 not counted: its word is 0. */
static uint32_t route_parent(const struct router_fib *fib, uint8_t version, struct key key, uint8_t length)
{
    for (uint8_t shorter = length - 1; shorter > 0; shorter--) {
        const struct route *route;

        if (!fib->lengths[version == 6][shorter])
            continue;
        route = route_slot(fib, version, key_cut(key, shorter), shorter);
        if (route->version)
            return word_leaf(shorter, route->hop);
    }
    return 0;
}

/* ---- the trie ---- */

/* Waits for retired nodes when all others are in use: a whole table was replaced within some milliseconds. */
static uint32_t node_take(struct router_fib *fib)
{
    uint32_t number = router_pool_take(&fib->nodes, 1, fib_now(fib));

    while (!number && fib->nodes.first[1]) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        number = router_pool_take(&fib->nodes, 1, fib_now(fib));
    }
    return number;
}

static void node_put(struct router_fib *fib, uint32_t word)
{
    router_pool_put(&fib->nodes, word & ROUTER_WORD_NUMBER, 1, fib_now(fib));
}

/* A branch whose words are all `word`. 0: there is no node. */
static uint32_t branch_new(struct router_fib *fib, unsigned int position, uint32_t word)
{
    uint32_t number = node_take(fib);

    if (!number)
        return 0;
    for (unsigned int i = 0; i < 16; i++)
        fib->memory.nodes[number].words[i] = word;
    return word_branch(number, position);
}

/* From `from` to `to`, where hit is: nothing, a branch for 4 bits, or a skip for more. 0: there is no node. */
static uint32_t skip_new(struct router_fib *fib, struct key key, unsigned int from, unsigned int to, uint32_t hit,
                         uint32_t miss)
{
    struct key mask = key_mask(to), cut = key_cut(key, to);
    uint32_t number, word;

    if (from == to)
        return hit;
    if (to == from + 4) {
        word = branch_new(fib, from, miss);
        if (word)
            fib_node(fib, word)->words[key_nibble(key, from)] = hit;
        return word;
    }
    number = node_take(fib);
    if (!number)
        return 0;
    fib->memory.nodes[number] = (union router_node){
        .skip = {.key = {cut.bits[0], cut.bits[1]}, .mask = {mask.bits[0], mask.bits[1]}, .hit = hit, .miss = miss}};
    return word_skip(number);
}

static struct key skip_key(const union router_node *node)
{
    return (struct key){{node->skip.key[0], node->skip.key[1]}};
}

/* Changes the leaves below slot that stand for prefixes of lengths from..to. */
static void paint(struct router_fib *fib, uint32_t *slot, unsigned int from, unsigned int to, uint32_t leaf)
{
    uint32_t word = *slot;
    union router_node *node;

    if (!word_is_node(word)) {
        if (word_length(word) >= from && word_length(word) <= to)
            word_store(slot, leaf);
        return;
    }
    node = fib_node(fib, word);
    if (word & ROUTER_WORD_SKIP) {
        paint(fib, &node->skip.hit, from, to, leaf);
        paint(fib, &node->skip.miss, from, to, leaf);
        return;
    }
    for (unsigned int i = 0; i < 16; i++)
        paint(fib, &node->words[i], from, to, leaf);
}

static void paint_slots(struct router_fib *fib, uint32_t *slot, uint32_t n, unsigned int from, unsigned int to,
                        uint32_t leaf)
{
    for (uint32_t i = 0; i < n; i++)
        paint(fib, &slot[i], from, to, leaf);
}

/* Where the bits are that decide on the last of a prefix's. */
static unsigned int last_position(unsigned int length)
{
    return (length - 1) & ~3u;
}

/* A slot with a leaf, of whose addresses only those of the prefix go another way: gets nodes as far as the prefix. */
static int slot_extend(struct router_fib *fib, uint32_t *slot, unsigned int position, struct key key,
                       unsigned int length)
{
    unsigned int last = last_position(length);
    uint32_t leaf = *slot, branch = branch_new(fib, last, leaf), word;

    if (!branch)
        return -ENOSPC;
    word = skip_new(fib, key, position, last, branch, leaf);
    if (!word) {
        node_put(fib, branch);
        return -ENOSPC;
    }
    word_store(slot, word);
    return 0;
}

/*
 * A slot with a skip, from position to the branch at `to`, from which the prefix parts or in which it ends: gets a branch
 * there.
 */
static int slot_split(struct router_fib *fib, uint32_t *slot, unsigned int position, unsigned int to, unsigned int part)
{
    const union router_node *node = fib_node(fib, *slot);
    uint32_t old = *slot, miss = node->skip.miss, behind, branch, word;
    struct key key = skip_key(node);

    behind = skip_new(fib, key, part + 4, to, node->skip.hit, miss);
    if (!behind)
        return -ENOSPC;
    branch = branch_new(fib, part, miss);
    if (!branch)
        goto fail_behind;
    fib_node(fib, branch)->words[key_nibble(key, part)] = behind;
    word = skip_new(fib, key, position, part, branch, miss);
    if (!word)
        goto fail_branch;
    word_store(slot, word);
    node_put(fib, old);
    return 0;

fail_branch:
    node_put(fib, branch);
fail_behind:
    if (behind != node->skip.hit)
        node_put(fib, behind);
    return -ENOSPC;
}

/* What a way through the trie passed: slots, and how many bits lead there. */
struct way {
    uint32_t *slot;
    unsigned int position;
};

/*
 * Goes from the root to the branch that holds the prefix's last bits. way[0] is the root's slot, the last one
 * that of the branch. grow: makes what is missing. Returns the number of slots, or -ENOENT, -ENOSPC.
 */
static int fib_walk(struct router_fib *fib, uint8_t version, struct key key, unsigned int length, bool grow,
                    struct way way[FIB_DEPTH_MAX])
{
    unsigned int position = fib_root_bits(fib, version), last = last_position(length);
    uint32_t *slot = fib_root(fib, version, key);
    int n = 0, r = 0;

    while (n < FIB_DEPTH_MAX) {
        union router_node *node;
        uint32_t word = *slot;
        unsigned int to, part;

        way[n] = (struct way){slot, position};
        if (!word_is_node(word)) {
            r = grow ? slot_extend(fib, slot, position, key, length) : -ENOENT;
            if (r < 0)
                return r;
            continue;
        }
        node = fib_node(fib, word);
        if (!(word & ROUTER_WORD_SKIP)) {
            n++;
            if (position == last)
                return n;
            slot = &node->words[key_nibble(key, position)];
            position += 4;
            continue;
        }
        to = word_position(node->skip.hit);
        part = PCN_MIN(key_common(key, skip_key(node)), length - 1) & ~3u;
        if (part < to) {
            r = grow ? slot_split(fib, slot, position, to, part) : -ENOENT;
            if (r < 0)
                return r;
            continue;
        }
        n++;
        slot = &node->skip.hit;
        position = to;
    }
    return -ENOENT;
}

/* ---- taking away what a prefix that is gone needed ---- */

/* What a branch holds besides ways on. */
struct census {
    uint32_t leaf;        /* of all words that are leaves, if it is one, and that of a prefix around the branch ... */
    bool uniform;         /* ... and so it is, or there is no leaf */
    unsigned int n_nodes; /* words that lead on */
    unsigned int node;    /* the last of them */
};

static struct census branch_census(const union router_node *node, unsigned int position)
{
    struct census census = {};
    bool seen = false, same = true;

    for (unsigned int i = 0; i < 16; i++) {
        uint32_t word = node->words[i];

        if (word_is_node(word)) {
            census.n_nodes++;
            census.node = i;
            continue;
        }
        if (seen && word != census.leaf)
            same = false;
        census.leaf = word;
        seen = true;
    }
    census.uniform = seen && same && word_length(census.leaf) <= position;
    return census;
}

/* A node that has one way on: a skip, or a branch that decides nothing. */
struct link {
    struct key key; /* of the way on */
    unsigned int to;
    uint32_t hit;
    uint32_t miss;
};

static bool link_of(const struct router_fib *fib, uint8_t version, uint32_t word, unsigned int position, struct key key,
                    struct link *ret_link)
{
    const union router_node *node = fib_node(fib, word);
    struct census census;

    if (!word_is_node(word))
        return false;
    if (word & ROUTER_WORD_SKIP) {
        *ret_link = (struct link){skip_key(node), word_position(node->skip.hit), node->skip.hit, node->skip.miss};
        return true;
    }
    census = branch_census(node, position);
    if (!census.uniform || census.n_nodes != 1)
        return false;
    key = key_cut(key, position);
    key.bits[position / 64] |= (uint64_t)census.node << (60 - position % 64);
    /* A prefix that ends here, and whose addresses all are on the way on: it needs the branch. */
    if (route_slot(fib, version, key, (uint8_t)(position + 4))->version)
        return false;
    *ret_link = (struct link){key, position + 4, node->words[census.node], census.leaf};
    return true;
}

/* Of the branch way[n], and what is before and behind it, makes one skip if nothing else is decided there. */
static void links_merge(struct router_fib *fib, uint8_t version, struct key key, const struct way *way, int n)
{
    uint32_t old[FIB_DEPTH_MAX] = {*way[n].slot}, merged;
    const struct way *start = &way[n];
    struct link link, next;
    int n_old = 1;

    if (!link_of(fib, version, *start->slot, start->position, key, &link))
        return;
    while (n_old < FIB_DEPTH_MAX - 1 && link_of(fib, version, link.hit, link.to, link.key, &next) &&
           next.miss == link.miss) {
        old[n_old++] = link.hit;
        link = next;
    }
    if (n > 0 && link_of(fib, version, *way[n - 1].slot, way[n - 1].position, key, &next) && next.miss == link.miss) {
        start = &way[n - 1];
        old[n_old++] = *start->slot;
    }
    if (n_old == 1)
        return;
    merged = skip_new(fib, link.key, start->position, link.to, link.hit, link.miss);
    if (!merged)
        return;
    word_store(start->slot, merged);
    while (n_old > 0)
        node_put(fib, old[--n_old]);
}

/* From the last branch of the way up to the root. */
static void fib_prune(struct router_fib *fib, uint8_t version, struct key key, const struct way *way, int n)
{
    while (n-- > 0) {
        uint32_t word = *way[n].slot, leaf;

        if (word & ROUTER_WORD_SKIP) {
            /* What it skips to is gone: no prefix ends in between, so that both leaves are the same. */
            leaf = fib_node(fib, word)->skip.miss;
        } else {
            struct census census = branch_census(fib_node(fib, word), way[n].position);

            if (!census.uniform || census.n_nodes) {
                links_merge(fib, version, key, way, n);
                return;
            }
            leaf = census.leaf;
        }
        word_store(way[n].slot, leaf);
        node_put(fib, word);
    }
}

/* ---- routes, from outside ---- */

static bool fib_is_prefix(uint8_t version, uint8_t length)
{
    return (version == 4 && length <= 32) || (version == 6 && length <= 128);
}

/* Leaves of the prefix's own addresses, of lengths from..to, become leaf. */
static int fib_paint(struct router_fib *fib, uint8_t version, struct key key, uint8_t length, unsigned int from,
                     uint32_t leaf, bool grow)
{
    unsigned int bits = fib_root_bits(fib, version), last = last_position(length);
    struct way way[FIB_DEPTH_MAX];
    uint32_t *words;
    int n;

    if (length <= bits) {
        paint_slots(fib, fib_root(fib, version, key), 1u << (bits - length), from, length, leaf);
        return 0;
    }
    n = fib_walk(fib, version, key, length, grow, way);
    if (n < 0)
        return n;
    words = fib_node(fib, *way[n - 1].slot)->words;
    paint_slots(fib, &words[key_nibble(key, last)], 1u << (last + 4 - length), from, length, leaf);
    if (!grow)
        fib_prune(fib, version, key, way, n);
    return 0;
}

int router_fib_set(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length,
                   uint32_t hop)
{
    struct route *route;
    struct key key;
    int r;

    if (!fib_is_prefix(version, length) || !hop || hop >= fib->memory.n_hops)
        return -EINVAL;
    key = key_cut(key_of(version, address), length);
    route = route_slot(fib, version, key, length);
    if (!route->version && fib->n_routes >= fib->memory.n_routes)
        return -ENOSPC;
    if (length == 0) {
        word_store(fib_default(fib, version), word_leaf(0, hop));
    } else {
        r = fib_paint(fib, version, key, length, 0, word_leaf(length, hop), true);
        if (r < 0)
            return r;
    }
    if (!route->version) {
        fib->lengths[version == 6][length]++;
        fib->n_routes++;
    }
    *route = (struct route){.key = key, .hop = hop, .version = version, .length = length};
    return 0;
}

int router_fib_delete(struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length)
{
    struct route *route;
    struct key key;

    if (!fib_is_prefix(version, length))
        return -EINVAL;
    key = key_cut(key_of(version, address), length);
    route = route_slot(fib, version, key, length);
    if (!route->version)
        return -ENOENT;
    route_remove(fib, route);
    if (length == 0)
        word_store(fib_default(fib, version), 0);
    else
        (void)fib_paint(fib, version, key, length, length, route_parent(fib, version, key, length), false);
    return 0;
}

uint32_t router_fib_lookup(const struct router_fib *fib, uint8_t version, const union pcn_address *address)
{
    struct key key = key_of(version, address);
    uint32_t word = *fib_root(fib, version, key);

    while (word_is_node(word)) {
        const union router_node *node = fib_node(fib, word);

        if (!(word & ROUTER_WORD_SKIP))
            word = node->words[key_nibble(key, word_position(word))];
        else if (((key.bits[0] ^ node->skip.key[0]) & node->skip.mask[0]) |
                 ((key.bits[1] ^ node->skip.key[1]) & node->skip.mask[1]))
            word = node->skip.miss;
        else
            word = node->skip.hit;
    }
    return (word ?: *fib_default(fib, version)) & ROUTER_WORD_HOP;
}

int router_fib_get(const struct router_fib *fib, uint8_t version, const union pcn_address *address, uint8_t length,
                   uint32_t *ret_hop)
{
    const struct route *route;

    if (!fib_is_prefix(version, length))
        return -EINVAL;
    route = route_slot(fib, version, key_cut(key_of(version, address), length), length);
    if (!route->version)
        return -ENOENT;
    *ret_hop = route->hop;
    return 0;
}

uint32_t router_fib_n_routes(const struct router_fib *fib)
{
    return fib->n_routes;
}

uint32_t router_fib_n_nodes(const struct router_fib *fib)
{
    return fib->nodes.used;
}
