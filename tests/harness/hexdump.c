/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <harness/packet.h>
#include <harness/suite.h>

/* 16 bytes a line; a byte that is not that of other stands in brackets. */
void pcn_hexdump(const char *title, const void *bytes, size_t length, const void *other, size_t other_length)
{
    const uint8_t *a = bytes, *b = other;

    printf("    %s, %zu bytes\n", title, length);
    for (size_t line = 0; line < length; line += 16) {
        printf("      %04zx ", line);
        for (size_t i = line; i < line + 16; i++) {
            bool differs = b && i < length && (i >= other_length || a[i] != b[i]);

            if (i < length)
                printf("%c%02x%c", differs ? '[' : ' ', a[i], differs ? ']' : ' ');
            else
                printf("    ");
        }
        printf("  ");
        for (size_t i = line; i < line + 16 && i < length; i++)
            putchar(isprint(a[i]) ? a[i] : '.');
        putchar('\n');
    }
}

bool pcn_check_bytes(const void *actual, size_t actual_length, const void *expected, size_t expected_length,
                     unsigned int line, const char *file)
{
    bool same = actual_length == expected_length && memcmp(actual, expected, actual_length) == 0;

    if (!same) {
        printf("\n    %s:%u: the bytes differ\n", file, line);
        pcn_hexdump("found", actual, actual_length, expected, expected_length);
        pcn_hexdump("expected", expected, expected_length, actual, actual_length);
    }
    return CU_assertImplementation(same, line, "the bytes are as expected", file, "", CU_FALSE);
}
