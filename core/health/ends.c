/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of a service: who of them is out, and which targets they have. */
#include "private.h"

static struct pcn_health_end *end_at(struct pcn_health_ends ends, size_t i)
{
    return (struct pcn_health_end *)(void *)((char *)ends.first + i * ends.stride);
}

static bool is_down(const struct pcn_health_end *end)
{
    return pcn_health_state(end->target) == PCN_HEALTH_DOWN;
}

/* Whether health is looked at: not if it would leave nobody, unless that is wanted. */
static bool health_counts(const struct pcn_health_check *check, struct pcn_health_ends ends)
{
    if (pcn_health_check_is_none(check))
        return false;
    if (check->drop_when_all_down)
        return true;
    for (size_t i = 0; i < ends.n; i++)
        if (end_at(ends, i)->takes && !is_down(end_at(ends, i)))
            return true;
    return false;
}

bool pcn_health_ends_differ(const struct pcn_health_check *check, struct pcn_health_ends ends)
{
    bool counts = health_counts(check, ends);

    for (size_t i = 0; i < ends.n; i++)
        if ((counts && is_down(end_at(ends, i))) != end_at(ends, i)->out)
            return true;
    return false;
}

void pcn_health_ends_mark(const struct pcn_health_check *check, struct pcn_health_ends ends)
{
    bool counts = health_counts(check, ends);

    for (size_t i = 0; i < ends.n; i++) {
        struct pcn_health_end *end = end_at(ends, i);
        bool out = counts && is_down(end);

        end->leaves = out && !end->out;
        end->out = out;
    }
}

static int end_follow(struct pcn_health_set *set, struct pcn_health_end *end, const struct pcn_health_target *target)
{
    if (end->target)
        return pcn_health_change(end->target, target->port, target->check);
    return pcn_health_add(set, target, &end->target);
}

int pcn_health_ends_follow(struct pcn_health_set *set, struct pcn_health_check *check, struct pcn_health_ends ends,
                           struct pcn_health_ends before,
                           void (*describe)(const void *data, size_t i, struct pcn_health_target *ret_target),
                           const void *data)
{
    int r = 0;

    for (size_t i = 0; i < ends.n; i++) {
        struct pcn_health_target target = {.check = check};
        struct pcn_health_end *end = end_at(ends, i);
        int one = 0;

        if (pcn_health_check_is_none(check)) {
            end->target = NULL;
            continue;
        }
        describe(data, i, &target);
        one = end_follow(set, end, &target);
        r = one < 0 ? one : r;
        if (end->target)
            end->target->stays = true;
    }
    /* A backend that stays has its target in both. */
    for (size_t i = 0; i < before.n; i++) {
        struct pcn_health_end *end = end_at(before, i);

        if (end->target && !end->target->stays)
            pcn_health_removep(&end->target);
    }
    for (size_t i = 0; i < ends.n; i++)
        if (end_at(ends, i)->target)
            end_at(ends, i)->target->stays = false;
    return r;
}

void pcn_health_ends_forget(struct pcn_health_ends ends)
{
    for (size_t i = 0; i < ends.n; i++)
        pcn_health_removep(&end_at(ends, i)->target);
}
