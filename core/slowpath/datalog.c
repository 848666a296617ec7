/* SPDX-License-Identifier: Apache-2.0 */
#include <slowpath/datalog.h>

#include <arpa/inet.h>
#include <base/log.h>
#include <base/loop.h>
#include <stdatomic.h>
#include <stdio.h>

#define WAITING_MAX 4096

static atomic_uint waiting;
static atomic_uint shed;

struct line {
    struct pcn_chain *chain;
    struct pcn_log_record record;
};

static int format_argument(char conversion, uint64_t value, char *text, size_t size)
{
    uint8_t bytes[8];

    memcpy(bytes, &value, sizeof(bytes));
    switch (conversion) {
    case 'I':
        return snprintf(text, size, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    case 'M':
        return snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                        bytes[5]);
    case 'P':
        return snprintf(text, size, "%u", ntohs((uint16_t)value));
    case 'x':
        return snprintf(text, size, "%llx", (unsigned long long)value);
    case 'd':
        return snprintf(text, size, "%lld", (long long)value);
    default:
        return snprintf(text, size, "%llu", (unsigned long long)value);
    }
}

void pcn_datalog_format(const struct pcn_log_record *record, char *ret_text, size_t size)
{
    const char *p = record->format, *end = record->format + sizeof(record->format);
    unsigned int argument = 0;
    size_t n = 0;

    while (p < end && *p && n + 1 < size) {
        if (*p != '%') {
            ret_text[n++] = *p++;
            continue;
        }
        p++;
        while (p < end && (*p == 'l' || *p == 'h'))
            p++;
        if (p == end || !*p)
            break;
        if (*p == '%') {
            ret_text[n++] = *p++;
            continue;
        }
        if (argument < PCN_MIN(record->n_args, (uint8_t)PCN_ARRAY_SIZE(record->args))) {
            int written = format_argument(*p, record->args[argument++], ret_text + n, size - n);

            n = PCN_MIN(n + (size_t)written, size - 1);
        }
        p++;
    }
    ret_text[n] = '\0';
}

static void line_write(void *data)
{
    struct line *line = data;
    const struct pcn_cube *cube = pcn_chain_cube_by_id(line->chain, line->record.cube);
    unsigned int lost = atomic_exchange(&shed, 0);
    char text[512];

    atomic_fetch_sub(&waiting, 1);
    if (lost)
        pcn_log_warn("%u lines of the data path were shed", lost);
    if (cube) {
        pcn_datalog_format(&line->record, text, sizeof(text));
        pcn_log_cube_line((enum pcn_log_level)line->record.level, cube->kind->name, cube->name, text);
    }
    free(line);
}

void pcn_datalog(struct pcn_loop *loop, struct pcn_chain *chain, const struct pcn_log_record *record)
{
    struct line *line;

    if (record->level >= PCN_LOG_LEVEL_MAX)
        return;
    if (atomic_load(&waiting) >= WAITING_MAX) {
        atomic_fetch_add(&shed, 1);
        return;
    }
    line = malloc(sizeof(*line));
    if (!line)
        return;
    line->chain = chain;
    line->record = *record;
    atomic_fetch_add(&waiting, 1);
    if (pcn_loop_post(loop, line_write, line, false) < 0) {
        atomic_fetch_sub(&waiting, 1);
        free(line);
    }
}
