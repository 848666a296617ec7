/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall_text.h"
#include <arpa/inet.h>
#include <pcn/conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct name {
    const char *name;
    uint8_t value;
};

static const struct name protocols[] = {
    {"ICMP", IPPROTO_ICMP}, {"TCP", IPPROTO_TCP},   {"UDP", IPPROTO_UDP},   {"ICMPV6", IPPROTO_ICMPV6},
    {"SCTP", IPPROTO_SCTP}, {"GRE", IPPROTO_GRE},   {"ESP", IPPROTO_ESP},   {"AH", IPPROTO_AH},
    {"IPIP", IPPROTO_IPIP}, {"IPV6", IPPROTO_IPV6}, {"IGMP", IPPROTO_IGMP}, {"OSPF", 89},
    {"VRRP", 112},
};

static const struct name flags[] = {{"FIN", 1 << 0}, {"SYN", 1 << 1}, {"RST", 1 << 2}, {"PSH", 1 << 3},
                                    {"ACK", 1 << 4}, {"URG", 1 << 5}, {"ECE", 1 << 6}, {"CWR", 1 << 7}};

static const struct name states[] = {
    {"NEW", PCN_CT_NEW}, {"ESTABLISHED", PCN_CT_ESTABLISHED}, {"RELATED", PCN_CT_RELATED}, {"INVALID", PCN_CT_INVALID}};

static int name_find(const struct name *names, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i].name, text) == 0)
            return names[i].value;
    }
    return -ENOENT;
}

/* Digits alone, at most max: or -EINVAL. end: behind them. */
static long number_at(const char *text, long max, const char **ret_end)
{
    char *end;
    long value;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || value > max)
        return -EINVAL;
    *ret_end = end;
    return value;
}

/* Calls take(item) for each item; *ret_negate: there was a ! in front of all. */
struct items {
    const char *path;
    const char *form; /* that is accepted */
    int (*take)(void *target, const char *item);
    void *target;
};

/* Blanks may stand around an item, not in it. */
static char *item_trimmed(char *item)
{
    size_t length;

    item += strspn(item, " ");
    for (length = strlen(item); length && item[length - 1] == ' ';)
        item[--length] = '\0';
    return item;
}

static int items_each(const char *text, const struct items *items, bool *ret_negate, struct pcn_error *error)
{
    const char *leaf = strrchr(items->path, '/');
    _cleanup_free_ char *copy = NULL;
    char *item, *next;
    size_t n = 0;
    int r;

    *ret_negate = text[0] == '!';
    copy = strdup(text + *ret_negate);
    if (!copy)
        return -ENOMEM;
    next = copy;
    while ((item = strsep(&next, ","))) {
        item = item_trimmed(item);
        if (++n > FIREWALL_ITEMS_MAX)
            r = -E2BIG;
        else
            r = strchr(item, ' ') ? -EINVAL : items->take(items->target, item);
        if (r == -ENOMEM)
            return r;
        if (r == -E2BIG)
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, items->path, "a list of at most %d items is accepted",
                                 FIREWALL_ITEMS_MAX);
        if (r < 0)
            return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, items->path, "%s: \"%s\" is not accepted: give %s%s",
                                 leaf ? leaf + 1 : items->path, item, items->form,
                                 strchr(item, ' ') ? "; of several, a comma between them" : "");
    }
    return 0;
}

/* ---- lists that keep their items ---- */

uint32_t firewall_text_serial(void)
{
    static uint32_t last;

    return ++last;
}

/* Bits behind length say nothing: none is set. */
static void prefix_mask(struct firewall_prefix *prefix)
{
    uint8_t *bytes = (uint8_t *)&prefix->address;

    for (unsigned int bit = prefix->length; bit < 8 * sizeof(prefix->address); bit++)
        bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static int prefix_take(void *target, const char *item)
{
    struct firewall_prefixes *prefixes = target;
    struct firewall_prefix prefix = {}, *all = (struct firewall_prefix *)prefixes->items;
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(item, '/'), *end;
    size_t length = slash ? (size_t)(slash - item) : strlen(item);
    long bits;

    if (length >= sizeof(address))
        return -EINVAL;
    memcpy(address, item, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, &prefix.address) == 1)
        prefix.version = 4;
    else if (inet_pton(AF_INET6, address, &prefix.address) == 1)
        prefix.version = 6;
    else
        return -EINVAL;
    bits = prefix.version == 4 ? 32 : 128;
    if (slash) {
        bits = number_at(slash + 1, bits, &end);
        if (bits < 0 || *end)
            return -EINVAL;
    }
    prefix.length = (uint8_t)bits;
    prefix_mask(&prefix);
    all = realloc(all, (prefixes->n + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    all[prefixes->n++] = prefix;
    prefixes->versions |= (uint8_t)(1u << prefix.version);
    prefixes->one = prefix;
    prefixes->items = all;
    return 0;
}

int firewall_text_prefixes(const char *text, const char *path, struct firewall_prefixes *ret_prefixes,
                           struct pcn_error *error)
{
    const struct items items = {path, "an address or prefix of IPv4 or IPv6, such as 10.0.0.0/8", prefix_take,
                                ret_prefixes};

    ret_prefixes->given = true;
    ret_prefixes->serial = firewall_text_serial();
    return items_each(text, &items, &ret_prefixes->negate, error);
}

static int range_add(struct firewall_ranges *ranges, long low, long high)
{
    struct firewall_range *all = realloc((void *)ranges->items, (ranges->n + 1) * sizeof(*all));

    if (!all)
        return -ENOMEM;
    all[ranges->n++] = (struct firewall_range){.low = (uint16_t)low, .high = (uint16_t)high};
    ranges->items = all;
    return 0;
}

static int port_take(void *target, const char *item)
{
    const char *end = item;
    long low = number_at(item, UINT16_MAX, &end), high = low;

    if (low >= 0 && (*end == '-' || *end == ':'))
        high = number_at(end + 1, UINT16_MAX, &end);
    if (low < 0 || high < low || *end)
        return -EINVAL;
    return range_add(target, low, high);
}

int firewall_text_ports(const char *text, const char *path, struct firewall_ranges *ret_ranges, struct pcn_error *error)
{
    const struct items items = {path, "a port from 0 to 65535, or a range such as 8000-8099", port_take, ret_ranges};

    ret_ranges->given = true;
    ret_ranges->serial = firewall_text_serial();
    return items_each(text, &items, &ret_ranges->negate, error);
}

static int icmp_take(void *target, const char *item)
{
    const char *end = item;
    long type = number_at(item, UINT8_MAX, &end), code;

    if (type < 0)
        return -EINVAL;
    if (!*end)
        return range_add(target, type << 8, type << 8 | 0xff);
    code = *end == '/' ? number_at(end + 1, UINT8_MAX, &end) : -EINVAL;
    if (code < 0 || *end)
        return -EINVAL;
    return range_add(target, type << 8 | code, type << 8 | code);
}

int firewall_text_icmp(const char *text, const char *path, struct firewall_ranges *ret_ranges, struct pcn_error *error)
{
    const struct items items = {path, "a type from 0 to 255, or type/code such as 3/4", icmp_take, ret_ranges};

    ret_ranges->given = true;
    ret_ranges->serial = firewall_text_serial();
    return items_each(text, &items, &ret_ranges->negate, error);
}

/* As the kernel takes them, but for what would have to be quoted. */
static int interface_take(void *target, const char *item)
{
    struct firewall_names *names = target;
    char(*items)[IFNAMSIZ];
    size_t length = strlen(item);

    if (!length || length >= IFNAMSIZ || pcn_streq(item, ".") || pcn_streq(item, "..") ||
        strcspn(item, "/:!@\"\\") != length)
        return -EINVAL;
    for (const unsigned char *p = (const unsigned char *)item; *p; p++)
        if (*p <= ' ' || *p == 0x7f)
            return -EINVAL;
    items = realloc(names->items, (names->n + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    memcpy(items[names->n++], item, length + 1);
    names->items = items;
    return 0;
}

int firewall_text_interfaces(const char *text, const char *path, struct firewall_names *ret_names,
                             struct pcn_error *error)
{
    const struct items items = {path, "the name of a device, of at most 15 characters, such as eth0", interface_take,
                                ret_names};

    return items_each(text, &items, &ret_names->negate, error);
}

/* ---- bitmaps ---- */

static void bitmap_invert(uint64_t *bitmap, size_t words)
{
    for (size_t i = 0; i < words; i++)
        bitmap[i] = ~bitmap[i];
}

static int protocol_take(void *target, const char *item)
{
    const char *end = item;
    long value = name_find(protocols, PCN_ARRAY_SIZE(protocols), item);

    if (value < 0) {
        value = number_at(item, UINT8_MAX, &end);
        if (value < 0 || *end)
            return -EINVAL;
    }
    firewall_bit_set(target, (unsigned int)value);
    return 0;
}

int firewall_text_protocols(const char *text, const char *path, uint64_t ret_bitmap[4], struct pcn_error *error)
{
    const struct items items = {path, "TCP, UDP, ICMP, ICMPV6, SCTP, GRE, ESP, AH, IPIP or a number from 0 to 255",
                                protocol_take, ret_bitmap};
    bool negate;
    int r;

    r = items_each(text, &items, &negate, error);
    if (r >= 0 && negate)
        bitmap_invert(ret_bitmap, 4);
    return r;
}

struct flags_wanted {
    uint8_t mask;
    uint8_t value;
};

static int flag_take(void *target, const char *item)
{
    struct flags_wanted *wanted = target;
    bool off = item[0] == '!';
    int flag = name_find(flags, PCN_ARRAY_SIZE(flags), item + off);

    if (flag < 0)
        return -EINVAL;
    wanted->mask |= (uint8_t)flag;
    if (!off)
        wanted->value |= (uint8_t)flag;
    return 0;
}

int firewall_text_tcp_flags(const char *text, const char *path, uint64_t ret_bitmap[4], struct pcn_error *error)
{
    struct flags_wanted wanted = {};
    const struct items items = {path, "FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, with ! where it must be off", flag_take,
                                &wanted};
    _cleanup_free_ char *doubled = NULL;
    bool negate;
    int r;

    /* Here a ! in front is the first flag's alone: one more is for the list. */
    if (asprintf(&doubled, "%s%s", text[0] == '!' ? "!" : "", text) < 0)
        return -ENOMEM;
    r = items_each(doubled, &items, &negate, error);
    if (r < 0)
        return r;
    for (unsigned int byte = 0; byte < 256; byte++) {
        if ((byte & wanted.mask) == wanted.value)
            firewall_bit_set(ret_bitmap, byte);
    }
    return 0;
}

static int state_take(void *target, const char *item)
{
    uint8_t *bitmap = target;
    int value = name_find(states, PCN_ARRAY_SIZE(states), item);

    if (value < 0)
        return value;
    *bitmap |= (uint8_t)(1 << value);
    return 0;
}

int firewall_text_states(const char *text, const char *path, uint8_t *ret_bitmap, struct pcn_error *error)
{
    const struct items items = {path, "NEW, ESTABLISHED, RELATED or INVALID", state_take, ret_bitmap};
    bool negate;
    int r;

    r = items_each(text, &items, &negate, error);
    if (r >= 0 && negate)
        *ret_bitmap = (uint8_t) ~*ret_bitmap;
    return r;
}

static int dscp_take(void *target, const char *item)
{
    const char *end = item;
    long value = number_at(item, 63, &end);

    if (value < 0 || *end)
        return -EINVAL;
    firewall_bit_set(target, (unsigned int)value);
    return 0;
}

int firewall_text_dscp(const char *text, const char *path, uint64_t *ret_bitmap, struct pcn_error *error)
{
    const struct items items = {path, "a code point from 0 to 63", dscp_take, ret_bitmap};
    bool negate;
    int r;

    r = items_each(text, &items, &negate, error);
    if (r >= 0 && negate)
        bitmap_invert(ret_bitmap, 1);
    return r;
}
