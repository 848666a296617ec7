/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer of the REST benchmark: libmicrohttpd with nothing around it, one epoll thread, the same
 * response to every request. usage: bare_http [port [body]]; prints the port, runs until it is ended.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result bare_handle(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_size, void **context)
{
    static int seen;

    /* A response queued in the first call would close the connection. */
    if (!*context) {
        *context = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, data);
}

int main(int argc, char **argv)
{
    const char *body = argc > 2 ? argv[2] : "\"INFO\"";
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_PERSISTENT);
    struct MHD_Daemon *daemon;

    if (!response || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                             "application/yang.data+json; charset=utf-8") != MHD_YES)
        return EXIT_FAILURE;
    daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)(argc > 1 ? atoi(argv[1]) : 0), NULL, NULL,
                              bare_handle, response, MHD_OPTION_CONNECTION_LIMIT, 512U, MHD_OPTION_END);
    if (!daemon) {
        (void)fputs("bare_http: cannot start\n", stderr);
        return EXIT_FAILURE;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    (void)pause();
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return EXIT_SUCCESS;
}
