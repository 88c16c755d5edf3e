// SPDX-License-Identifier: GPL-3.0-or-later
// tun - packets from and to the tunnel device.

#include "tunnel/tun.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

int tun_read(int fd, void *room, struct tun_packet *out)
{
	struct virtio_net_hdr header;
	struct iovec iov[2] = {{&header, sizeof(header)}, {room, TUN_PACKET_MAX}};
	ssize_t n = readv(fd, iov, 2);

	if (n < 0)
		return -errno;
	if (n <= (ssize_t)sizeof(header))
		return -EIO;
	memset(out, 0, sizeof(*out));
	out->size = (size_t)n - sizeof(header);
	if (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		out->sum_start = header.csum_start;
		out->sum_offset = header.csum_offset;
	}
	if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		out->segment = header.gso_size;
		out->header_size = header.hdr_len;
	}
	out->ipv6 = *(const unsigned char *)room >> 4 == 6;
	return (int)out->size;
}

_Static_assert(sizeof(struct virtio_net_hdr) == TUN_HEADER, "the tunnel's header has 10 bytes");

void tun_header(const struct tun_packet *packet, void *out)
{
	struct virtio_net_hdr header = {0};

	if (packet->sum_start) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = packet->sum_start;
		header.csum_offset = packet->sum_offset;
	}
	if (packet->segment) {
		header.gso_type = packet->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		header.gso_size = packet->segment;
		header.hdr_len = packet->header_size;
	}
	memcpy(out, &header, sizeof(header));
}

int tun_write(int fd, const struct tun_packet *packet)
{
	uint8_t header[TUN_HEADER];
	struct iovec iov[1 + TUN_IOV_MAX];

	if (packet->count > TUN_IOV_MAX)
		return -EMSGSIZE;
	tun_header(packet, header);
	iov[0] = (struct iovec){header, sizeof(header)};
	memcpy(iov + 1, packet->iov, (size_t)packet->count * sizeof(*iov));
	while (writev(fd, iov, 1 + packet->count) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}
