/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management thread's event loop (epoll), and the two ways into it from
 * other threads: posted calls, and work that runs elsewhere and comes back.
 */
#pragma once
#include <pcn/base.h>

struct pcn_loop;

int pcn_loop_new(struct pcn_loop **ret_loop);
void pcn_loop_freep(struct pcn_loop **loop);
/* Until pcn_loop_stop(). */
int pcn_loop_run(struct pcn_loop *loop);
void pcn_loop_stop(struct pcn_loop *loop);

/* Calls fn(data) whenever fd can be read. The fd stays the caller's; remove it before closing it. */
int pcn_loop_add(struct pcn_loop *loop, int fd, void (*fn)(void *data), void *data);
void pcn_loop_remove(struct pcn_loop *loop, int fd);
/* Calls fn(data) every period_ms, for as long as the loop lives. */
int pcn_loop_every(struct pcn_loop *loop, unsigned int period_ms, void (*fn)(void *data), void *data);

/* From any thread: fn(data) on the loop's thread, in the order of the calls. urgent: before those that are not. -ENOMEM. */
int pcn_loop_post(struct pcn_loop *loop, void (*fn)(void *data), void *data, bool urgent);
/* work(data) on the worker thread, then done(data), which may be NULL, on the loop's. -ENOMEM; -ECANCELED: the loop is ending. */
int pcn_loop_work(struct pcn_loop *loop, void (*work)(void *data), void (*done)(void *data), void *data);
