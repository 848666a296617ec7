/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to GETs, ready to be queued again while pcn_generation() has not moved. Bounded in entries and
 * bytes; the least recently used goes first. Thread-safe.
 */
#pragma once
#include <microhttpd.h>
#include <pcn/base.h>

#define PCN_HTTP_CACHE_ENTRIES 1024
#define PCN_HTTP_CACHE_BYTES (4u << 20)      /* of bodies and keys, and what an entry costs besides */
#define PCN_HTTP_CACHE_BODY_MAX (256u << 10) /* so that one answer cannot push out all others */
#define PCN_HTTP_CACHE_KEY_MAX 512

struct pcn_http_cache;

/* A cached answer, status 200; read-only. Counted: libmicrohttpd does not let others count a response's users. */
struct pcn_http_entry {
    struct MHD_Response *response;
    char etag[64]; /* empty: none */
};

int pcn_http_cache_new(struct pcn_http_cache **ret_cache);
void pcn_http_cache_free(struct pcn_http_cache *cache);

/* NULL: not there, or made at another generation. The caller releases what it gets. */
struct pcn_http_entry *pcn_http_cache_get(struct pcn_http_cache *cache, const char *key, uint64_t generation);
void pcn_http_entry_release(struct pcn_http_entry *entry);

/*
 * Keeps response, of length bytes, which it takes over on success; returns false, and leaves it to the caller,
 * when it is too big or memory is short. generation is that from before the request was handed over: should a
 * change have overtaken it, the entry is never served. The caller's next use of response is through
 * ret_entry, which it releases.
 */
bool pcn_http_cache_put(struct pcn_http_cache *cache, const char *key, uint64_t generation, const char *etag,
                        struct MHD_Response *response, size_t length, struct pcn_http_entry **ret_entry);

size_t pcn_http_cache_entries(struct pcn_http_cache *cache);
size_t pcn_http_cache_bytes(struct pcn_http_cache *cache);
