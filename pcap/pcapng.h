// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng - its blocks as bytes (draft-ietf-opsawg-pcapng), one call a block.
//
// Pure: a block is appended to the caller's run, in the machine's byte order
// as the draft wants it. All return 0, or -ENOMEM with nothing appended. Text
// may be NULL (the option is left out), is cut to what an option holds, and
// what is not UTF-8 in it turns into '?'.

#ifndef PCAP_PCAPNG_H
#define PCAP_PCAPNG_H

#include <stdint.h>

#include "pcap/blocks.h"
#include "pcap/frame.h"

// Section Header Block: the file's first.
struct pcapng_section {
	const char *hardware, *os, *application, *comment;
};
int pcapng_section(struct blocks *to, const struct pcapng_section *section);

// Interface Description Block; they number themselves from 0 in file order.
// Time stamps are in ns. libpcap's readers want one link type and one snapshot
// length for all interfaces of a file.
struct pcapng_interface {
	uint16_t linktype;
	uint32_t snaplen;	// of a frame, link header and all
	const char *name, *description, *filter, *os;
};
int pcapng_interface(struct blocks *to, const struct pcapng_interface *interface);

// Darwin's process block, 0x80000001: what Wireshark (from 4.6) takes process
// names from. They number themselves from 0 in file order. It allows no option
// but these two there, and warns when one is missing.
int pcapng_process(struct blocks *to, int32_t pid, const char *name, const uint8_t uuid[16]);

// Enhanced Packet Block.
struct pcapng_packet {
	uint32_t interface;
	int64_t process;	// the number of its Darwin process block; -1: none
	bool outgoing;
	const char *comment;
};
int pcapng_packet(struct blocks *to, const struct pcapng_packet *packet, const struct frame *frame);

// Of one that stands encoded at `block`, told apart from other blocks by its
// type: its interface, its time, and both numbers anew (it must have a process,
// or not, as before).
bool pcapng_is_packet(const uint8_t *block);
uint32_t pcapng_interface_of(const uint8_t *block);
uint64_t pcapng_time_of(const uint8_t *block);
void pcapng_renumber(uint8_t *block, uint32_t interface, int64_t process);

// Decryption Secrets Block of type "TLSK": NSS key log lines, newlines and all.
int pcapng_secrets(struct blocks *to, const char *lines, size_t size);

// Name Resolution Block with one record; `size` is 4 (IPv4) or 16 (IPv6).
int pcapng_name(struct blocks *to, const uint8_t *address, size_t size, const char *name);

// Interface Statistics Block.
struct pcapng_statistics {
	uint32_t interface;
	uint64_t first, last;		// ns since the epoch
	uint64_t received, accepted, dropped;
};
int pcapng_statistics(struct blocks *to, const struct pcapng_statistics *statistics);

#endif
