// SPDX-License-Identifier: GPL-3.0-or-later
// datagram - UDP and pings between the app and the host's sockets.
//
// A port is one socket of the app's: its address inside, and one unconnected
// socket of the host's that speaks to all its peers, so that an answer from
// elsewhere arrives and every peer sees one source port. Each peer is a flow
// of its own in the record. The host's ICMP errors go to the app as such.
//
// A port ends when the app's socket is gone (asked when it has been silent),
// and pings when they have been silent for a while.

#include "tunnel/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/process.h"
#include "netstack/netstack.h"
#include "tls/quic.h"
#include "tunnel/events.h"
#include "tunnel/log.h"
#include "tunnel/origin.h"
#include "tunnel/policy.h"
#include "tunnel/tap.h"

enum {
	BUCKETS = 1024,
	MOST = 16384,		// ports at once
	PEERS = 65536,		// that one port speaks to
	BATCH = 64,		// datagrams read from one socket a turn
	SIZE = 65536,
	ASK = 32,		// sockets asked for in one sweep
};

#define ASK_AFTER 1000000000ull
#define PING_IDLE 10000000000ull

struct port {
	struct port *next;
	struct datagrams *all;
	uint8_t protocol;
	union address app, last_peer;
	int fd;
	bool raw;		// a ping's socket that shows all replies
	uint64_t touched;
	struct event event;
	struct flow **flows;
	size_t flow_count;
	uint64_t asked;		// process_announced() when its owner was last asked for
};

struct datagrams {
	struct datagram_parts parts;
	struct port *bucket[BUCKETS];
	size_t count, swept;
	bool paused, no_ping_said;
	uint8_t bytes[SIZE];
};

int datagrams_open(struct datagrams **out, const struct datagram_parts *parts)
{
	struct datagrams *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->parts = *parts;
	*out = all;
	return 0;
}

static void port_free(struct port *p, enum flow_close close_reason)
{
	for (size_t i = 0; i < p->flow_count; i++)
		if (p->flows[i]->mover == p)
			tap_end(p->all->parts.tap, p->flows[i], close_reason);
	if (p->fd >= 0) {
		events_remove(p->all->parts.events, &p->event);
		close(p->fd);
	}
	p->all->count--;
	free(p->flows);
	free(p);
}

void datagrams_close(struct datagrams *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (all->bucket[i]) {
			struct port *p = all->bucket[i];
			all->bucket[i] = p->next;
			port_free(p, FLOW_FINISHED);
		}
	free(all);
}

// --- flows of a port --------------------------------------------------------

static struct flow *port_flow(struct port *p, const struct sockaddr *peer)
{
	struct flow *f = tap_flow(p->all->parts.tap, p->protocol, &p->app.any, peer);

	if (!f || f->mover == p)
		return f;
	struct flow **more = p->flow_count < PEERS
		? realloc(p->flows, (p->flow_count + 1) * sizeof(struct flow *)) : NULL;
	if (!more)
		return NULL;
	p->flows = more;
	p->flows[p->flow_count++] = f;
	f->mover = p;
	if (f->verdict == FLOW_OPEN)
		f->verdict = FLOW_RELAYED;
	return f;
}

// --- towards the app --------------------------------------------------------

static void report_error(struct port *p, const union address *peer, const union address *reporter,
			 int error, uint32_t mtu, const void *bytes, size_t size)
{
	struct netstack_datagram d = {.app = &p->app.any, .peer = &peer->any, .bytes = bytes, .size = size};
	enum netstack_refusal why = error == ECONNREFUSED ? NETSTACK_PORT_UNREACHABLE : origin_refusal(error);
	int protocol = p->protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_ICMP;

	if (why == NETSTACK_RESET || why == NETSTACK_SILENCE)
		return;
	struct flow *f = port_flow(p, &peer->any);
	if (f && f->verdict == FLOW_RELAYED && !f->bytes[ORIGIN]) {
		f->verdict = origin_verdict(error);
		flow_reason(f, strerror(error));
	}
	netstack_send_error(p->all->parts.stack, &d, protocol, why,
			    reporter && reporter->any.sa_family ? &reporter->any : NULL, mtu);
}

static void port_errors(struct port *p)
{
	union address peer, reporter;
	uint32_t mtu;
	int error;

	for (int n = 0; n < BATCH && !origin_error(p->fd, &peer, &reporter, &error, &mtu); n++)
		if (error && peer.any.sa_family)
			report_error(p, &peer, &reporter, error, mtu, NULL, 0);
}

static void to_app(struct port *p, const union address *peer, const uint8_t *bytes, size_t size)
{
	struct datagrams *all = p->all;
	struct netstack_datagram d = {.app = &p->app.any, .peer = &peer->any, .bytes = bytes, .size = size};
	struct flow *f = port_flow(p, &peer->any);

	if (!f)
		return;
	f->bytes[ORIGIN] += size;
	if (p->protocol == IPPROTO_UDP) {
		tap_answer(all->parts.tap, f, bytes, size);
		netstack_send_datagram(all->parts.stack, &d);
		return;
	}
	netstack_send_echo(all->parts.stack, &d);
}

// A datagram ICMP socket has an identifier of its own, which the host's kernel
// sees to; the app knows its own. Through a raw socket the app's goes out as it
// is, and replies to others are passed over.
static uint8_t *ping_reply(struct port *p, uint8_t *bytes, size_t *size)
{
	uint16_t id = htons(address_port(&p->app));
	size_t header = 0;

	if (p->raw && p->app.any.sa_family == AF_INET)
		header = *size ? (size_t)(bytes[0] & 15) * 4 : 0;
	if (*size < header + 8)
		return NULL;
	*size -= header;
	bytes += header;
	if (p->raw && memcmp(bytes + 4, &id, 2) != 0)
		return NULL;
	memcpy(bytes + 4, &id, 2);
	return bytes;
}

static void port_read(struct event *event, uint32_t what)
{
	struct port *p = EVENT_OWNER(event, struct port, event);
	struct datagrams *all = p->all;

	(void)what;
	p->touched = tap_now(all->parts.tap);
	for (int n = 0; n < BATCH; n++) {
		union address peer;
		socklen_t name = sizeof(peer);

		memset(&peer, 0, sizeof(peer));
		ssize_t size = recvfrom(p->fd, all->bytes, SIZE, 0, &peer.any, &name);
		if (size < 0) {
			if (errno == EAGAIN)
				break;
			continue;	// an error that the queue below explains
		}
		uint8_t *bytes = all->bytes;
		size_t length = (size_t)size;
		if (p->protocol != IPPROTO_UDP) {
			peer.v4.sin_port = 0;	// where v6 has it too
			bytes = ping_reply(p, bytes, &length);
		}
		if (bytes)
			to_app(p, &peer, bytes, length);
	}
	port_errors(p);
}

// --- from the app -----------------------------------------------------------

static struct port *port_find(struct datagrams *all, uint8_t protocol, const union address *app)
{
	struct port *p = all->bucket[address_hash(app) % BUCKETS];

	while (p && !(p->protocol == protocol && address_equal(&p->app, app)))
		p = p->next;
	return p;
}

static void port_end(struct port *p)
{
	struct port **at = &p->all->bucket[address_hash(&p->app) % BUCKETS];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	port_free(p, FLOW_FINISHED);
}

// A socket of a process that ended leaves its port to the next one's.
void datagrams_owner(struct datagrams *all, const union address *app, const union address *peer)
{
	uint64_t announced = process_announced(all->parts.finder);
	struct port *p = port_find(all, IPPROTO_UDP, app);
	const struct process *now;

	if (!p || p->asked == announced)
		return;
	p->asked = announced;
	now = process_find(all->parts.finder, IPPROTO_UDP, &app->any, &peer->any);
	if (now && p->flow_count && p->flows[0]->process && now != p->flows[0]->process)
		port_end(p);
}

static int port_socket(struct datagrams *all, uint8_t protocol, int family, bool *raw)
{
	if (protocol == IPPROTO_UDP)
		return origin_datagram(family);
	int fd = origin_ping(family, raw);
	if (fd < 0 && !all->no_ping_said) {
		all->no_ping_said = true;
		log_note("pings are not passed on: %s; allow them with: sysctl -w "
			 "net.ipv4.ping_group_range='0 2147483647'", strerror(-fd));
	}
	return fd;
}

static struct port *port_open(struct datagrams *all, uint8_t protocol, const union address *app)
{
	struct port *p = all->count < MOST ? calloc(1, sizeof(*p)) : NULL;

	if (!p) {
		log_error("a datagram was dropped: too many sockets at once, or no memory");
		return NULL;
	}
	p->all = all;
	p->protocol = protocol;
	p->app = *app;
	p->fd = port_socket(all, protocol, app->any.sa_family, &p->raw);
	p->event = (struct event){.fd = p->fd, .ready = port_read};
	if (p->fd >= 0 && !all->paused && events_add(all->parts.events, &p->event, EPOLLIN)) {
		close(p->fd);
		free(p);
		return NULL;
	}
	struct port **at = &all->bucket[address_hash(app) % BUCKETS];
	p->next = *at;
	*at = p;
	all->count++;
	return p;
}

// QUIC would carry TLS past us: whoever is refused it takes TCP. A connection that
// stood before apptap came goes on.
static bool is_refused(struct datagrams *all, struct flow *f, const struct netstack_datagram *d)
{
	if (f->verdict == FLOW_BLOCKED)
		return true;
	if (f->protocol != IPPROTO_UDP || f->bytes[APP] || !quic_is_initial(d->bytes, d->size))
		return false;
	if (!policy_refuses_quic(all->parts.policy)) {
		flow_reason(f, "QUIC");
		return false;
	}
	f->verdict = FLOW_BLOCKED;
	flow_reason(f, "QUIC; the program is to take TCP");
	return true;
}

void datagrams_send(struct datagrams *all, uint8_t protocol, const struct netstack_datagram *d)
{
	union address app, peer;

	address_set(&app, d->app);
	address_set(&peer, d->peer);
	if (address_is_multicast(&peer))
		return;
	struct port *p = port_find(all, protocol, &app);
	if (!p && !(p = port_open(all, protocol, &app)))
		return;
	p->touched = tap_now(all->parts.tap);
	p->last_peer = peer;
	struct flow *f = port_flow(p, &peer.any);
	if (f && is_refused(all, f, d)) {
		netstack_send_error(all->parts.stack, d, IPPROTO_UDP, NETSTACK_PORT_UNREACHABLE, NULL, 0);
		return;
	}
	if (f)
		f->bytes[APP] += d->size;
	if (p->fd < 0)
		return;
	// An error queued by an earlier datagram is told first, once.
	for (int n = 0; n < 4; n++) {
		if (sendto(p->fd, d->bytes, d->size, 0, &peer.any, address_size(&peer)) >= 0)
			return;
		int error = errno;
		if (error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EPERM ||
		    error == EMSGSIZE || error == EINVAL) {
			report_error(p, &peer, NULL, error, 0, d->bytes, d->size);
			return;
		}
		port_errors(p);
		if (error == EAGAIN)
			return;		// as a full network queue: dropped
	}
}

// ---------------------------------------------------------------------------

void datagrams_pause(struct datagrams *all, bool paused)
{
	if (all->paused == paused)
		return;
	all->paused = paused;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct port *p = all->bucket[i]; p; p = p->next) {
			if (p->fd < 0)
				continue;
			if (paused)
				events_remove(all->parts.events, &p->event);
			else
				(void)events_add(all->parts.events, &p->event, EPOLLIN);
		}
}

static bool is_over(struct port *p, uint64_t now, int *asked)
{
	if (p->protocol != IPPROTO_UDP)
		return p->touched + PING_IDLE < now;
	if (p->touched + ASK_AFTER >= now || ++*asked > ASK)
		return false;
	if (process_listens(p->all->parts.finder, IPPROTO_UDP, &p->last_peer.any, &p->app.any)) {
		p->touched = now;	// ask again later
		return false;
	}
	return true;
}

void datagrams_sweep(struct datagrams *all)
{
	uint64_t now = tap_now(all->parts.tap);
	int asked = 0;

	for (size_t n = 0; n < BUCKETS && asked <= ASK; n++) {
		struct port **at = &all->bucket[all->swept++ % BUCKETS];
		while (*at) {
			struct port *p = *at;
			if (!is_over(p, now, &asked)) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			port_free(p, FLOW_FINISHED);
		}
	}
}
