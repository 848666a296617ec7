/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Datapath log. The level is a byte in global data: it changes without a
 * reload, and a line below it costs one load.
 *
 *     pcn_log(PCN_LOG_DEBUG, "packet from %I to %I, port %P", source, destination, port);
 *
 * At most four integer arguments. %I: IPv4 address, %M: MAC in a __u64 by
 * pcn_log_mac(), %P: port, all in network order; and %d %u %x of printf.
 */
#pragma once
#include <pcn/hop.bpf.h>

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 * 1024);
} pcn_logs SEC(".maps");

PCN_INLINE __u64 pcn_log_mac(const void *mac)
{
    __u64 value = 0;

    __builtin_memcpy(&value, mac, 6);
    return value;
}

static __noinline int pcn_log_write(const char *format, __u32 level_and_count, const __u64 *args)
{
    struct pcn_log_record *record = bpf_ringbuf_reserve(&pcn_logs, sizeof(*record), 0);

    if (!record)
        return 0;
    record->cube = pcn_identity.cube;
    record->level = level_and_count >> 8;
    record->n_args = level_and_count;
    record->pad = 0;
    __builtin_memcpy(record->args, args, sizeof(record->args));
    bpf_probe_read_kernel_str(record->format, sizeof(record->format), format);
    bpf_ringbuf_submit(record, 0);
    return 0;
}

#define PCN_LOG_COUNT_(a, b, c, d, e, n, ...) n
#define PCN_LOG_COUNT(...) PCN_LOG_COUNT_(0, ##__VA_ARGS__, 4, 3, 2, 1, 0)
#define pcn_log(level_, format_, ...)                                                                                  \
    do {                                                                                                               \
        if (pcn_unlikely(PCN_READ_ONCE(pcn_cube.loglevel) >= (level_))) {                                              \
            static const char pcn_format_[] = format_;                                                                 \
            __u64 pcn_args_[4] = {__VA_ARGS__};                                                                        \
                                                                                                                       \
            _Static_assert(sizeof(pcn_format_) <= PCN_LOG_FORMAT_MAX, "log format too long");                          \
            pcn_log_write(pcn_format_, (level_) << 8 | PCN_LOG_COUNT(__VA_ARGS__), pcn_args_);                         \
        }                                                                                                              \
    } while (0)
