/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of a rule's fields, to what the compiler takes. All take lists, separated
 * by commas, with ! in front of the whole: all others. -EINVAL, with the error set: it names
 * the field, path, and the accepted form.
 */
#pragma once
#include "firewall_interface.h"
#include <pcn/error.h>

#define FIREWALL_ITEMS_MAX 1024 /* of one list */

/* Of a list that is about to be made, see struct firewall_prefixes. */
uint32_t firewall_text_serial(void);

/* "10.0.0.0/8,2001:db8::1". The items are the caller's to free. */
int firewall_text_prefixes(const char *text, const char *path, struct firewall_prefixes *ret_prefixes,
                           struct pcn_error *error);
/* "80,8000-8099". */
int firewall_text_ports(const char *text, const char *path, struct firewall_ranges *ret_ranges,
                        struct pcn_error *error);
/* "8,3/4": type, or type/code. */
int firewall_text_icmp(const char *text, const char *path, struct firewall_ranges *ret_ranges, struct pcn_error *error);
/* "TCP,47": 256 bits. */
int firewall_text_protocols(const char *text, const char *path, uint64_t ret_bitmap[4], struct pcn_error *error);
/* "SYN,!ACK": each must be so. 256 bits, by the flags' byte. */
int firewall_text_tcp_flags(const char *text, const char *path, uint64_t ret_bitmap[4], struct pcn_error *error);
/* "NEW,RELATED": by enum pcn_ct_state. */
int firewall_text_states(const char *text, const char *path, uint8_t *ret_bitmap, struct pcn_error *error);
/* "eth0,br0": names of devices. The items are the caller's to free. */
int firewall_text_interfaces(const char *text, const char *path, struct firewall_names *ret_names,
                             struct pcn_error *error);
int firewall_text_dscp(const char *text, const char *path, uint64_t *ret_bitmap, struct pcn_error *error);
