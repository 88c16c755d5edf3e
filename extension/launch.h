// SPDX-License-Identifier: GPL-3.0-or-later
// launch - a command in a namespace of its own, its packets on a tunnel.
//
// launch_open() makes a keeper process in new namespaces (user, network,
// mount; as real root no user namespace is needed), with a tunnel device as
// its only way out, and hands the descriptors over. launch_start() lets the
// command run. The keeper is the subreaper of the command's whole tree: it
// says when the command ends and when the last process is gone, and if apptap
// dies, however, it kills the tree.
//
// Call launch_open() before any thread or event loop is made, and before anything
// that the command is to find as it was is changed: signal dispositions and mask,
// limits, umask, working folder. What apptap opens must be O_CLOEXEC. apptap becomes a
// subreaper.

#ifndef EXTENSION_LAUNCH_H
#define EXTENSION_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct launch;

// A file laid over `path` inside the mount namespace and only there.
struct launch_overlay {
	char *path;		// a file; where there is none it is added if it can be
	void *bytes;
	size_t size;
};

struct launch_options {
	char *const *argv;
	char *const *environment;
	uint16_t mtu;
	const struct launch_overlay *overlays;
	size_t overlay_count;
	// A folder that is empty outside; inside it is a tmpfs that holds
	// `files` (their path is a plain name). NULL: none.
	const char *folder;
	const struct launch_overlay *files;
	size_t file_count;
	// Folders that are an NSS database and nothing else: inside there is a copy of
	// each, which trusts this certificate (PEM) too and goes with the namespace.
	char *const *databases;
	size_t database_count;
	const char *authority;
	size_t authority_size;
};

// 0, or -errno with one sentence that says which door is locked and what to do.
int launch_open(struct launch **out, const struct launch_options *options, char *why, size_t why_size);

// Owned by the launch. The tunnel: IFF_TUN, IFF_NO_PI, IFF_VNET_HDR with a
// 10-byte virtio_net_hdr, nonblocking.
int launch_tunnel(const struct launch *launch);
// For packets with ::1 as source or destination, which the kernel takes only from
// its own loopback device: a packet socket; -1 where that could not be made, and
// then ::1 stays inside and nothing of it is seen on the tunnel. It is for writing
// only, by launch_write_loopback6().
int launch_loopback6(const struct launch *launch);
// Writes one packet there as it would be written to the tunnel: a 10-byte
// virtio_net_hdr (whole in parts[0]), then the IPv6 packet. The socket itself
// wants an Ethernet header between the two, and the offsets in virtio_net_hdr
// to count it. 0 or -errno.
int launch_write_loopback6(const struct launch *launch, const struct iovec *parts, int count);
// Is it an address of the namespace's own: loopback, or one copied from the host?
bool launch_owns(const struct launch *launch, const struct sockaddr *address);
// A NETLINK_SOCK_DIAG socket of the namespace, for process_open().
int launch_diag(const struct launch *launch);
// The keeper's pid: every process inside descends from it.
pid_t launch_keeper(const struct launch *launch);

// Runs the command. 0, or the -errno of its exec (-ENOENT: 127, else 126).
int launch_start(struct launch *launch);
pid_t launch_command(const struct launch *launch);

enum launch_event {
	LAUNCH_NOTHING,
	LAUNCH_ENDED,		// the command: `status` as from waitpid
	LAUNCH_EMPTY,		// the last process inside is gone
	LAUNCH_LOST,		// the keeper died
};
struct launch_news {
	enum launch_event event;
	int status;
	int left;		// LAUNCH_ENDED: processes that still run
	char left_name[32];	// one of them
};
// Readable when launch_read() has news. After LAUNCH_LOST it stays readable with
// no more news: stop watching it.
int launch_fd(const struct launch *launch);
int launch_read(struct launch *launch, struct launch_news *news);

int launch_signal(struct launch *launch, int signal);

// Kills what still runs, unless `leave`, and waits for the keeper. NULL is fine.
void launch_close(struct launch *launch, bool leave);

#endif
