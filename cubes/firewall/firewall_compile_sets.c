/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_compile_private.h"
#include <endian.h>

/* ---- intervals ---- */

static int interval_add(struct firewall_field *field, firewall_value low, firewall_value high)
{
    if (field->n_intervals == field->intervals_size) {
        uint32_t size = field->intervals_size ? field->intervals_size * 2 : 64;
        struct firewall_interval *intervals;

        if (field->n_intervals > UINT32_MAX / 4)
            return -E2BIG;
        intervals = realloc(field->intervals, size * sizeof(*intervals));
        if (!intervals)
            return -ENOMEM;
        field->intervals = intervals;
        field->intervals_size = size;
    }
    field->intervals[field->n_intervals++] = (struct firewall_interval){low, high};
    return 0;
}

static int interval_compare(const void *a, const void *b)
{
    const struct firewall_interval *first = a, *second = b;

    return first->low < second->low ? -1 : first->low > second->low;
}

/* Intervals from number `first` on: sorted, those that touch made one. */
static void intervals_merge(struct firewall_field *field, uint32_t first)
{
    struct firewall_interval *items = &field->intervals[first];
    uint32_t n = field->n_intervals - first, kept = 0;

    if (n < 2)
        return;
    qsort(items, n, sizeof(*items), interval_compare);
    for (uint32_t i = 1; i < n; i++) {
        if (items[kept].high == field->max)
            break;
        if (items[i].low > items[kept].high + 1)
            items[++kept] = items[i];
        else if (items[i].high > items[kept].high)
            items[kept].high = items[i].high;
    }
    field->n_intervals = first + kept + 1;
}

/* All values but those: they are merged. */
static int intervals_complement(struct firewall_field *field, uint32_t first)
{
    uint32_t n = field->n_intervals;
    firewall_value low = 0;
    int r;

    for (uint32_t i = first; i < n; i++) {
        struct firewall_interval item = field->intervals[i];

        if (item.low > low) {
            r = interval_add(field, low, item.low - 1);
            if (r < 0)
                return r;
        }
        if (item.high == field->max)
            goto done;
        low = item.high + 1;
    }
    r = interval_add(field, low, field->max);
    if (r < 0)
        return r;
done:
    memmove(&field->intervals[first], &field->intervals[n], (field->n_intervals - n) * sizeof(*field->intervals));
    field->n_intervals -= n - first;
    return 0;
}

static int intervals_finish(struct firewall_field *field, uint32_t first, bool negate)
{
    /* Nothing to look at: the pointer may be NULL. */
    if (field->n_intervals > first)
        intervals_merge(field, first);
    return negate ? intervals_complement(field, first) : 0;
}

/* ---- what a rule wants of a field ---- */

static int want_prefixes(struct firewall_field *field, const struct firewall_prefixes *prefixes, uint8_t version)
{
    uint32_t first = field->n_intervals;
    bool named = prefixes->n == 0;
    int r;

    for (uint32_t i = 0; i < prefixes->n; i++) {
        const struct firewall_prefix *prefix = &prefixes->items[i];
        unsigned int bits = version == 4 ? 32 : 128;
        firewall_value low = 0, rest;

        if ((prefix->version != 4 && prefix->version != 6) || prefix->length > (prefix->version == 4 ? 32 : 128))
            return -EINVAL;
        if (prefix->version != version)
            continue;
        named = true;
        for (unsigned int j = 0; j < bits / 32; j++)
            low = low << 32 | be32toh(prefix->address.v6[j]);
        rest = prefix->length ? ((firewall_value)1 << (bits - prefix->length)) - 1 : field->max;
        r = interval_add(field, low & ~rest, low | rest);
        if (r < 0)
            return r;
    }
    return named ? intervals_finish(field, first, prefixes->negate) : 0;
}

static int want_ranges(struct firewall_field *field, const struct firewall_ranges *ranges)
{
    uint32_t first = field->n_intervals;
    int r;

    /* The other ICMP is given, and not this one. */
    if (!ranges->given)
        return 0;
    for (uint32_t i = 0; i < ranges->n; i++) {
        if (ranges->items[i].low > ranges->items[i].high)
            return -EINVAL;
        r = interval_add(field, ranges->items[i].low, ranges->items[i].high);
        if (r < 0)
            return r;
    }
    return intervals_finish(field, first, ranges->negate);
}

/* Runs of values for which a key holds. */
static int want_values(struct firewall_field *field, const uint64_t *key,
                       bool (*holds)(const uint64_t *key, unsigned int value))
{
    int r;

    for (unsigned int i = 0, n; i <= field->max; i += n + 1) {
        for (n = 0; i + n <= field->max && holds(key, i + n);)
            n++;
        if (!n)
            continue;
        r = interval_add(field, i, i + n - 1);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- keys: equal ones want the same of a field; false: the field is not given ---- */

#define WANTS_PROTOCOL (1u << 0)
#define WANTS_PORTS (1u << 1)
#define WANTS_FLAGS (1u << 2)
#define WANTS_ICMP (1u << 3)
#define WANTS_ICMPV6 (1u << 4)

/* Of one item, the key is that itself. serial: of a named set. */
static bool key_list(uint64_t *key, const void *items, uint32_t serial, uint32_t n, bool given, bool negate)
{
    key[0] = serial ? serial : (uintptr_t)items;
    key[1] = n;
    key[2] = negate;
    key[3] = serial ? FIREWALL_KEY_OF_SET : FIREWALL_KEY_OF_LIST;
    return given;
}

static bool key_ranges(uint64_t *key, const struct firewall_ranges *ranges)
{
    if (ranges->given && ranges->n == 1) {
        key[0] = ranges->items->low;
        key[1] = ranges->items->high;
        key[2] = ranges->negate;
        key[3] = FIREWALL_KEY_OF_ITEM;
        return true;
    }
    return key_list(key, ranges->items, ranges->serial, ranges->n, ranges->given, ranges->negate);
}

/* Rules with prefixes of the other family alone are one set, of no address. */
static bool key_prefixes(uint64_t *key, const struct firewall_prefixes *prefixes, uint8_t version)
{
    if (prefixes->versions && !(prefixes->versions >> version & 1)) {
        key[3] = FIREWALL_KEY_OF_ITEM;
        return true;
    }
    if (prefixes->given && prefixes->n == 1) {
        const struct firewall_prefix *prefix = prefixes->versions ? &prefixes->one : prefixes->items;

        memcpy(key, prefix->address.v6, prefix->version == 4 ? sizeof(prefix->address.v4) : sizeof(prefix->address));
        key[2] = (uint64_t)prefix->length << 16 | (uint64_t)prefix->version << 8 | prefixes->negate;
        key[3] = FIREWALL_KEY_OF_ITEM;
        return true;
    }
    return key_list(key, prefixes->items, prefixes->serial, prefixes->n, prefixes->given, prefixes->negate);
}

static bool key_protocol(uint64_t *key, const struct firewall_rule *rule)
{
    uint64_t wants = 0;

    if (rule->given & FIREWALL_GIVEN_PROTOCOL) {
        wants |= WANTS_PROTOCOL;
        memcpy(key, rule->protocol, sizeof(rule->protocol));
    }
    if (rule->source_ports.given || rule->destination_ports.given)
        wants |= WANTS_PORTS;
    if (rule->given & FIREWALL_GIVEN_TCP_FLAGS)
        wants |= WANTS_FLAGS;
    if (rule->icmp.given)
        wants |= WANTS_ICMP;
    if (rule->icmpv6.given)
        wants |= WANTS_ICMPV6;
    key[4] = wants;
    return wants;
}

static bool key_state(uint64_t *key, const struct firewall_rule *rule)
{
    key[0] = rule->given & FIREWALL_GIVEN_STATE ? rule->state : 0xff;
    key[1] = rule->given & FIREWALL_GIVEN_FRAGMENT ? rule->fragment : 0xff;
    return rule->given & (FIREWALL_GIVEN_STATE | FIREWALL_GIVEN_FRAGMENT);
}

static bool holds_protocol(const uint64_t *key, unsigned int value)
{
    unsigned int protocol = value & 0xff;
    bool later = value & FIREWALL_PROTOCOL_LATER, v6 = value & FIREWALL_PROTOCOL_V6;
    uint64_t wants = key[4];

    if (wants & WANTS_PROTOCOL && !firewall_bit(key, protocol))
        return false;
    if (later && wants & ~(uint64_t)WANTS_PROTOCOL)
        return false;
    if (wants & WANTS_PORTS && !firewall_protocol_has_ports(protocol))
        return false;
    if (wants & WANTS_FLAGS && protocol != IPPROTO_TCP)
        return false;
    if (wants & (WANTS_ICMP | WANTS_ICMPV6))
        return (wants & WANTS_ICMP && !v6 && protocol == IPPROTO_ICMP) ||
               (wants & WANTS_ICMPV6 && v6 && protocol == IPPROTO_ICMPV6);
    return true;
}

static bool holds_state(const uint64_t *key, unsigned int value)
{
    return key[0] >> (value >> FIREWALL_STATE_SHIFT) & 1 && key[1] >> (value & 3) & 1;
}

bool firewall_field_key(enum firewall_field_kind kind, const struct firewall_rule *rule, uint64_t *key)
{
    switch (kind) {
    case FIREWALL_SOURCE4:
    case FIREWALL_SOURCE6:
        return key_prefixes(key, &rule->source, kind == FIREWALL_SOURCE4 ? 4 : 6);
    case FIREWALL_DESTINATION4:
    case FIREWALL_DESTINATION6:
        return key_prefixes(key, &rule->destination, kind == FIREWALL_DESTINATION4 ? 4 : 6);
    case FIREWALL_SOURCE_PORT:
        return key_ranges(key, &rule->source_ports);
    case FIREWALL_DESTINATION_PORT:
        return key_ranges(key, &rule->destination_ports);
    case FIREWALL_ICMP:
        return key_ranges(key, &rule->icmp) || rule->icmpv6.given;
    case FIREWALL_ICMPV6:
        return key_ranges(key, &rule->icmpv6) || rule->icmp.given;
    case FIREWALL_PROTOCOL:
        return key_protocol(key, rule);
    case FIREWALL_TCP_FLAGS:
        memcpy(key, rule->tcp_flags, sizeof(rule->tcp_flags));
        return rule->given & FIREWALL_GIVEN_TCP_FLAGS;
    case FIREWALL_DSCP:
        key[0] = rule->dscp;
        return rule->given & FIREWALL_GIVEN_DSCP;
    case FIREWALL_INTERFACE:
        memcpy(key, rule->interfaces, sizeof(rule->interfaces));
        return rule->given & FIREWALL_GIVEN_INTERFACE;
    default:
        return key_state(key, rule);
    }
}

int firewall_field_want(struct firewall_field *field, enum firewall_field_kind kind, const struct firewall_rule *rule,
                        const uint64_t *key)
{
    switch (kind) {
    case FIREWALL_SOURCE4:
    case FIREWALL_SOURCE6:
        return want_prefixes(field, &rule->source, kind == FIREWALL_SOURCE4 ? 4 : 6);
    case FIREWALL_DESTINATION4:
    case FIREWALL_DESTINATION6:
        return want_prefixes(field, &rule->destination, kind == FIREWALL_DESTINATION4 ? 4 : 6);
    case FIREWALL_SOURCE_PORT:
        return want_ranges(field, &rule->source_ports);
    case FIREWALL_DESTINATION_PORT:
        return want_ranges(field, &rule->destination_ports);
    case FIREWALL_ICMP:
        return want_ranges(field, &rule->icmp);
    case FIREWALL_ICMPV6:
        return want_ranges(field, &rule->icmpv6);
    case FIREWALL_PROTOCOL:
        return want_values(field, key, holds_protocol);
    case FIREWALL_STATE:
        return want_values(field, key, holds_state);
    default:
        return want_values(field, key, firewall_bit);
    }
}

firewall_value firewall_field_max(enum firewall_field_kind kind)
{
    switch (kind) {
    case FIREWALL_SOURCE4:
    case FIREWALL_DESTINATION4:
        return UINT32_MAX;
    case FIREWALL_SOURCE6:
    case FIREWALL_DESTINATION6:
        return ~(firewall_value)0;
    case FIREWALL_PROTOCOL:
        return FIREWALL_PROTOCOLS - 1;
    case FIREWALL_TCP_FLAGS:
        return 255;
    case FIREWALL_DSCP:
        return 63;
    case FIREWALL_STATE:
        return FIREWALL_STATES - 1;
    case FIREWALL_INTERFACE:
        return FIREWALL_CLASSES - 1;
    default:
        return UINT16_MAX;
    }
}

uint32_t firewall_rule_fields(const struct firewall_rule *rule)
{
    uint64_t key[FIREWALL_KEY_WORDS];
    uint32_t fields = 0;

    if (rule->source.given)
        fields |= 1u << FIREWALL_SOURCE4 | 1u << FIREWALL_SOURCE6;
    if (rule->destination.given)
        fields |= 1u << FIREWALL_DESTINATION4 | 1u << FIREWALL_DESTINATION6;
    if (rule->source_ports.given)
        fields |= 1u << FIREWALL_SOURCE_PORT;
    if (rule->destination_ports.given)
        fields |= 1u << FIREWALL_DESTINATION_PORT;
    if (rule->icmp.given || rule->icmpv6.given)
        fields |= 1u << FIREWALL_ICMP | 1u << FIREWALL_ICMPV6;
    if (rule->given & FIREWALL_GIVEN_TCP_FLAGS)
        fields |= 1u << FIREWALL_TCP_FLAGS;
    if (rule->given & FIREWALL_GIVEN_DSCP)
        fields |= 1u << FIREWALL_DSCP;
    if (rule->given & (FIREWALL_GIVEN_STATE | FIREWALL_GIVEN_FRAGMENT))
        fields |= 1u << FIREWALL_STATE;
    if (rule->given & FIREWALL_GIVEN_INTERFACE)
        fields |= 1u << FIREWALL_INTERFACE;
    if (key_protocol(key, rule))
        fields |= 1u << FIREWALL_PROTOCOL;
    return fields;
}
