// SPDX-License-Identifier: GPL-3.0-or-later
// loop - the turns: packets off the tunnel, news to whom they are for, one flush.
//
// A turn waits for events, takes a bounded batch of packets, moves every
// session that has news, and lets the stack send once. When the capture's
// queue is full nothing more is taken in, from the app or from origins, until
// the writer has caught up.

#ifndef TUNNEL_LOOP_H
#define TUNNEL_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct capture;
struct loop;
struct policy;
struct process_finder;
struct tap;
struct tls_house;

// Where the app's packets come from and go to.
struct loop_inlet {
	int tunnel;		// nonblocking, as tunnel/tun.h reads and writes it
	// Packets with ::1 in them: parts[0] is tun_header()'s. 0 or -errno.
	int (*write_loopback6)(void *of, const struct iovec *parts, int count);
	// Does a program on the app's own side of the tunnel answer for `peer`?
	// Then packets to it are written straight back. NULL: never.
	bool (*inside)(void *of, int protocol, const struct sockaddr *app, const struct sockaddr *peer);
	// Takes note of the owners announced so far, before one is asked for.
	// NULL: owners are looked for, not announced.
	void (*owners)(void *of);
	void *of;
};

// What crossed the tunnel, counted where it does: IP packets and their bytes, whatever
// became of them. `lost`: of those to the app, the ones that the device had no room for.
struct loop_traffic {
	uint64_t packets, bytes, lost;
};

// All borrowed.
struct loop_parts {
	struct loop_inlet inlet;
	uint16_t mtu;
	struct tap *tap;
	struct capture *capture;	// or NULL
	bool ends_with_capture;		// stops once the capture is done
	struct process_finder *finder;
	struct tls_house *house;	// or NULL
	struct policy *policy;
	bool fingerprints;		// as session_parts'
	struct loop_traffic *traffic;	// counted on until loop_close()'s end
};

int loop_open(struct loop **out, const struct loop_parts *parts, char *why, size_t why_size);
void loop_close(struct loop *loop);

// Calls `ready` whenever `fd` can be read. At most LOOP_WATCHES.
enum { LOOP_WATCHES = 8 };
int loop_watch(struct loop *loop, int fd, void (*ready)(void *context), void *context);
void loop_unwatch(struct loop *loop, int fd);

// Turns until loop_stop(), or until all is passed on after loop_drain().
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
// The app is gone: ends once the origins have all that it sent, and at the
// latest when for ten seconds nothing moved.
void loop_drain(struct loop *loop);

#endif
