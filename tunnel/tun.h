// SPDX-License-Identifier: GPL-3.0-or-later
// tun - packets from and to the tunnel device, super-packets included.
//
// Each read and write carries a virtio_net_hdr (10 bytes): an unfinished
// checksum and the segment size of a super-packet (linux/virtio_net.h).

#ifndef TUNNEL_TUN_H
#define TUNNEL_TUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// A packet as it crosses the tunnel; the meaning of the fields is the door's
// of netstack/: see struct netstack_packet there.
struct tun_packet {
	const struct iovec *iov;
	int count;
	size_t size;
	uint16_t sum_start, sum_offset;
	uint16_t segment, header_size;
	bool ipv6;
};

enum { TUN_PACKET_MAX = 65535, TUN_IOV_MAX = 192, TUN_HEADER = 10 };

// Reads one packet into `room` (TUN_PACKET_MAX bytes). > 0: its size, with the
// offload's fields in *out; -EAGAIN; another -errno: the device is gone.
int tun_read(int fd, void *room, struct tun_packet *out);

// The header that goes before a packet on its way in.
void tun_header(const struct tun_packet *packet, void *out);

// Writes one. 0, or -errno: -EAGAIN when the device's queue is full, -EIO when
// it is down.
int tun_write(int fd, const struct tun_packet *packet);

#endif
