/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdint.h>

/* The low half of the kernel's jiffies, read just now: pcn_clock_jiffies() is exact from here on. */
void pcn_clock_set_jiffies(uint32_t jiffies);
