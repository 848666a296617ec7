/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"
#include <poll.h>
#include <sys/stat.h>

/* Whether there is, or soon will be, something to read: data, or the end of it. */
static bool input_ready(int fd, enum pcn_cli_input input)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int timeout = -1;

    if (input == PCN_CLI_INPUT_OFFERED)
        timeout = PCN_CLI_OFFERED_MS;
    else if (input == PCN_CLI_INPUT_EXPECTED)
        timeout = PCN_CLI_EXPECTED_MS;
    return poll(&poller, 1, timeout) > 0 && (poller.revents & (POLLIN | POLLHUP));
}

static bool input_offered(int fd, enum pcn_cli_input input)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return false;
    if (input == PCN_CLI_INPUT_REQUIRED)
        return true;
    if (S_ISREG(status.st_mode))
        return lseek(fd, 0, SEEK_CUR) == 0;
    if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))
        return input_ready(fd, input);
    return false;
}

static int input_read_all(int fd, char **ret_text, size_t *ret_length, struct pcn_cli_message *message)
{
    _cleanup_free_ char *text = NULL;
    size_t length = 0, room = 0;

    for (;;) {
        ssize_t n;

        if (length + 1 >= room) {
            char *grown;

            room = room ? room * 2 : 16384;
            grown = realloc(text, room);
            if (!grown)
                return pcn_cli_fail(message, -ENOMEM, "out of memory");
            text = grown;
        }
        n = read(fd, text + length, room - length - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pcn_cli_fail(message, -errno, "cannot read standard input: %m");
        if (n == 0)
            break;
        length += (size_t)n;
        if (length > PCN_CLI_INPUT_LENGTH)
            return pcn_cli_fail(message, -E2BIG, "standard input is longer than %u MiB", PCN_CLI_INPUT_LENGTH >> 20);
    }
    text[length] = '\0';
    *ret_text = TAKE_PTR(text);
    *ret_length = length;
    return 0;
}

int pcn_cli_input_read(int fd, enum pcn_cli_input input, char **ret_text, size_t *ret_length,
                       struct pcn_cli_message *message)
{
    _cleanup_free_ char *text = NULL;
    size_t length = 0;
    int r;

    if (input != PCN_CLI_INPUT_NONE && input_offered(fd, input)) {
        r = input_read_all(fd, &text, &length, message);
        if (r < 0)
            return r;
        if (memchr(text, '\0', length))
            return pcn_cli_fail(message, -EINVAL, "standard input is not text");
    }
    if (text && !text[strspn(text, " \t\r\n")]) {
        free(TAKE_PTR(text));
        length = 0;
    }
    if (!text && input == PCN_CLI_INPUT_REQUIRED)
        return pcn_cli_fail(message, -EINVAL, "standard input is empty");
    *ret_text = TAKE_PTR(text);
    *ret_length = length;
    return 0;
}
