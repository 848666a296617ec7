/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a request to struct pcn_request: the target of the request line and the JSON body.
 * Pure functions of their input, for the fuzzers' sake.
 */
#pragma once
#include "daemon/request.h"

#define PCN_HTTP_BASE_PATH "/polycube/v1"
#define PCN_HTTP_BODY_DEPTH_MAX 64              /* deeper than any model */
#define PCN_HTTP_BODY_CONTAINERS_MAX (1u << 20) /* a million entries; jansson needs up to 400 bytes for each */
#define PCN_HTTP_BODY_VALUES_MAX (8u << 20)     /* and up to 100 bytes a value: bounds memory to under 1.3 GB */

/*
 * "/polycube/v1/router/r1/ports/p1/?help=SHOW": fills in segments, help, completion and page.
 * Each segment is decoded by itself, so that %2F stays within a key; '+' is a space, as in Polycube.
 * -ENOENT, error untouched: not below the base path. -EINVAL: error says what is wrong. -ENOMEM.
 * On failure the segments parsed so far are in request: pcn_request_done() frees them.
 */
int pcn_http_parse_url(const char *target, struct pcn_request *request, struct pcn_error *error);

/*
 * One JSON document of any type (RFC 8259), nothing after it, no member twice. size 0 gives NULL.
 * -EINVAL: malformed, error says where. -E2BIG: too deep, or too many values. -ENOMEM.
 */
int pcn_http_parse_body(const char *text, size_t size, json_t **ret_body, struct pcn_error *error);

/* Whether the If-None-Match or If-Match value names etag: a list of tags, "*" for any; weak tags match too. */
bool pcn_http_etag_matches(const char *header, const char *etag);

bool pcn_http_utf8_valid(const char *text, size_t size);
