/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of GETs: bounds, generations, age. No server. */
#include <harness/suite.h>
#include <http/cache.h>
#include <stdio.h>

static struct pcn_http_cache *cache;

static int cache_open(void)
{
    return pcn_http_cache_new(&cache);
}

static int cache_close(void)
{
    pcn_http_cache_free(cache);
    return 0;
}

static bool put(const char *key, uint64_t generation, size_t length)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(1, (void *)"x", MHD_RESPMEM_PERSISTENT);
    struct pcn_http_entry *entry;

    if (!pcn_http_cache_put(cache, key, generation, "\"tag\"", response, length, &entry)) {
        MHD_destroy_response(response);
        return false;
    }
    pcn_http_entry_release(entry);
    return true;
}

static bool has(const char *key, uint64_t generation)
{
    struct pcn_http_entry *entry = pcn_http_cache_get(cache, key, generation);

    if (!entry)
        return false;
    PCN_CHECK_STR(entry->etag, "\"tag\"");
    pcn_http_entry_release(entry);
    return true;
}

static void entries_are_of_one_generation(void)
{
    size_t before = pcn_http_cache_entries(cache);

    PCN_CHECK(put("/a", 7, 100));
    PCN_CHECK(has("/a", 7));
    PCN_CHECK(!has("/b", 7));
    PCN_CHECK(!has("/a", 8));
    PCN_CHECK(!has("/a", 7)); /* gone for good */
    PCN_CHECK_EQ(pcn_http_cache_entries(cache), before);
}

static void an_entry_replaces_that_of_its_key(void)
{
    size_t bytes;

    PCN_CHECK(put("/a", 1, 100));
    bytes = pcn_http_cache_bytes(cache);
    PCN_CHECK(put("/a", 2, 100));
    PCN_CHECK_EQ(pcn_http_cache_bytes(cache), bytes);
    PCN_CHECK(!has("/a", 1));
    PCN_CHECK(!has("/a", 2));
}

static void entries_are_bounded_and_the_oldest_goes_first(void)
{
    char key[32];

    for (int i = 0; i < PCN_HTTP_CACHE_ENTRIES; i++) {
        snprintf(key, sizeof(key), "/%d", i);
        PCN_CHECK(put(key, 1, 10));
    }
    PCN_CHECK_EQ(pcn_http_cache_entries(cache), PCN_HTTP_CACHE_ENTRIES);
    PCN_CHECK(has("/0", 1)); /* used: now the youngest */
    PCN_CHECK(put("/new", 1, 10));
    PCN_CHECK_EQ(pcn_http_cache_entries(cache), PCN_HTTP_CACHE_ENTRIES);
    PCN_CHECK(has("/0", 1));
    PCN_CHECK(!has("/1", 1));
    PCN_CHECK(has("/2", 1));
}

static void bytes_are_bounded(void)
{
    char key[32];

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "/big/%d", i);
        PCN_CHECK(put(key, 1, PCN_HTTP_CACHE_BODY_MAX));
        PCN_CHECK(pcn_http_cache_bytes(cache) <= PCN_HTTP_CACHE_BYTES);
    }
    PCN_CHECK(has("/big/99", 1));
    PCN_CHECK(!has("/big/0", 1));
}

static void what_is_too_big_is_not_kept(void)
{
    char key[PCN_HTTP_CACHE_KEY_MAX + 1];

    PCN_CHECK(!put("/x", 1, PCN_HTTP_CACHE_BODY_MAX + 1));
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    PCN_CHECK(!put(key, 1, 1));
    key[sizeof(key) - 2] = '\0';
    PCN_CHECK(put(key, 1, 1));
}

static void an_entry_in_use_outlives_its_removal(void)
{
    struct pcn_http_entry *entry;

    PCN_CHECK(put("/used", 1, 10));
    entry = pcn_http_cache_get(cache, "/used", 1);
    PCN_REQUIRE(entry != NULL);
    PCN_CHECK(!has("/used", 2));
    PCN_CHECK_STR(entry->etag, "\"tag\"");
    pcn_http_entry_release(entry);
}

int main(int argc, char **argv)
{
    static const struct pcn_test tests[] = {
        {.name = "entries are of one generation", .run = entries_are_of_one_generation},
        {.name = "an entry replaces that of its key", .run = an_entry_replaces_that_of_its_key},
        {.name = "entries are bounded and the oldest goes first", .run = entries_are_bounded_and_the_oldest_goes_first},
        {.name = "bytes are bounded", .run = bytes_are_bounded},
        {.name = "what is too big is not kept", .run = what_is_too_big_is_not_kept},
        {.name = "an entry in use outlives its removal", .run = an_entry_in_use_outlives_its_removal},
    };

    return PCN_SUITE("HTTP: cache", tests, .setup = cache_open, .teardown = cache_close);
}
