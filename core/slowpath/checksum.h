/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/*
 * A local sender leaves the checksum of TCP and UDP to the device: at TC the
 * field holds the sum of the pseudo header alone, which user space cannot tell
 * by a flag. Where it does, the checksum is completed; any other value, right
 * or wrong, is left as it is. frame: all of it, from the Ethernet header, tags included.
 */
void pcn_checksum_complete(uint8_t *frame, size_t size);
