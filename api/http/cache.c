/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define CACHE_BUCKETS 2048
#define CACHE_ENTRY_OVERHEAD 1024 /* entry, response, its headers */

struct entry {
    struct pcn_http_entry public;
    atomic_uint users;
    uint64_t generation;
    uint32_t hash;
    size_t cost;
    struct entry *bucket_next;
    struct entry *newer, *older;
    char key[];
};

struct pcn_http_cache {
    pthread_mutex_t lock;
    struct entry *buckets[CACHE_BUCKETS];
    struct entry *newest, *oldest;
    size_t entries, bytes;
};

int pcn_http_cache_new(struct pcn_http_cache **ret_cache)
{
    struct pcn_http_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return -ENOMEM;
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return 0;
}

/* FNV-1a: keys are short. A client that makes keys collide slows down 1024 lookups at worst. */
static uint32_t key_hash(const char *key)
{
    uint32_t hash = 2166136261u;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash;
}

void pcn_http_entry_release(struct pcn_http_entry *entry)
{
    struct entry *own = PCN_CONTAINER_OF(entry, struct entry, public);

    if (atomic_fetch_sub_explicit(&own->users, 1, memory_order_acq_rel) != 1)
        return;
    MHD_destroy_response(own->public.response);
    free(own);
}

static void cache_link_newest(struct pcn_http_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void cache_unlink_age(struct pcn_http_cache *cache, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void cache_remove(struct pcn_http_cache *cache, struct entry *entry)
{
    struct entry **link = &cache->buckets[entry->hash % CACHE_BUCKETS];

    while (*link != entry)
        link = &(*link)->bucket_next;
    *link = entry->bucket_next;
    cache_unlink_age(cache, entry);
    cache->entries--;
    cache->bytes -= entry->cost;
    pcn_http_entry_release(&entry->public);
}

static struct entry *cache_find(struct pcn_http_cache *cache, const char *key, uint32_t hash)
{
    struct entry *entry = cache->buckets[hash % CACHE_BUCKETS];

    while (entry && (entry->hash != hash || !pcn_streq(entry->key, key)))
        entry = entry->bucket_next;
    return entry;
}

struct pcn_http_entry *pcn_http_cache_get(struct pcn_http_cache *cache, const char *key, uint64_t generation)
{
    uint32_t hash = key_hash(key);
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = cache_find(cache, key, hash);
    if (entry && entry->generation != generation) {
        cache_remove(cache, entry);
        entry = NULL;
    }
    if (entry) {
        if (entry != cache->newest) {
            cache_unlink_age(cache, entry);
            cache_link_newest(cache, entry);
        }
        atomic_fetch_add_explicit(&entry->users, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&cache->lock);
    return entry ? &entry->public : NULL;
}

bool pcn_http_cache_put(struct pcn_http_cache *cache, const char *key, uint64_t generation, const char *etag,
                        struct MHD_Response *response, size_t length, struct pcn_http_entry **ret_entry)
{
    size_t key_size = strlen(key) + 1;
    struct entry *entry, *old;

    if (length > PCN_HTTP_CACHE_BODY_MAX || key_size > PCN_HTTP_CACHE_KEY_MAX)
        return false;
    entry = calloc(1, sizeof(*entry) + key_size);
    if (!entry)
        return false;
    memcpy(entry->key, key, key_size);
    snprintf(entry->public.etag, sizeof(entry->public.etag), "%s", etag);
    entry->public.response = response;
    entry->users = 2;
    entry->generation = generation;
    entry->hash = key_hash(key);
    entry->cost = length + key_size + CACHE_ENTRY_OVERHEAD;

    pthread_mutex_lock(&cache->lock);
    old = cache_find(cache, key, entry->hash);
    if (old)
        cache_remove(cache, old);
    while (cache->oldest &&
           (cache->entries >= PCN_HTTP_CACHE_ENTRIES || cache->bytes + entry->cost > PCN_HTTP_CACHE_BYTES))
        cache_remove(cache, cache->oldest);
    entry->bucket_next = cache->buckets[entry->hash % CACHE_BUCKETS];
    cache->buckets[entry->hash % CACHE_BUCKETS] = entry;
    cache_link_newest(cache, entry);
    cache->entries++;
    cache->bytes += entry->cost;
    pthread_mutex_unlock(&cache->lock);
    *ret_entry = &entry->public;
    return true;
}

size_t pcn_http_cache_entries(struct pcn_http_cache *cache)
{
    size_t entries;

    pthread_mutex_lock(&cache->lock);
    entries = cache->entries;
    pthread_mutex_unlock(&cache->lock);
    return entries;
}

size_t pcn_http_cache_bytes(struct pcn_http_cache *cache)
{
    size_t bytes;

    pthread_mutex_lock(&cache->lock);
    bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}

void pcn_http_cache_free(struct pcn_http_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        cache_remove(cache, cache->oldest);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
