/* SPDX-License-Identifier: Apache-2.0 */
#include <harness/packet.h>
#include <harness/suite.h>
#include <slowpath/checksum.h>

struct kind {
    const char *source, *destination;
    bool tcp;
    bool tagged;
};

static const struct kind kinds[] = {
    {"10.0.0.1", "10.0.0.2", true, false}, {"10.0.0.1", "10.0.0.2", false, false}, {"10.0.0.1", "10.0.0.2", true, true},
    {"fd00::1", "fd00::2", true, false},   {"fd00::1", "fd00::2", false, false},   {"fd00::1", "fd00::2", false, true},
};

static struct pcn_frame frame_of(const struct kind *kind)
{
    struct pcn_frame frame = kind->tcp ? pcn_frame_tcp(kind->source, kind->destination, 1234, 80, 0x10)
                                       : pcn_frame_udp(kind->source, kind->destination, 1234, 53, 27);

    if (kind->tagged)
        pcn_frame_push_vlan(&frame, 7, 0x8100);
    return frame;
}

static uint8_t *field_of(struct pcn_frame *frame, const struct kind *kind)
{
    uint8_t protocol;

    return frame->bytes + pcn_frame_l4(frame, &protocol) + (kind->tcp ? 16 : 6);
}

/* What the kernel leaves there: the sum of the pseudo header. */
static void make_partial(struct pcn_frame *frame, const struct kind *kind)
{
    bool v6 = strchr(kind->source, ':') != NULL;
    uint8_t pseudo[40] = {}, protocol;
    size_t l3 = pcn_frame_l3(frame), l4 = pcn_frame_l4(frame, &protocol), n = v6 ? 32 : 8;
    uint16_t length = (uint16_t)(frame->length - l4), sum;

    memcpy(pseudo, frame->bytes + l3 + (v6 ? 8 : 12), n);
    pseudo[n] = (uint8_t)(length >> 8);
    pseudo[n + 1] = (uint8_t)length;
    pseudo[n + 3] = kind->tcp ? 6 : 17;
    sum = (uint16_t)~pcn_checksum(pseudo, n + 4);
    memcpy(field_of(frame, kind), &sum, sizeof(sum));
}

static void test_partial(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds); i++) {
        struct pcn_frame frame = frame_of(&kinds[i]), whole = frame;

        make_partial(&frame, &kinds[i]);
        CU_ASSERT_FALSE(pcn_frame_checksums_ok(&frame));
        pcn_checksum_complete(frame.bytes, frame.length);
        PCN_CHECK_FRAME(&frame, &whole);
    }
}

static void test_others(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds); i++) {
        struct pcn_frame right = frame_of(&kinds[i]), frame = right, wrong;

        pcn_checksum_complete(frame.bytes, frame.length);
        PCN_CHECK_FRAME(&frame, &right);
        field_of(&frame, &kinds[i])[0] ^= 0x5a;
        wrong = frame;
        pcn_checksum_complete(frame.bytes, frame.length);
        PCN_CHECK_FRAME(&frame, &wrong);
    }
}

/* Cut at every length: nothing is read behind the end (the sanitizers look), and nothing is changed. */
static void test_short(void)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(kinds); i++) {
        struct pcn_frame frame = frame_of(&kinds[i]);

        make_partial(&frame, &kinds[i]);
        for (size_t size = 0; size < frame.length; size++) {
            uint8_t *copy = malloc(size ? size : 1);

            CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
            memcpy(copy, frame.bytes, size);
            pcn_checksum_complete(copy, size);
            CU_ASSERT_EQUAL(memcmp(copy, frame.bytes, size), 0);
            free(copy);
        }
    }
}

static const struct pcn_test tests[] = {
    {"a sum of the pseudo header alone is completed", test_partial},
    {"a right checksum stays, and so does a wrong one", test_others},
    {"a frame that is cut short is left alone", test_short},
};

int main(int argc, char **argv)
{
    return PCN_SUITE("checksum", tests);
}
