// SPDX-License-Identifier: GPL-3.0-or-later
// filter - a libpcap expression over an IP packet.

#ifndef PCAP_FILTER_H
#define PCAP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct capture_filter;

// 0, or -EINVAL with libpcap's words in `why`, or -ENOMEM.
int capture_filter_open(struct capture_filter **out, const char *expression, char *why,
			size_t why_size);
bool capture_filter_matches(struct capture_filter *filter, const struct iovec *iov, int count,
			    size_t size);
void capture_filter_close(struct capture_filter *filter);

#endif
