/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates for the word that is being typed, from the daemon.
 */
#pragma once
#include "run.h"

/* A completion that takes longer than this is of no use. Seconds. */
#define PCN_CLI_COMPLETE_TIMEOUT 2u

/*
 * words: of the command line so far, the last one being the word to complete, maybe "". ret_candidates: an array of
 * strings, each a whole word; empty where there are none or the daemon does not answer. Caller decrefs. -ENOMEM.
 */
int pcn_cli_complete(struct pcn_cli_session *session, int n_words, const char *const *words, json_t **ret_candidates);

/* Length of the longest common beginning of the candidates. */
size_t pcn_cli_complete_common(const json_t *candidates);
