// SPDX-License-Identifier: GPL-3.0-or-later
// frame - one packet as it stands in the file: an SLL2 header, then IP bytes.
//
// LINKTYPE_LINUX_SLL2 (276), 20 bytes, network order: protocol (an EtherType),
// reserved, interface index, ARPHRD type, packet type (0: to us, 4: from us),
// address length, 8 bytes of address. "Us" is the application. Plain IP
// (LINKTYPE_RAW) carries no direction, and libpcap's readers refuse it in a
// file of several interfaces.
//
// PKTAP (258), 108 bytes, little endian, is what macOS's tcpdump writes. It
// names the process in each packet, in classic files too: lengths and type of
// what follows (raw IP), interface, direction (1 in, 2 out), address family (2,
// and 30 for IPv6), PID, name, and the same again for who it is done for.

#ifndef PCAP_FRAME_H
#define PCAP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { SLL2_SIZE = 20, SLL2_LINKTYPE = 276 };
enum { PKTAP_SIZE = 108, PKTAP_LINKTYPE = 258, LINK_MOST = PKTAP_SIZE };

// What readers take for the largest sensible frame: libpcap's own limit for
// this link type, and so the snapshot length of a file that cuts nothing.
enum { FRAME_MOST = 262144 };

struct frame {
	uint64_t time;			// ns since the epoch
	uint8_t link[LINK_MOST];
	size_t link_size;		// SLL2_SIZE or PKTAP_SIZE
	const struct iovec *iov;	// the IP packet
	int count;
	size_t size, kept;		// IP bytes there were, and that go into the file
	uint16_t sum_start, sum_offset;	// as in struct capture_packet
};

// Its link header of that type, SLL2_LINKTYPE or PKTAP_LINKTYPE; the pieces are there
// already. `outgoing`: from the application; `pid` -1 and an empty name: not known.
void frame_link(struct frame *frame, uint16_t linktype, bool outgoing, int32_t pid, const char *name);

// Link header and kept bytes, link_size + kept of them, at `to`, with the
// checksum finished.
void frame_put(uint8_t *to, const struct frame *frame);

// The first `size` bytes of the pieces, or all there are; how many.
size_t frame_gather(uint8_t *to, size_t size, const struct iovec *iov, int count);

#endif
