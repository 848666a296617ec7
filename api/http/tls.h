/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clients may come in over TLS: certificates that cacert signed and that are not in the blacklist,
 * or those of the whitelist and no others. The decision is made in the handshake. The directories are what
 * c_rehash makes, or any with PEM files; a file that comes or goes counts from the next connection on.
 */
#pragma once
#include "http.h"
#include <gnutls/gnutls.h>

struct pcn_http_tls_peers;

/* -EINVAL: settings that contradict each other, files that are no certificates; errno of open(). */
int pcn_http_tls_open(const struct pcn_http_tls *config, struct pcn_error *error,
                      struct pcn_http_tls_peers **ret_peers);
void pcn_http_tls_close(struct pcn_http_tls_peers *peers);

/* PEM texts for libmicrohttpd, which reads them as long as peers lives; trust may be NULL. */
const char *pcn_http_tls_cert(const struct pcn_http_tls_peers *peers);
const char *pcn_http_tls_key(const struct pcn_http_tls_peers *peers);
const char *pcn_http_tls_trust(const struct pcn_http_tls_peers *peers);

/* Whether clients need a certificate at all. */
bool pcn_http_tls_mutual(const struct pcn_http_tls_peers *peers);

/* Whether the peer of session, in its handshake, may come in. HTTP thread only. */
bool pcn_http_tls_peer_allowed(struct pcn_http_tls_peers *peers, gnutls_session_t session);
