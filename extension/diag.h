// SPDX-License-Identifier: GPL-3.0-or-later
// diag - the namespace's sockets, one at a time, by sock_diag(7).

#ifndef EXTENSION_DIAG_H
#define EXTENSION_DIAG_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct diag_socket {
	uint32_t inode;		// 0: no process holds it any more
	uid_t uid;
	uint8_t state;		// of TCP: TCP_LISTEN, ... (netinet/tcp.h)
};

// The socket that a packet from `remote` to `local` would reach, of IPPROTO_TCP or
// IPPROTO_UDP. With a NULL `remote`, one that listens there. 0, -ENOENT, or -errno.
int diag_find(int diag, int protocol, const struct sockaddr *local, const struct sockaddr *remote,
	      struct diag_socket *out);

// Datagram ICMP sockets have no sock_diag: they are read from /proc/PID/net of
// `within`. The port of `local` is the echo identifier.
int diag_find_ping(pid_t within, const struct sockaddr *local, struct diag_socket *out);

#endif
