// SPDX-License-Identifier: GPL-3.0-or-later
// loop - the turns: packets off the tunnel, news to whom they are for, one flush.

#include "tunnel/loop.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "netstack/netstack.h"
#include "pcap/capture.h"
#include "tunnel/datagram.h"
#include "tunnel/events.h"
#include "tunnel/log.h"
#include "tunnel/packet.h"
#include "tunnel/session.h"
#include "tunnel/tap.h"
#include "tunnel/tun.h"

enum {
	BATCH = 64,	// packets of one turn, at most
	TRIM_SWEEPS = 16,
	LAST = 8192,	// of the last one: more than the device holds for us
};

#define SECOND 1000000000ull
#define DRAIN_TIME (10 * SECOND)
// For the origins' own ends, which usually follow at once.
#define GRACE (SECOND / 4)
#define NEVER UINT64_MAX

struct watch {
	struct event event;
	void (*ready)(void *context);
	void *context;
};

struct loop {
	struct loop_parts parts;
	struct events *events;
	struct event tunnel, capture;
	struct netstack *stack;
	struct sessions *sessions;
	struct datagrams *datagrams;
	struct watch watches[LOOP_WATCHES];
	uint64_t turn, read_in_turn;	// numbers: this turn's, and the last one's with packets
	int expected;			// packets of the next one
	uint64_t next_sweep, drain_until, grace_until, drained_progress;
	uint64_t crossed;		// packets, at the last sweep
	unsigned untrimmed;		// sweeps since memory was last given back; 0: nothing to give
	bool paused, stopped, draining;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void read_clock(struct loop *l)
{
	tap_clock(l->parts.tap, clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_REALTIME));
}

// A turn's time is its beginning; only where packets are written down each has its own.
static void stamp(struct loop *l)
{
	if (l->parts.capture)
		read_clock(l);
}

// --- packets to the app -----------------------------------------------------

static bool is_loopback6(const struct tun_packet *p)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *header = p->iov[0].iov_base;

	return p->ipv6 && p->iov[0].iov_len >= 40 &&
	       (!memcmp(header + 8, one, 16) || !memcmp(header + 24, one, 16));
}

// ::1 is taken by the kernel only from its own loopback device.
static int write_loopback6(struct loop *l, const struct tun_packet *p)
{
	uint8_t header[TUN_HEADER];
	struct iovec iov[1 + TUN_IOV_MAX];

	if (p->count > TUN_IOV_MAX)
		return -EMSGSIZE;
	tun_header(p, header);
	iov[0] = (struct iovec){header, sizeof(header)};
	memcpy(iov + 1, p->iov, (size_t)p->count * sizeof(*iov));
	return l->parts.inlet.write_loopback6(l->parts.inlet.of, iov, 1 + p->count);
}

// What the device has no room for is lost as on any wire; the stack sends it
// again.
static void write_packet(struct loop *l, const struct tun_packet *p)
{
	if (is_loopback6(p) ? write_loopback6(l, p) : tun_write(l->parts.inlet.tunnel, p))
		l->parts.traffic->lost++;
}

static void count(struct loop *l, size_t size)
{
	l->parts.traffic->packets++;
	l->parts.traffic->bytes += size;
}

static void on_output(void *context, const struct netstack_packet *p)
{
	struct loop *l = context;
	struct tun_packet t = {
		.iov = p->iov, .count = p->count, .size = p->size, .sum_start = p->sum_start,
		.sum_offset = p->sum_offset, .segment = p->segment, .header_size = p->header_size,
		.ipv6 = p->ipv6,
	};

	stamp(l);
	count(l, t.size);
	tap_to_app(l->parts.tap, &t);
	write_packet(l, &t);
}

// --- packets from the app ---------------------------------------------------

static bool read_packet(struct loop *l)
{
	struct tun_packet p;
	struct packet view;
	void *bytes = netstack_lend(l->stack);
	int size = bytes ? tun_read(l->parts.inlet.tunnel, bytes, &p) : -ENOMEM;

	if (size < 0) {
		if (size != -EAGAIN && size != -EINTR) {
			log_error("the tunnel is gone: %s", strerror(-size));
			loop_stop(l);
		}
		return false;
	}
	count(l, (size_t)size);
	if (packet_read(&view, bytes, (size_t)size))
		return true;
	struct iovec iov = {bytes, (size_t)size};
	p.iov = &iov;
	p.count = 1;
	stamp(l);
	if (view.protocol == IPPROTO_UDP && l->parts.inlet.owners) {
		l->parts.inlet.owners(l->parts.inlet.of);
		datagrams_owner(l->datagrams, &view.from, &view.to);
	}
	struct flow *flow = tap_from_app(l->parts.tap, &view, &p);
	if (flow && flow->inside)
		write_packet(l, &p);
	else if (!address_is_multicast(&view.to))
		netstack_input(l->stack, bytes, (size_t)size);
	return true;
}

static void pause_if_full(struct loop *l)
{
	bool full = l->parts.capture && capture_full(l->parts.capture);

	if (full == l->paused)
		return;
	l->paused = full;
	if (full)
		events_remove(l->events, &l->tunnel);
	else
		(void)events_add(l->events, &l->tunnel, EPOLLIN);
	sessions_pause(l->sessions, full);
	datagrams_pause(l->datagrams, full);
}

// To ask for a packet more than there are costs a call, in ping-pong one for each
// packet; to ask for fewer costs a turn. So for as many as there were, and for
// twice as many where the turn behind finds more.
static void read_tunnel(struct loop *l)
{
	int most = l->draining ? BATCH : l->expected, n = 0;

	for (; n < most && !l->paused && read_packet(l); n++)
		pause_if_full(l);
	if (n < most)
		l->expected = n ? n : 1;
	else if (l->turn == l->read_in_turn + 1 && 2 * n <= BATCH)
		l->expected = 2 * n;
	l->read_in_turn = l->turn;
}

static void on_tunnel(struct event *event, uint32_t what)
{
	(void)what;
	read_tunnel(EVENT_OWNER(event, struct loop, tunnel));
}

// --- the other events -------------------------------------------------------

static void on_capture(struct event *event, uint32_t what)
{
	struct loop *l = EVENT_OWNER(event, struct loop, capture);
	const char *error;

	(void)what;
	capture_wake(l->parts.capture);
	while ((error = capture_news(l->parts.capture)))
		log_error("%s; the program goes on", error);
	if (capture_done(l->parts.capture)) {
		if (l->parts.ends_with_capture)
			loop_stop(l);
		else
			log_note("the capture has all that it was to have; the program goes on");
	}
	pause_if_full(l);
}

static void on_watch(struct event *event, uint32_t what)
{
	struct watch *w = EVENT_OWNER(event, struct watch, event);

	(void)what;
	w->ready(w->context);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_due(const struct loop *l)
{
	uint64_t due = least(netstack_deadline(l->stack), sessions_deadline(l->sessions));

	due = least(due, l->next_sweep);
	if (l->draining)
		due = least(due, least(l->drain_until, l->grace_until));
	if (l->parts.capture)
		due = least(due, capture_deadline(l->parts.capture));
	return due;
}

// What conversations gave back lies between what the idle ones keep. The kernel gets
// the whole pages of it once nothing moves, or when something has for a while.
static void trim(struct loop *l, bool freed)
{
	struct netstack_counters counters;
	uint64_t crossed;

	netstack_count(l->stack, &counters);
	crossed = counters.packets_in + counters.packets_out;
	bool quiet = crossed == l->crossed;
	l->crossed = crossed;
	if (l->untrimmed || freed || !quiet)
		l->untrimmed++;
	if (l->untrimmed && (quiet || l->untrimmed >= TRIM_SWEEPS)) {
		(void)malloc_trim(0);
		l->untrimmed = 0;
	}
}

static void sweep(struct loop *l, uint64_t now)
{
	datagrams_sweep(l->datagrams);
	trim(l, tap_sweep(l->parts.tap));
	l->next_sweep = now + SECOND;
}

static void do_due(struct loop *l)
{
	read_clock(l);
	uint64_t now = tap_now(l->parts.tap);

	netstack_tick(l->stack, now);
	sessions_tick(l->sessions, now);
	if (l->parts.capture && capture_deadline(l->parts.capture) <= now)
		capture_tick(l->parts.capture, now);
	if (l->next_sweep <= now)
		sweep(l, now);
}

// --- open and close ---------------------------------------------------------

static void on_datagram(void *context, const struct netstack_datagram *d)
{
	struct loop *l = context;

	datagrams_send(l->datagrams, IPPROTO_UDP, d);
}

static void on_echo(void *context, const struct netstack_datagram *d)
{
	struct loop *l = context;

	datagrams_send(l->datagrams, IPPROTO_ICMP, d);
}

static void on_call(void *context, struct netstack_flow *flow, const struct sockaddr *app,
		    const struct sockaddr *peer)
{
	struct loop *l = context;

	session_call(l->sessions, flow, app, peer);
}

static const struct netstack_news news = {
	.output = on_output,
	.call = on_call,
	.opened = session_opened,
	.data = session_moved,
	.finished = session_finished,
	.room = session_moved,
	.closed = session_closed,
	.datagram = on_datagram,
	.echo = on_echo,
};

static int open_rooms(struct loop *l)
{
	struct netstack_options stack = {
		.news = &news, .context = l, .mtu = l->parts.mtu, .offload = true,
		.now = clock_ns(CLOCK_MONOTONIC),
	};
	int error = netstack_open(&l->stack, &stack);
	if (error)
		return error;
	struct session_parts session = {
		.events = l->events, .tap = l->parts.tap, .house = l->parts.house, .policy = l->parts.policy,
		.fingerprints = l->parts.fingerprints,
	};
	error = sessions_open(&l->sessions, &session);
	if (error)
		return error;
	struct datagram_parts datagram = {
		.events = l->events, .stack = l->stack, .tap = l->parts.tap, .finder = l->parts.finder,
		.policy = l->parts.policy,
	};
	return datagrams_open(&l->datagrams, &datagram);
}

static int watch_own(struct loop *l)
{
	l->tunnel = (struct event){.fd = l->parts.inlet.tunnel, .ready = on_tunnel};
	int error = events_add(l->events, &l->tunnel, EPOLLIN);
	if (error || !l->parts.capture)
		return error;
	l->capture = (struct event){.fd = capture_fd(l->parts.capture), .ready = on_capture};
	return events_add(l->events, &l->capture, EPOLLIN);
}

int loop_open(struct loop **out, const struct loop_parts *parts, char *why, size_t why_size)
{
	struct loop *l = calloc(1, sizeof(*l));
	int error = -ENOMEM;

	if (!l)
		goto fail;
	l->parts = *parts;
	l->expected = 1;
	l->events = events_open();
	if (!l->events)
		goto fail;
	read_clock(l);
	l->next_sweep = tap_now(parts->tap) + SECOND;
	error = open_rooms(l);
	if (!error)
		error = watch_own(l);
	if (!error) {
		*out = l;
		return 0;
	}
fail:
	snprintf(why, why_size, "cannot begin: %s", strerror(-error));
	loop_close(l);
	return error;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	datagrams_close(l->datagrams);
	sessions_close(l->sessions);
	if (l->stack) {
		netstack_close_all(l->stack);
		netstack_free(l->stack);
	}
	events_close(l->events);
	free(l);
}

int loop_watch(struct loop *l, int fd, void (*ready)(void *context), void *context)
{
	for (int i = 0; i < LOOP_WATCHES; i++) {
		struct watch *w = &l->watches[i];
		if (w->event.added)
			continue;
		w->ready = ready;
		w->context = context;
		w->event = (struct event){.fd = fd, .ready = on_watch};
		return events_add(l->events, &w->event, EPOLLIN);
	}
	return -ENOSPC;
}

void loop_unwatch(struct loop *l, int fd)
{
	for (int i = 0; i < LOOP_WATCHES; i++)
		if (l->watches[i].event.added && l->watches[i].event.fd == fd)
			events_remove(l->events, &l->watches[i].event);
}

// --- turns ------------------------------------------------------------------

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

void loop_drain(struct loop *l)
{
	l->draining = true;
	l->grace_until = NEVER;
	l->drain_until = tap_now(l->parts.tap) + DRAIN_TIME;
}

static void end_if_drained(struct loop *l, bool more, uint64_t now)
{
	uint64_t progress = sessions_progress(l->sessions);

	if (more || l->paused)
		return;
	if (!sessions_owing(l->sessions)) {
		if (l->grace_until > now + GRACE)
			l->grace_until = now + GRACE;
		l->stopped = !sessions_any(l->sessions) || now >= l->grace_until;
	} else if (progress != l->drained_progress) {
		l->drained_progress = progress;
		l->drain_until = now + DRAIN_TIME;
	} else if (now >= l->drain_until) {
		log_note("%zu connections took no more of what the program sent; giving up on them",
			 sessions_owing(l->sessions));
		l->stopped = true;
	}
}

// What programs had sent when the end came was sent: it is passed on and captured.
static void take_last(struct loop *l)
{
	for (int n = 0; n < LAST && !l->paused && read_packet(l); n++)
		pause_if_full(l);
	sessions_pump(l->sessions);
	netstack_flush(l->stack);
}

int loop_run(struct loop *l)
{
	bool more = false;

	for (; !l->stopped; l->turn++) {
		int error = events_wait(l->events, more ? 0 : next_due(l));
		if (error)
			return error;
		do_due(l);
		events_tell(l->events);
		if (l->draining)
			read_tunnel(l);
		more = sessions_pump(l->sessions);
		netstack_flush(l->stack);
		pause_if_full(l);
		if (l->draining)
			end_if_drained(l, more, tap_now(l->parts.tap));
	}
	take_last(l);
	return 0;
}
