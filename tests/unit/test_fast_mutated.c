/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole fast paths in the kernel, at TC and at XDP, on the packet fuzzer's corpus and on thousands of frames made from
 * it by flipping, cutting and filling: each run ends, in a verdict that there is; where only the parser decides, both
 * hooks say the same.
 */
#include <dirent.h>
#include <harness/suite.h>
#include <harness/testrun.h>
#include <stdio.h>

#define CORPUS PCN_SOURCE_DIR "/tests/fuzz/corpus/packet/"
#define MUTATIONS 60 /* of each frame of the corpus */
#define TC_SHORT (14 + 40)
#define HEADER 3 /* of a file of the corpus: the fuzzer's own */

static struct pcn_frame frames[64];
static size_t n_frames;

static int corpus_read(void)
{
    DIR *directory = opendir(CORPUS);
    struct dirent *entry;

    if (!directory)
        return -1;
    while ((entry = readdir(directory)) && n_frames < PCN_ARRAY_SIZE(frames)) {
        uint8_t bytes[HEADER + 2048];
        char path[512];
        size_t size;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s%s", CORPUS, entry->d_name);
        file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        size = fread(bytes, 1, sizeof(bytes), file);
        (void)fclose(file);
        /* The kernel runs nothing without a byte behind the Ethernet header. */
        if (size <= HEADER + 14)
            continue;
        frames[n_frames].length = size - HEADER;
        memcpy(frames[n_frames++].bytes, bytes + HEADER, size - HEADER);
    }
    (void)closedir(directory);
    return n_frames ? 0 : -1;
}

/* The same numbers in every run, so that what fails can be run again. */
static uint32_t number(uint32_t below)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static struct pcn_frame mutated(const struct pcn_frame *frame)
{
    static const uint8_t values[] = {0, 1, 4, 5, 6, 0x0f, 0x11, 0x2c, 0x33, 0x45, 0x60, 0x7f, 0x80, 0xff};
    struct pcn_frame made = *frame;

    for (uint32_t n = 1 + number(4); n; n--) {
        /* Headers more often than payload. */
        size_t at = 12 + number((uint32_t)PCN_MIN(made.length - 12, number(2) ? 64u : 2048u));

        if (number(3))
            made.bytes[at] = values[number(sizeof(values))];
        else
            made.bytes[at] ^= (uint8_t)(1u << number(8));
    }
    if (!number(4))
        made.length = 15 + number((uint32_t)(made.length - 14));
    return made;
}

static void report(const struct pcn_frame *frame, const char *kind, bool xdp, uint32_t verdict)
{
    printf("    %s at %s said %u of", kind, xdp ? "XDP" : "TC", verdict);
    for (size_t i = 0; i < frame->length && i < 100; i++)
        printf(" %02x", frame->bytes[i]);
    printf("\n");
}

/* To the sink, dropped, to the stack, or out of a device (a flood). Never XDP_ABORTED, which is a program's failure. */
static bool is_verdict(const struct pcn_fast *fast, uint32_t verdict)
{
    const uint32_t stack = fast->xdp ? 2 /* XDP_PASS */ : UINT32_MAX /* TC_ACT_UNSPEC */;
    const uint32_t redirect = fast->xdp ? 4 /* XDP_REDIRECT */ : 7 /* TC_ACT_REDIRECT */;

    return verdict == PCN_SINK || verdict == pcn_fast_dropped(fast) || verdict == stack || verdict == redirect;
}

static bool run_both(struct pcn_fast fasts[2], const char *kind, bool parser_decides, const struct pcn_frame *frame)
{
    struct pcn_fast_run runs[2] = {};
    bool ok = true, both = true;

    for (int xdp = 0; xdp < 2; xdp++) {
        struct pcn_packet context = {};
        int r = pcn_fast_run_with(&fasts[xdp], PCN_INGRESS, &context, NULL, frame, &runs[xdp]);

        /* The kernel makes no skb of a frame that ends before the IP header that its ethertype promises. */
        if (r == -EINVAL && !xdp && frame->length < TC_SHORT) {
            both = false;
            continue;
        }
        ok = ok && PCN_CHECK_OK(r);
        if (ok && !is_verdict(&fasts[xdp], runs[xdp].verdict)) {
            report(frame, kind, xdp, runs[xdp].verdict);
            ok = PCN_CHECK(is_verdict(&fasts[xdp], runs[xdp].verdict));
        }
    }
    if (ok && both && parser_decides && (runs[0].verdict == PCN_SINK) != (runs[1].verdict == PCN_SINK)) {
        report(frame, kind, false, runs[0].verdict);
        report(frame, kind, true, runs[1].verdict);
        ok = PCN_CHECK((runs[0].verdict == PCN_SINK) == (runs[1].verdict == PCN_SINK));
    }
    return ok;
}

static void run_all(const char *kind, const char *const objects[2])
{
    struct pcn_fast fasts[2] = {};
    bool ok = true;
    int r = 0;

    for (int xdp = 0; r == 0 && xdp < 2; xdp++) {
        const struct pcn_fast_spec spec = {
            .kind = objects ? NULL : kind, .object = objects ? objects[xdp] : NULL, .xdp = xdp, .n_ports = 3};

        r = pcn_fast_open(&spec, &fasts[xdp]);
    }
    PCN_REQUIRE_OK(r);
    for (size_t i = 0; i < n_frames && ok; i++) {
        ok = run_both(fasts, kind, objects, &frames[i]);
        for (int m = 0; m < MUTATIONS && ok; m++) {
            const struct pcn_frame frame = mutated(&frames[i]);

            ok = run_both(fasts, kind, objects, &frame);
        }
    }
    for (int xdp = 0; xdp < 2; xdp++)
        pcn_fast_close(&fasts[xdp]);
}

static void the_parser(void)
{
    static const char *const objects[2] = {PCN_BUILD_DIR "/tests/unit/parse_probe_tc.o",
                                           PCN_BUILD_DIR "/tests/unit/parse_probe_xdp.o"};

    run_all("the parser", objects);
}

static void the_forwarder(void)
{
    run_all("simpleforwarder", NULL);
}

static void the_bridge(void)
{
    run_all("simplebridge", NULL);
}

static void the_router(void)
{
    run_all("router", NULL);
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {.name = "the parser takes mutated frames, alike at both hooks", .run = the_parser},
        {.name = "the forwarder takes mutated frames", .run = the_forwarder},
        {.name = "the bridge takes mutated frames", .run = the_bridge},
        {.name = "the router takes mutated frames", .run = the_router},
    };

    return PCN_SUITE("mutated frames", tests, .setup = corpus_read, .skip = pcn_skip_unless_root);
}
