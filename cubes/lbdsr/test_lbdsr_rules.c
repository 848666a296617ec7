/* SPDX-License-Identifier: Apache-2.0 */
/* What few services ask for: sources that they allow, connection ids of QUIC. */
#include "test_lbdsr_rig.h"
#include <arpa/inet.h>

static void allow(struct rig *rig, const char *address, uint8_t length, bool add)
{
    struct lbdsr_allowed_key key = {.bits = 32u + length, .vip = rig->groups[0]->vip};
    uint8_t value = 1;

    (void)inet_pton(strchr(address, ':') ? AF_INET6 : AF_INET, address, &key.address);
    if (add)
        PCN_CHECK_OK(bpf_map_update_elem(pcn_fast_map(&rig->fast, "lbdsr_allowed"), &key, &value, BPF_ANY));
    else
        PCN_CHECK_OK(bpf_map_delete_elem(pcn_fast_map(&rig->fast, "lbdsr_allowed"), &key));
}

void test_allow(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_prefix prefix = {.version = 4, .length = 24};
        const struct pcn_frame in = tcp("192.0.2.77", 1000, ACK), out = tcp("192.0.3.77", 1000, ACK);
        struct lbdsr_end ends[3];

        ends_make(ends, 1, 3);
        rig->leaves.allows = &prefix;
        rig->leaves.n_allows = 1;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 3);
        PCN_CHECK_EQ(give(rig, &in), LBDSR_DROP_NOT_ALLOWED);
        allow(rig, "192.0.2.0", 24, true);
        allow(rig, "192.0.2.128", 25, true);
        for (int round = 0; round < 4; round++) {
            PCN_CHECK_EQ(give(rig, &in), 0);
            PCN_CHECK_EQ(give(rig, &out), LBDSR_DROP_NOT_ALLOWED);
        }
        PCN_CHECK_EQ(tally(rig).created, 1);
        /* A flow that was let through is not let through for ever. */
        allow(rig, "192.0.2.0", 24, false);
        PCN_CHECK_EQ(give(rig, &in), LBDSR_DROP_NOT_ALLOWED);
        PCN_CHECK_EQ(pcn_fast_drops(&rig->fast, LBDSR_DROP_NOT_ALLOWED), 6);
        rig->groups[0]->n_allows = 0;
        service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 3);
        PCN_CHECK_EQ(give(rig, &out), 0);
    }
}

void test_allow6(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_prefix prefix = {.version = 6, .length = 64};
        const struct pcn_frame in = pcn_frame_tcp("2001:db8:1::2", "2001:db8::1", 1000, 80, SYN),
                               out = pcn_frame_tcp("2001:db8:2::2", "2001:db8::1", 1000, 80, SYN);
        struct lbdsr_end ends[1];

        ends_make(ends, 1, 1);
        rig->leaves.allows = &prefix;
        rig->leaves.n_allows = 1;
        service_set(rig, "2001:db8::1", 80, IPPROTO_TCP, LBDSR_L2DSR, ends, 1);
        allow(rig, "2001:db8:1::", 64, true);
        PCN_CHECK_EQ(give(rig, &in), 0);
        PCN_CHECK_EQ(give(rig, &out), LBDSR_DROP_NOT_ALLOWED);
    }
}

/* A packet whose connection id begins with config id 2 and names the server. */
static struct pcn_frame quic(uint16_t port, uint8_t first, uint8_t config, uint16_t server)
{
    uint8_t payload[40] = {first, (uint8_t)(config << 5 | 9), (uint8_t)(server >> 8), (uint8_t)server};

    return pcn_frame_make(&(struct pcn_frame_spec){.source = CLIENT,
                                                   .destination = VIP,
                                                   .protocol = IPPROTO_UDP,
                                                   .source_port = port,
                                                   .destination_port = 443,
                                                   .payload = payload,
                                                   .payload_length = sizeof(payload)});
}

void test_quic(void)
{
    FOR_BOTH(1024)
    {
        struct lbdsr_end ends[20];
        uint32_t spread[20], seen = 0;

        ends_make(ends, 1, 20);
        rig->leaves.has_quic = true;
        rig->leaves.quic_config = 2;
        service_set(rig, VIP, 443, IPPROTO_UDP, LBDSR_L2DSR, ends, 20);
        for (uint32_t i = 0; i < 20; i++) {
            const struct lbdsr_server_key key = {.vip = rig->groups[0]->vip, .server = 0x1200 + i};

            PCN_CHECK_OK(bpf_map_update_elem(pcn_fast_map(&rig->fast, "lbdsr_servers"), &key,
                                             &rig->groups[0]->ends[i].number, BPF_ANY));
        }
        for (uint16_t i = 0; i < 20; i++) {
            uint16_t port = (uint16_t)(1000 + i), server = (uint16_t)(0x1200 + i);

            /* A long header: as any flow. Then by the id, from whatever port. */
            spread[i] = goes_to(rig, &(struct pcn_frame[]){quic(port, 0xc3, 2, server)}[0]);
            seen |= 1u << spread[i];
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){quic(port, 0x43, 2, server)}[0]), i + 1);
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){quic((uint16_t)(port + 5000), 0x5f, 2, server)}[0]), i + 1);
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){quic(port, 0xc3, 2, server)}[0]), spread[i]);
            /* Another config id, and a server that is none. */
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){quic(port, 0x43, 3, server)}[0]), spread[i]);
            PCN_CHECK_EQ(goes_to(rig, &(struct pcn_frame[]){quic(port, 0x43, 2, 0x1300)}[0]), spread[i]);
        }
        PCN_CHECK(__builtin_popcount(seen) > 5);
    }
}

/* ---- tenants ---- */

static struct pcn_frame tagged(uint16_t vlan, uint8_t flags)
{
    struct pcn_frame frame = tcp(CLIENT, 1000, flags);

    if (vlan)
        pcn_frame_push_vlan(&frame, vlan, 0x8100);
    return frame;
}

void test_tenants(void)
{
    FOR_BOTH(1024)
    {
        /* By VLAN id: of two tenants, of one without services of its own, of none. */
        static const struct {
            uint16_t vlan;
            uint32_t to;
        } packets[] = {{10, 1}, {20, 2}, {30, 3}, {0, 3}};
        struct pcn_frame arp = pcn_frame_arp_request("02:00:00:00:00:01", CLIENT, VIP),
                         answer = pcn_frame_arp_reply(OUR_MAC, VIP, "02:00:00:00:00:01", CLIENT);
        struct lbdsr_end ends[3];

        ends_make(ends, 1, 3);
        for (uint16_t i = 0; i < 3; i++) {
            rig->leaves.key.vlan = i < 2 ? (uint16_t)(10 * (i + 1)) : 0;
            service_set(rig, VIP, 80, IPPROTO_TCP, LBDSR_L2DSR, &ends[i], 1);
        }
        for (int round = 0; round < 3; round++)
            for (size_t i = 0; i < PCN_ARRAY_SIZE(packets); i++) {
                const struct pcn_frame frame = tagged(packets[i].vlan, round ? ACK : SYN);

                PCN_CHECK_EQ(goes_to(rig, &frame), packets[i].to);
            }
        PCN_CHECK_EQ(rig->tables.data->shapes, LBDSR_HAS_PORT | LBDSR_HAS_VLAN);
        service_withdraw(rig, 2);
        PCN_CHECK_EQ(give(rig, &(struct pcn_frame[]){tagged(30, ACK)}[0]), 0);
        PCN_CHECK_FRAME(&rig->run.frame, &(struct pcn_frame[]){tagged(30, ACK)}[0]);
        pcn_frame_push_vlan(&arp, 20, 0x8100);
        pcn_frame_push_vlan(&answer, 20, 0x8100);
        PCN_CHECK_EQ(give(rig, &arp), 0);
        PCN_CHECK_EQ(rig->run.port, FRONT);
        PCN_CHECK_FRAME(&rig->run.frame, &answer);
        service_withdraw(rig, 0);
        service_withdraw(rig, 1);
        PCN_CHECK_EQ(rig->tables.data->shapes, 0);
    }
}
