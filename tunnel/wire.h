// SPDX-License-Identifier: GPL-3.0-or-later
// wire - one side of a conversation as bytes: the app's flow in the stack, or
// the origin's socket. Both are spoken to alike.
//
// Who gets the news (session) keeps the flags true: `readable` and `writable`
// mean "not known to answer -EAGAIN", and are set again by the event. A read that
// is short of what was asked has emptied the socket (epoll(7)), so none follows to
// be told so; but not one that stopped before an end, an error or an urgent byte
// that the event spoke of, for of these there is no second event.

#ifndef TUNNEL_WIRE_H
#define TUNNEL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tunnel/flow.h"

struct netstack_flow;
struct starttls;
struct tap;

struct wire {
	struct netstack_flow *flow;	// APP; NULL once it is gone
	struct flow *record;		// counts what the app sent and got
	struct tap *tap;		// hears what is spliced from here; NULL: nobody does
	struct starttls *starttls;	// ORIGIN only: likewise
	int fd;				// ORIGIN; -1: none
	int error;			// the wire broke: -errno
	enum side side : 8;
	bool readable, writable;	// ORIGIN only
	bool to_the_end;		// ORIGIN only: read until it says that there is no more
	bool ended;			// the far end finished and all was read
	bool finished;			// we finished: no more is written
};

// As read(2) and write(2): > 0, 0 at the end, -EAGAIN, -errno.
ssize_t wire_read(struct wire *wire, void *bytes, size_t size);
ssize_t wire_write(struct wire *wire, const void *bytes, size_t size);

// All there is from one to the other without a copy, at most `budget` bytes.
// 0: that is all for now; 1: the budget is used up; -errno: `from` or `to`
// broke (its `error` says so).
int wire_splice(struct wire *from, struct wire *to, size_t budget);

// No more from us: a FIN. Idempotent.
void wire_finish(struct wire *wire);
// A RST, and the wire is gone.
void wire_abort(struct wire *wire);
// Lets go; what was written still goes out.
void wire_close(struct wire *wire);

#endif
