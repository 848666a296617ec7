/* SPDX-License-Identifier: Apache-2.0 */
#include "private.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>

enum { RECORD_IN, RECORD_OUT, RECORDS };
static const char *const record_names[RECORDS] = {"in", "out"};

/* They are written out when the test program ends. */
static pcap_dumper_t *record_open(const char *directory, const char *name)
{
    pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, PCN_FRAME_MAX);
    pcap_dumper_t *dumper;
    char path[512];

    if (!ethernet)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s/%s.%s.pcap", directory, program_invocation_short_name, name);
    dumper = pcap_dump_open(ethernet, path);
    pcap_close(ethernet);
    return dumper;
}

static void record_frame(pcap_dumper_t *dumper, const struct pcn_frame *frame)
{
    const struct pcap_pkthdr header = {.caplen = (bpf_u_int32)frame->length, .len = (bpf_u_int32)frame->length};

    pcap_dump((u_char *)dumper, &header, frame->bytes);
}

void pcn_record(const struct pcn_frame *in, const struct pcn_frame *out)
{
    static pcap_dumper_t *dumpers[RECORDS];
    const char *directory = getenv("PCN_FRAMES");

    if (!directory)
        return;
    for (int i = 0; i < RECORDS && !dumpers[i]; i++)
        dumpers[i] = record_open(directory, record_names[i]);
    if (!dumpers[RECORD_IN] || !dumpers[RECORD_OUT]) {
        fprintf(stderr, "PCN_FRAMES: cannot write to %s\n", directory);
        exit(EXIT_FAILURE);
    }
    record_frame(dumpers[RECORD_IN], in);
    record_frame(dumpers[RECORD_OUT], out);
}
