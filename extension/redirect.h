// SPDX-License-Identifier: GPL-3.0-or-later
// redirect - programs already on this machine: their sockets onto a tunnel.
//
// eBPF programs at a cgroup v2's connect and sendmsg hooks bind the sockets of
// matching processes to a TUN device, and announce each new flow with its owner
// before its first packet can be read. Needs root, or CAP_BPF, CAP_NET_ADMIN
// and CAP_PERFMON (and CAP_SYS_ADMIN where control groups v2 are mounted nowhere, or
// for another network namespace), and Linux 5.17.
//
// Nothing stays: programs, devices, addresses and routes are all held by descriptors
// of this process and die with it, however it dies; there is no rule. Two guard processes,
// forked by redirect_open() and left with CAP_NET_ADMIN alone, then reset the connections
// that were on the tunnel, and let go of the datagram sockets (they see ECONNABORTED
// once); one would do, but for its own death. They are children: redirect_close() waits
// for them, nobody else should.
//
// What is left alone, beside what the options say: listeners; sockets that their
// program has bound to a device; a UDP socket with a port of the program's choice as long
// as it is not connected (a server's, whose answers go where the questions came from);
// multicast, broadcast, IPv6 link-local destinations (whose device a packet cannot
// say), sockets from ::1; IPv6 altogether where the host has no address for it; ICMP, which no
// hook is asked about; sockets of the kernel's own; sockets in other network namespaces, and
// this process's.
// A connection that stood before goes on as it is; a UDP socket that stood is taken at
// its next datagram.
//
// A process is in by the spec itself, by its ancestors (their children are in), or by
// what it was before an exec; an exclusion that fits it overrides both. Ancestors
// that have run since before the opening are looked at without their argv[0].

#ifndef EXTENSION_REDIRECT_H
#define EXTENSION_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct redirect;
struct spec;

struct redirect_cidr { int family; uint8_t bytes[16]; uint8_t prefix; };

struct redirect_options {
	const struct spec *spec;	// borrowed during the call
	uint16_t mtu;
	bool no_loopback;		// destinations on 127.0.0.0/8 and ::1 are left alone
	const struct redirect_cidr *only, *except;	// by destination
	size_t only_count, except_count;
};

// Takes the calling thread into the network namespace of a PID, or of a name in
// /run/netns; call it before there are others. What is opened from then on, a redirect
// and any socket, is that namespace's. 0, or -errno with a sentence.
int redirect_enter(const char *netns, char *why, size_t why_size);

// Opens the device, loads and attaches. 0, or -errno with a sentence that names
// what the kernel or the caller lacks and what to do.
int redirect_open(struct redirect **out, const struct redirect_options *options, char *why, size_t why_size);
void redirect_close(struct redirect *redirect);

// Another spec from now on, applied as a whole. 0 or -errno.
int redirect_change(struct redirect *redirect, const struct spec *spec);

// As launch_tunnel() and launch_write_loopback6().
int redirect_tunnel(const struct redirect *redirect);
int redirect_write_loopback6(const struct redirect *redirect, const struct iovec *parts, int count);
// The tunnel device's name, "apptap0".
const char *redirect_device(const struct redirect *redirect);

// A flow's owner. Read all there are before packets are read off the tunnel. Or, once for
// each, a process that the spec takes and that is out of reach, for it is in another
// network namespace: it has connected there, and is left alone.
struct redirect_owner {
	bool out_of_reach;		// then protocol, app and peer are empty
	int protocol;
	struct sockaddr_storage app, peer;	// peer of family 0: any (unconnected UDP)
	pid_t pid, parent;
	uid_t uid;
	uint64_t start;			// ns since the epoch
	char name[64];
	char path[256], arguments[256], cgroup[256];	// cut; "" where not known
};
int redirect_fd(const struct redirect *redirect);	// readable when there are owners
// 1: *owner is filled; 0: no more.
int redirect_read(struct redirect *redirect, struct redirect_owner *owner);

// Of either guard, 0 and 1: readable when it is no more. The tap should end then, while the other is there.
int redirect_guard_fd(const struct redirect *redirect, int number);

#endif
