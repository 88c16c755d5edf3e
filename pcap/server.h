// SPDX-License-Identifier: GPL-3.0-or-later
// server - the capture over TCP ("PCAP-over-IP"), to whoever connects.
//
// Each reader gets what a file of its own would begin with, and then what comes
// live. One that reads too slowly loses packets, whole ones, which are counted;
// nobody waits for it.

#ifndef PCAP_SERVER_H
#define PCAP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "pcap/blocks.h"

struct server;

// Listens on "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT", numbers only; without
// an address on 127.0.0.1. `in_thread`, or NULL: its thread's first call. 0, -EINVAL for a
// text that is no such thing, or -errno, with a sentence.
int server_open(struct server **out, const char *where, int (*in_thread)(void *of), void *of, char *why,
		size_t why_size);

// Of the server that `context` is: whole records of pcapng, from any one thread; copied.
// NULL: no more come, and readers are let go once they have all.
void server_take(void *context, const struct blocks *blocks);

// Readers now, and the packets that slow ones have lost until now.
void server_count(struct server *server, uint64_t *readers, uint64_t *lost);
// Where it listens, also when any port was asked for (0).
uint16_t server_port(const struct server *server);

// Readers have a second to take what they have not.
void server_close(struct server *server);

#endif
