/* SPDX-License-Identifier: Apache-2.0 */
#include "router_packet.h"
#include <arpa/inet.h>
#include <harness/packet.h>
#include <harness/suite.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>

#define MAC_A "02:00:00:00:00:0a"
#define MAC_R "02:00:00:00:00:01"

static const uint8_t mac_a[ETH_ALEN] = {2, 0, 0, 0, 0, 0x0a};
static const uint8_t mac_r[ETH_ALEN] = {2, 0, 0, 0, 0, 1};

static union pcn_address address_of(const char *text)
{
    union pcn_address address = {};

    PCN_CHECK_EQ(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, &address), 1);
    return address;
}

static bool same(const union pcn_address *address, const char *text)
{
    union pcn_address other = address_of(text);

    return memcmp(address, &other, sizeof(other)) == 0;
}

static struct router_ends ends_of(const char *source, const char *destination)
{
    struct router_ends ends = {.source = address_of(source), .destination = address_of(destination)};

    memcpy(ends.source_mac, mac_r, ETH_ALEN);
    memcpy(ends.destination_mac, mac_a, ETH_ALEN);
    return ends;
}

/* Of a packet that was built: both its checksums hold. */
static void check_sums(const uint8_t *frame, size_t length)
{
    struct router_ip ip;

    PCN_REQUIRE_OK(router_ip_parse(frame, length, &ip));
    PCN_CHECK(ip.authentic_length);
    PCN_CHECK_EQ(ETH_HLEN + ip.length, length);
    if (ip.version == 4) {
        PCN_CHECK_EQ(router_sum_fold(router_sum_bytes(ip.header, ip.header_length, 0)), 0);
        PCN_CHECK_EQ(router_sum_fold(router_sum_bytes(ip.payload, ip.length - ip.header_length, 0)), 0);
    } else {
        PCN_CHECK_EQ(router_icmp6_sum(&ip.source, &ip.destination, ip.payload, ip.length - ip.header_length), 0);
    }
}

static void test_arp(void)
{
    struct pcn_frame frame = pcn_frame_arp_request(MAC_A, "10.0.0.2", "10.0.0.1");
    struct router_neighbour_message message;

    PCN_REQUIRE_OK(router_arp_parse(frame.bytes, frame.length, &message));
    PCN_CHECK(message.request);
    PCN_CHECK(same(&message.sender, "10.0.0.2") && same(&message.target, "10.0.0.1"));
    PCN_CHECK_EQ(memcmp(message.mac, mac_a, ETH_ALEN), 0);
    PCN_CHECK_EQ(router_arp_parse(frame.bytes, 41, &message), -EBADMSG);
    frame.bytes[ETH_HLEN + 8] |= 1;
    PCN_CHECK_EQ(router_arp_parse(frame.bytes, frame.length, &message), -EBADMSG);
    frame.bytes[ETH_HLEN + 8] &= 0xfe;
    frame.bytes[ETH_HLEN + 7] = 3;
    PCN_CHECK_EQ(router_arp_parse(frame.bytes, frame.length, &message), -EBADMSG);
}

static void test_arp_built(void)
{
    struct pcn_frame reply = pcn_frame_arp_reply(MAC_R, "10.0.0.1", MAC_A, "10.0.0.2");
    struct router_ends ends = ends_of("10.0.0.1", "10.0.0.2");
    union pcn_address own = address_of("10.0.0.1");
    struct router_neighbour_message message;
    uint8_t frame[ROUTER_FRAME_MAX];
    size_t length;

    length = router_answer_build(AF_INET, &ends, &own, true, frame);
    PCN_CHECK_EQ(length, 42);
    PCN_CHECK_EQ(memcmp(frame, reply.bytes, length), 0);
    memset(ends.destination_mac, 0, ETH_ALEN);
    length = router_request_build(AF_INET, &ends, frame);
    PCN_CHECK_EQ(frame[0] & frame[5], 0xff);
    PCN_REQUIRE_OK(router_arp_parse(frame, length, &message));
    PCN_CHECK(message.request && same(&message.sender, "10.0.0.1") && same(&message.target, "10.0.0.2"));
}

static void test_solicitation(void)
{
    struct pcn_frame frame = pcn_frame_nd_solicit(MAC_A, "fd00::2", "fd00::1");
    struct router_neighbour_message message;
    struct router_ip ip;

    PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    PCN_REQUIRE_OK(router_nd_parse(&ip, &message));
    PCN_CHECK(message.request && message.has_mac);
    PCN_CHECK(same(&message.sender, "fd00::2") && same(&message.target, "fd00::1"));
    PCN_CHECK_EQ(memcmp(message.mac, mac_a, ETH_ALEN), 0);
    /* It was routed; its checksum is wrong; its option has no length. */
    frame.bytes[ETH_HLEN + 7] = 254;
    PCN_CHECK_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    PCN_CHECK_EQ(router_nd_parse(&ip, &message), -EBADMSG);
    frame.bytes[ETH_HLEN + 7] = 255;
    frame.bytes[ETH_HLEN + 42]++;
    PCN_CHECK_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    PCN_CHECK_EQ(router_nd_parse(&ip, &message), -EBADMSG);
    frame = pcn_frame_nd_solicit(MAC_A, "fd00::2", "fd00::1");
    frame.bytes[ETH_HLEN + 40 + 25] = 0;
    frame.bytes[ETH_HLEN + 40 + 3]++;
    PCN_CHECK_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    PCN_CHECK_EQ(router_nd_parse(&ip, &message), -EBADMSG);
}

static void test_nd_built(void)
{
    struct router_ends ends = ends_of("fd00::1", "fd00::2");
    union pcn_address own = address_of("fd00::1");
    struct router_neighbour_message message;
    uint8_t frame[ROUTER_FRAME_MAX];
    struct router_ip ip;
    size_t length;

    length = router_answer_build(AF_INET6, &ends, &own, true, frame);
    check_sums(frame, length);
    PCN_CHECK_OK(router_ip_parse(frame, length, &ip));
    PCN_REQUIRE_OK(router_nd_parse(&ip, &message));
    PCN_CHECK(!message.request && message.solicited && message.override && message.is_router && message.has_mac);
    PCN_CHECK(same(&message.sender, "fd00::1"));
    memset(ends.destination_mac, 0, ETH_ALEN);
    length = router_request_build(AF_INET6, &ends, frame);
    check_sums(frame, length);
    PCN_CHECK_OK(router_ip_parse(frame, length, &ip));
    PCN_REQUIRE_OK(router_nd_parse(&ip, &message));
    PCN_CHECK(message.request && same(&message.target, "fd00::2") && same(&ip.destination, "ff02::1:ff00:2"));
    PCN_CHECK_EQ(frame[0] << 8 | frame[5], 0x3302);
}

static void test_link_local(void)
{
    union pcn_address address;

    router_link_local(mac_a, &address);
    PCN_CHECK(same(&address, "fe80::ff:fe00:a"));
    PCN_CHECK(router_address_is_link_local(&address));
}

static void test_error(void)
{
    static const struct {
        enum router_error error;
        uint8_t type4, code4, type6, code6;
    } kinds[] = {
        {ROUTER_TIME_EXCEEDED, 11, 0, 3, 0},   {ROUTER_NET_UNREACHABLE, 3, 0, 1, 0},
        {ROUTER_HOST_UNREACHABLE, 3, 1, 1, 3}, {ROUTER_PORT_UNREACHABLE, 3, 3, 1, 4},
        {ROUTER_PACKET_TOO_BIG, 3, 4, 2, 0},
    };
    const char *const ends_text[2][3] = {{"10.0.0.1", "10.0.0.2", "20.0.0.1"}, {"fd00::1", "fd00::2", "fd01::1"}};

    for (size_t i = 0; i < 2 * PCN_ARRAY_SIZE(kinds); i++) {
        const char *const *text = ends_text[i & 1];
        struct pcn_frame frame = pcn_frame_udp(text[1], text[2], 1, 2, 2000);
        struct router_ends ends = ends_of(text[0], text[1]);
        size_t kind = i / 2, length, quoted;
        uint8_t answer[ROUTER_FRAME_MAX];
        struct router_ip ip, error;

        PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
        PCN_CHECK(router_error_is_allowed(kinds[kind].error, &ip));
        length = router_error_build(kinds[kind].error, &ip, &ends, 1400, answer);
        check_sums(answer, length);
        PCN_REQUIRE_OK(router_ip_parse(answer, length, &error));
        PCN_CHECK_EQ(error.payload[0], i & 1 ? kinds[kind].type6 : kinds[kind].type4);
        PCN_CHECK_EQ(error.payload[1], i & 1 ? kinds[kind].code6 : kinds[kind].code4);
        PCN_CHECK_EQ(error.length, i & 1 ? 1280 : 576);
        quoted = error.length - error.header_length - 8;
        PCN_CHECK_EQ(memcmp(error.payload + 8, ip.header, quoted), 0);
        if (kinds[kind].error == ROUTER_PACKET_TOO_BIG)
            PCN_CHECK_EQ(error.payload[6] << 8 | error.payload[7], 1400);
    }
}

static bool is_allowed(const struct pcn_frame_spec *spec, enum router_error error)
{
    struct pcn_frame frame = pcn_frame_make(spec);
    struct router_ip ip;

    PCN_CHECK_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    return router_error_is_allowed(error, &ip);
}

static void test_error_not_sent(void)
{
    const struct pcn_frame_spec refused[] = {
        {.source = "0.0.0.0", .destination = "20.0.0.1", .protocol = IPPROTO_UDP},
        {.source = "127.0.0.1", .destination = "20.0.0.1", .protocol = IPPROTO_UDP},
        {.source = "10.0.0.2", .destination = "224.0.0.1", .protocol = IPPROTO_UDP},
        {.source = "10.0.0.2", .destination = "20.0.0.1", .protocol = IPPROTO_UDP, .fragment_offset = 8},
        {.source = "10.0.0.2", .destination = "20.0.0.1", .protocol = IPPROTO_ICMP, .icmp_type = ICMP_DEST_UNREACH},
        {.source = "10.0.0.2",
         .destination = "20.0.0.1",
         .destination_mac = "ff:ff:ff:ff:ff:ff",
         .protocol = IPPROTO_UDP},
        {.source = "::", .destination = "fd00::1", .protocol = IPPROTO_UDP},
        {.source = "ff02::1", .destination = "fd00::1", .protocol = IPPROTO_UDP},
        {.source = "fd00::2", .destination = "ff0e::1", .protocol = IPPROTO_UDP},
        {.source = "fd00::2", .destination = "fd01::1", .protocol = IPPROTO_ICMPV6, .icmp_type = ICMP6_TIME_EXCEEDED},
    };
    const struct pcn_frame_spec group = {.source = "fd00::2", .destination = "ff0e::1", .protocol = IPPROTO_UDP};
    const struct pcn_frame_spec echo = {
        .source = "10.0.0.2", .destination = "20.0.0.1", .protocol = IPPROTO_ICMP, .icmp_type = ICMP_ECHO};

    for (size_t i = 0; i < PCN_ARRAY_SIZE(refused); i++)
        PCN_CHECK_EQ(is_allowed(&refused[i], ROUTER_TIME_EXCEEDED) ? (int)i : -1, -1);
    PCN_CHECK(is_allowed(&group, ROUTER_PACKET_TOO_BIG));
    PCN_CHECK(is_allowed(&echo, ROUTER_TIME_EXCEEDED));
}

static void test_echo(void)
{
    const char *const text[2][2] = {{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}};

    for (int i = 0; i < 2; i++) {
        struct pcn_frame frame = pcn_frame_echo(text[i][1], text[i][0], 7, 9);
        struct router_ends ends = ends_of(text[i][0], text[i][1]);
        uint8_t answer[ROUTER_FRAME_MAX];
        struct router_ip ip, echo;
        int r;

        PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
        r = router_echo_build(&ip, &ends, answer);
        PCN_CHECK_EQ(r, frame.length);
        check_sums(answer, (size_t)r);
        PCN_REQUIRE_OK(router_ip_parse(answer, (size_t)r, &echo));
        PCN_CHECK_EQ(echo.payload[0], i ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
        PCN_CHECK_EQ(memcmp(echo.payload + 4, ip.payload + 4, ip.length - ip.header_length - 4), 0);
        frame.bytes[frame.length - 1]++;
        PCN_CHECK_EQ(router_echo_build(&ip, &ends, answer), -EBADMSG);
    }
}

static void test_fragments(void)
{
    static const uint8_t options[] = {0x94, 4, 0, 0, 7, 3, 4, 0}; /* router alert, copied; record route, not */
    struct pcn_frame frame = pcn_frame_make(&(struct pcn_frame_spec){.source = "10.0.0.2",
                                                                     .destination = "20.0.0.1",
                                                                     .protocol = IPPROTO_UDP,
                                                                     .id = 77,
                                                                     .options = options,
                                                                     .options_length = sizeof(options),
                                                                     .payload_length = 2992});
    struct router_ends ends = ends_of("10.0.0.1", "20.0.0.1");
    uint8_t piece[ROUTER_FRAME_MAX], whole[3000];
    struct router_ip ip, part;
    size_t offset = 0, length;

    PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    while (offset < sizeof(whole)) {
        size_t carried = router_fragment_build(&ip, &ends, offset, 1000, piece, &length);

        PCN_REQUIRE(carried > 0 && offset + carried <= sizeof(whole));
        PCN_REQUIRE_OK(router_ip_parse(piece, length, &part));
        PCN_CHECK(length <= 1014);
        PCN_CHECK_EQ(router_sum_fold(router_sum_bytes(part.header, part.header_length, 0)), 0);
        PCN_CHECK_EQ((part.header[6] << 8 | part.header[7]) & 0x1fff, offset / 8);
        PCN_CHECK_EQ(part.header[6] >> 5, offset + carried < sizeof(whole));
        PCN_CHECK_EQ(part.header[20], 0x94);
        PCN_CHECK_EQ(part.header[24], offset ? 1 : 7);
        memcpy(whole + offset, part.payload, carried);
        offset += carried;
    }
    PCN_CHECK_EQ(memcmp(whole, ip.payload, sizeof(whole)), 0);
    PCN_CHECK_EQ(router_fragment_build(&ip, &ends, 0, 30, piece, &length), 0);
}

/* A sender that leaves the checksum to its hardware writes the pseudo-header's sum. */
static void test_checksum_left_to_hardware(void)
{
    const char *const text[2][2] = {{"10.0.0.2", "20.0.0.1"}, {"fd00::2", "fd01::1"}};

    for (int i = 0; i < 4; i++) {
        struct pcn_frame right = i & 2 ? pcn_frame_tcp(text[i & 1][0], text[i & 1][1], 1, 2, 2)
                                       : pcn_frame_udp(text[i & 1][0], text[i & 1][1], 1, 2, 31),
                         frame = right;
        size_t at = i & 2 ? 16 : 6;
        uint64_t sum;
        struct router_ip ip;
        uint8_t *field;

        PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
        sum =
            router_sum_bytes(ip.header + (i & 1 ? 8 : 12), i & 1 ? 32 : 8, ip.length - ip.header_length + ip.protocol);
        field = frame.bytes + ETH_HLEN + ip.header_length + at;
        field[0] = (uint8_t)((uint16_t)~router_sum_fold(sum) >> 8);
        field[1] = (uint8_t)~router_sum_fold(sum);
        router_checksum_complete(&ip, frame.bytes + ETH_HLEN);
        PCN_CHECK_EQ(memcmp(frame.bytes, right.bytes, frame.length), 0);
        /* One that is merely wrong stays so. */
        field[0] ^= 0x55;
        right = frame;
        router_checksum_complete(&ip, frame.bytes + ETH_HLEN);
        PCN_CHECK_EQ(memcmp(frame.bytes, right.bytes, frame.length), 0);
    }
}

static void test_ttl(void)
{
    struct pcn_frame frame = pcn_frame_udp("10.0.0.2", "20.0.0.1", 1, 2, 20);
    struct router_ip ip;

    PCN_REQUIRE_OK(router_ip_parse(frame.bytes, frame.length, &ip));
    router_ttl_decrement(&ip, frame.bytes + ETH_HLEN);
    PCN_CHECK_EQ(frame.bytes[ETH_HLEN + 8], 63);
    PCN_CHECK_EQ(router_sum_fold(router_sum_bytes(frame.bytes + ETH_HLEN, 20, 0)), 0);
}

static void feed(const uint8_t *frame, size_t length)
{
    struct router_ends ends = ends_of("10.0.0.1", "10.0.0.2");
    uint8_t answer[PCN_FRAME_MAX + ROUTER_FRAME_MAX];
    struct router_neighbour_message message;
    struct router_ip ip;
    size_t carried, n;

    (void)router_arp_parse(frame, length, &message);
    if (router_ip_parse(frame, length, &ip) < 0)
        return;
    (void)router_nd_parse(&ip, &message);
    (void)router_error_is_allowed(ROUTER_TIME_EXCEEDED, &ip);
    PCN_CHECK(router_error_build(ROUTER_PACKET_TOO_BIG, &ip, &ends, 1280, answer) <= ROUTER_FRAME_MAX);
    (void)router_echo_build(&ip, &ends, answer);
    memcpy(answer, ip.header, ip.length);
    router_checksum_complete(&ip, answer);
    router_ttl_decrement(&ip, answer);
    for (size_t offset = 0; ip.version == 4 && offset < ip.length - ip.header_length; offset += carried) {
        carried = router_fragment_build(&ip, &ends, offset, 576, answer, &n);
        if (!carried)
            break;
    }
}

/* Each frame in memory of its own length, so that the sanitizer sees the first byte too many. */
static void test_broken(void)
{
    const struct pcn_frame frames[] = {
        pcn_frame_arp_request(MAC_A, "10.0.0.2", "10.0.0.1"),
        pcn_frame_nd_solicit(MAC_A, "fd00::2", "fd00::1"),
        pcn_frame_echo("10.0.0.2", "10.0.0.1", 1, 1),
        pcn_frame_echo("fd00::2", "fd00::1", 1, 1),
        pcn_frame_udp("10.0.0.2", "20.0.0.1", 1, 2, 1200),
        pcn_frame_make(&(struct pcn_frame_spec){.source = "fd00::2",
                                                .destination = "fd00::1",
                                                .protocol = IPPROTO_UDP,
                                                .extensions = {{IPPROTO_HOPOPTS, 16}, {IPPROTO_DSTOPTS, 8}},
                                                .n_extensions = 2,
                                                .fragment = true,
                                                .payload_length = 40}),
    };

    srandom(1);
    for (unsigned int i = 0; i < 60000; i++) {
        const struct pcn_frame *frame = &frames[i % PCN_ARRAY_SIZE(frames)];
        size_t length = random() % 4 ? frame->length : (size_t)random() % (frame->length + 1);
        _cleanup_free_ uint8_t *bytes = malloc(PCN_MAX(length, (size_t)1));

        PCN_REQUIRE(bytes);
        memcpy(bytes, frame->bytes, length);
        for (long n = random() % 6; n > 0 && length > 0; n--)
            bytes[(size_t)random() % PCN_MIN(length, (size_t)90)] = (uint8_t)random();
        feed(bytes, length);
    }
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {"an ARP message is read, a broken one refused", test_arp},
        {"ARP requests and replies are as others write them", test_arp_built},
        {"a solicitation is read, one that is broken or was routed refused", test_solicitation},
        {"solicitations and advertisements have their groups, flags and checksums", test_nd_built},
        {"a link-local address is the EUI-64 of the MAC address", test_link_local},
        {"an ICMP error quotes the packet, and has its type, code, MTU and checksums", test_error},
        {"no error is sent about errors, groups, later fragments, and from nobody", test_error_not_sent},
        {"an echo reply carries what the request did", test_echo},
        {"fragments are whole again when put together, and carry the options they must", test_fragments},
        {"a checksum that was left to hardware is completed, a wrong one is not", test_checksum_left_to_hardware},
        {"the checksum follows the TTL", test_ttl},
        {"broken frames are read within their bounds", test_broken},
    };

    return PCN_SUITE("router_packet", tests);
}
