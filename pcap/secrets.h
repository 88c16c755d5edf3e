// SPDX-License-Identifier: GPL-3.0-or-later
// secrets - what decrypts the flows that go on, for the next file of a ring.

#ifndef PCAP_SECRETS_H
#define PCAP_SECRETS_H

#include <stddef.h>
#include <stdint.h>

struct secrets;

struct secret {
	uint64_t flow;
	char *lines;		// each with its newline
	size_t size;
	unsigned file;		// the last file that has them
	struct secret *beside;	// secrets' own
};

struct secrets *secrets_open(void);
void secrets_close(struct secrets *secrets);

// Lines that file number `file` has. Beyond the bound, and without memory, they
// are not kept: the next file then lacks them.
void secrets_add(struct secrets *secrets, uint64_t flow, const char *lines, size_t size, unsigned file);
// NULL: none known.
struct secret *secrets_find(struct secrets *secrets, uint64_t flow);
// The flow is over.
void secrets_forget(struct secrets *secrets, uint64_t flow);

#endif
