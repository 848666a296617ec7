/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines of the fast path: the record has the format and the arguments, the
 * text is made here, on the loop's thread, where cubes can be looked up.
 */
#pragma once
#include <chain/chain.h>

struct pcn_loop;

/* Ring thread. Lines beyond what the loop keeps up with are shed, and counted in the next one that gets through. */
void pcn_datalog(struct pcn_loop *loop, struct pcn_chain *chain, const struct pcn_log_record *record);

/* The text of a record: %I %M %P and printf's d u x. Output is cut at size. */
void pcn_datalog_format(const struct pcn_log_record *record, char *ret_text, size_t size);
