/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"
#include <dirent.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <sys/stat.h>

#define TLS_FILE_MAX (1u << 20)
#define TLS_DIRECTORY_MAX 4096 /* certificates of one directory */
#define TLS_DIGEST 32          /* SHA-256 */

struct digest {
    unsigned char bytes[TLS_DIGEST];
};

/* The certificates of a directory, by digest of their DER form. */
struct directory {
    char *path;
    struct timespec changed; /* when it was read */
    struct digest *digests;
    size_t n_digests;
    bool known; /* false: it could not be read */
};

struct pcn_http_tls_peers {
    char *cert, *key, *trust;
    struct directory whitelist, blacklist;
};

static int file_read(int directory, const char *path, char **ret_text, size_t *ret_size)
{
    _cleanup_close_ int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_free_ char *text = NULL;
    struct stat status;
    size_t size = 0;

    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size > TLS_FILE_MAX)
        return -EINVAL;
    text = malloc((size_t)status.st_size + 1);
    if (!text)
        return -ENOMEM;
    while (size < (size_t)status.st_size) {
        ssize_t n = read(fd, text + size, (size_t)status.st_size - size);

        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    text[size] = '\0';
    *ret_text = TAKE_PTR(text);
    *ret_size = size;
    return 0;
}

static int digest_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static int directory_add(struct directory *directory, const gnutls_datum_t *der)
{
    struct digest *grown;

    if (directory->n_digests == TLS_DIRECTORY_MAX)
        return -E2BIG;
    grown = reallocarray(directory->digests, directory->n_digests + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    directory->digests = grown;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, der->data, der->size, grown[directory->n_digests].bytes) < 0)
        return -EIO;
    directory->n_digests++;
    return 0;
}

/* Files that hold no certificate, revocation lists for one, are passed over. */
static int directory_add_file(struct directory *directory, int fd, const char *name)
{
    _cleanup_free_ char *text = NULL;
    gnutls_x509_crt_t *certificates;
    unsigned int n = 0;
    gnutls_datum_t datum;
    size_t size;
    int r;

    r = file_read(fd, name, &text, &size);
    if (r < 0)
        return r == -EINVAL || r == -ENOENT ? 0 : r;
    datum = (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned int)size};
    if (gnutls_x509_crt_list_import2(&certificates, &n, &datum, GNUTLS_X509_FMT_PEM, 0) < 0)
        return 0;
    for (unsigned int i = 0; i < n; i++) {
        gnutls_datum_t der;

        if (r == 0 && gnutls_x509_crt_export2(certificates[i], GNUTLS_X509_FMT_DER, &der) == 0) {
            r = directory_add(directory, &der);
            gnutls_free(der.data);
        }
        gnutls_x509_crt_deinit(certificates[i]);
    }
    gnutls_free(certificates);
    return r;
}

static int directory_read(struct directory *directory)
{
    DIR *stream = opendir(directory->path);
    struct dirent *entry;
    int r = 0;

    if (!stream)
        return -errno;
    directory->n_digests = 0;
    while (r == 0 && (entry = readdir(stream)))
        if (entry->d_name[0] != '.')
            r = directory_add_file(directory, dirfd(stream), entry->d_name);
    closedir(stream);
    if (r == 0 && directory->n_digests)
        qsort(directory->digests, directory->n_digests, sizeof(struct digest), digest_compare);
    return r;
}

/* false: the directory is not what it should be, and nobody can be judged by it. */
static bool directory_refresh(struct directory *directory)
{
    struct stat status;

    if (stat(directory->path, &status) < 0)
        return directory->known = false;
    if (directory->known && status.st_mtim.tv_sec == directory->changed.tv_sec &&
        status.st_mtim.tv_nsec == directory->changed.tv_nsec)
        return true;
    directory->changed = status.st_mtim;
    return directory->known = directory_read(directory) == 0;
}

static bool directory_has(const struct directory *directory, const gnutls_datum_t *der)
{
    struct digest digest;

    return directory->n_digests && gnutls_hash_fast(GNUTLS_DIG_SHA256, der->data, der->size, digest.bytes) == 0 &&
           bsearch(&digest, directory->digests, directory->n_digests, sizeof(digest), digest_compare);
}

static bool peer_signed(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (void *)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned int status = 0;

    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

bool pcn_http_tls_peer_allowed(struct pcn_http_tls_peers *peers, gnutls_session_t session)
{
    unsigned int n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);

    if (!chain || n == 0)
        return false;
    if (peers->whitelist.path)
        return directory_refresh(&peers->whitelist) && directory_has(&peers->whitelist, &chain[0]);
    if (!peer_signed(session))
        return false;
    return !peers->blacklist.path ||
           (directory_refresh(&peers->blacklist) && !directory_has(&peers->blacklist, &chain[0]));
}

static int settings_check(const struct pcn_http_tls *config, struct pcn_error *error)
{
    if (!config->cert || !config->key)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: cert and key go together");
    if (config->cacert && config->whitelist)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: give cacert or cert-whitelist, not both");
    if (config->blacklist && !config->cacert)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: cert-blacklist needs cacert");
    return 0;
}

static int settings_read(const char *what, const char *path, char **ret_text, struct pcn_error *error)
{
    size_t size;
    int r = file_read(AT_FDCWD, path, ret_text, &size);

    if (r < 0)
        pcn_error_set(error, PCN_ERROR_FAILED, "", "TLS: cannot read %s %.200s: %s", what, path, strerror(-r));
    return r;
}

static int settings_directory(struct directory *directory, const char *path, struct pcn_error *error)
{
    if (!path)
        return 0;
    directory->path = strdup(path);
    if (!directory->path)
        return -ENOMEM;
    if (directory_refresh(directory))
        return 0;
    return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: cannot read the certificates in %.200s", path);
}

/* libmicrohttpd would only say that it did not start. */
static int settings_load(const struct pcn_http_tls_peers *peers, bool cacert, struct pcn_error *error)
{
    gnutls_datum_t cert = {.data = (unsigned char *)peers->cert, .size = (unsigned int)strlen(peers->cert)};
    gnutls_datum_t key = {.data = (unsigned char *)peers->key, .size = (unsigned int)strlen(peers->key)};
    gnutls_certificate_credentials_t credentials;
    int r;

    if (gnutls_certificate_allocate_credentials(&credentials) < 0)
        return -ENOMEM;
    r = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (r < 0) {
        r = pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: cert and key: %s", gnutls_strerror(r));
    } else if (cacert) {
        gnutls_datum_t trust = {.data = (unsigned char *)peers->trust, .size = (unsigned int)strlen(peers->trust)};

        r = gnutls_certificate_set_x509_trust_mem(credentials, &trust, GNUTLS_X509_FMT_PEM);
        if (r <= 0)
            r = pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "TLS: cacert: %s",
                              r < 0 ? gnutls_strerror(r) : "it holds no certificate");
    }
    gnutls_certificate_free_credentials(credentials);
    return r < 0 ? r : 0;
}

static void peers_freep(struct pcn_http_tls_peers **peers)
{
    pcn_http_tls_close(*peers);
}

int pcn_http_tls_open(const struct pcn_http_tls *config, struct pcn_error *error, struct pcn_http_tls_peers **ret_peers)
{
    _cleanup_(peers_freep) struct pcn_http_tls_peers *peers = NULL;
    int r = settings_check(config, error);

    if (r < 0)
        return r;
    peers = calloc(1, sizeof(*peers));
    if (!peers)
        return -ENOMEM;
    r = settings_read("cert", config->cert, &peers->cert, error);
    if (r == 0)
        r = settings_read("key", config->key, &peers->key, error);
    if (r == 0 && config->cacert)
        r = settings_read("cacert", config->cacert, &peers->trust, error);
    if (r == 0)
        r = settings_load(peers, config->cacert, error);
    if (r == 0)
        r = settings_directory(&peers->whitelist, config->whitelist, error);
    if (r == 0)
        r = settings_directory(&peers->blacklist, config->blacklist, error);
    if (r < 0)
        return r;
    *ret_peers = TAKE_PTR(peers);
    return 0;
}

void pcn_http_tls_close(struct pcn_http_tls_peers *peers)
{
    if (!peers)
        return;
    free(peers->cert);
    if (peers->key)
        explicit_bzero(peers->key, strlen(peers->key));
    free(peers->key);
    free(peers->trust);
    free(peers->whitelist.path);
    free(peers->whitelist.digests);
    free(peers->blacklist.path);
    free(peers->blacklist.digests);
    free(peers);
}

const char *pcn_http_tls_cert(const struct pcn_http_tls_peers *peers)
{
    return peers->cert;
}

const char *pcn_http_tls_key(const struct pcn_http_tls_peers *peers)
{
    return peers->key;
}

const char *pcn_http_tls_trust(const struct pcn_http_tls_peers *peers)
{
    return peers->trust;
}

bool pcn_http_tls_mutual(const struct pcn_http_tls_peers *peers)
{
    return peers->trust || peers->whitelist.path;
}
