/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs that do something at the same time. */
#include <harness/testrun.h>
#include <pthread.h>
#include <sched.h>

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct pcn_packet *context; /* the CPU's */
    const struct pcn_race *race;
    int program, cpu, r;
    uint32_t n_left, dropped;
};

static void *racer_run(void *data)
{
    struct racer *racer = data;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(racer->cpu, &set);
    racer->r = sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
    for (uint16_t i = 0; i < racer->race->n; i++) {
        const struct pcn_frame frame = racer->race->frame(racer->cpu, i);
        struct pcn_run run = {};

        *racer->context = (struct pcn_packet){.port = racer->race->from[racer->cpu].port,
                                              .direction = (uint8_t)racer->race->from[racer->cpu].direction};
        pthread_barrier_wait(racer->start);
        if (racer->r >= 0)
            racer->r = pcn_run(racer->program, &frame, NULL, &run);
        if (run.verdict == PCN_SINK)
            racer->n_left++;
        else if (racer->r >= 0 && run.verdict != racer->dropped)
            racer->r = -EBADMSG;
    }
    return NULL;
}

int pcn_fast_race(struct pcn_fast *fast, const struct pcn_race *race)
{
    struct pcn_packet *contexts = pcn_fast_memory(fast, ".data.packets", NULL);
    struct racer racers[PCN_RACE_CPUS];
    pthread_barrier_t start;
    int r = 0, n_left = 0;

    if (!contexts)
        return -ENODATA;
    pthread_barrier_init(&start, NULL, PCN_RACE_CPUS);
    for (int cpu = 0; cpu < PCN_RACE_CPUS; cpu++) {
        racers[cpu] = (struct racer){.start = &start,
                                     .context = &contexts[cpu],
                                     .race = race,
                                     .program = race->from[cpu].direction == PCN_EGRESS ? fast->egress : fast->ingress,
                                     .cpu = cpu,
                                     .dropped = pcn_fast_dropped(fast)};
        /* One that waits for another that never comes would wait for ever. */
        if (pthread_create(&racers[cpu].thread, NULL, racer_run, &racers[cpu]) != 0)
            abort();
    }
    for (int cpu = 0; cpu < PCN_RACE_CPUS; cpu++) {
        pthread_join(racers[cpu].thread, NULL);
        r = racers[cpu].r < 0 ? racers[cpu].r : r;
        n_left += (int)racers[cpu].n_left;
    }
    pthread_barrier_destroy(&start);
    return r < 0 ? r : n_left;
}

const char *pcn_skip_unless_race(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) < PCN_RACE_CPUS ? "there is one CPU" : NULL;
}
