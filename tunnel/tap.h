// SPDX-License-Identifier: GPL-3.0-or-later
// tap - what the capture gets, and in whose name.
//
// Every packet that crosses the tunnel passes here once, in either direction:
// it finds or begins its flow, the flow finds its process, and the packet goes
// to the capture under that name.

#ifndef TUNNEL_TAP_H
#define TUNNEL_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tunnel/flow.h"
#include "tunnel/packet.h"

struct capture;
struct keylog;
struct process_finder;
struct report;
struct tun_packet;
struct tap;
struct watch;

// All borrowed; capture, keylog and watch may be NULL.
struct tap_parts {
	struct capture *capture;
	struct keylog *keylog;
	struct process_finder *finder;
	struct report *report;
	struct watch *watch;
	bool redact;			// no secret goes out: see pcap/redact.h; nor do arguments
	// These three as loop_inlet's in tunnel/loop.h.
	bool (*inside)(void *of, int protocol, const struct sockaddr *app, const struct sockaddr *peer);
	void (*owners)(void *of);
	void *of;
};

struct tap *tap_open(const struct tap_parts *parts);
// Ends what still runs (FLOW_TAP_ENDED) and frees.
void tap_close(struct tap *tap);

// The clocks are read once a turn and told here.
void tap_clock(struct tap *tap, uint64_t monotonic, uint64_t real);
uint64_t tap_now(const struct tap *tap);	// monotonic

// A packet from the app: the flow it belongs to, or NULL (no flow's: multicast,
// fragments, strangers).
struct flow *tap_from_app(struct tap *tap, const struct packet *view, const struct tun_packet *packet);
// A packet to the app.
void tap_to_app(struct tap *tap, const struct tun_packet *packet);

// A datagram's payload to the app: names are learned from DNS answers.
void tap_answer(struct tap *tap, const struct flow *flow, const void *bytes, size_t size);

// A flow of the app's, by its addresses; begun where there is none yet.
struct flow *tap_flow(struct tap *tap, uint8_t protocol, const struct sockaddr *app,
		      const struct sockaddr *peer);

// --- secrets ----------------------------------------------------------------

// The flow's packets wait from here on for its secrets, until released.
void tap_hold(struct tap *tap, const struct flow *flow);
void tap_release(struct tap *tap, const struct flow *flow);
// One line of NSS key log: the app's leg decrypts the capture, the origin's
// leg only stands in the key log.
void tap_secret(struct tap *tap, const struct flow *flow, enum side leg, const char *line);

// --- plaintext --------------------------------------------------------------

// What that side sent through TLS, in order; and its end. What was said in
// the clear before TLS began (STARTTLS) comes before it in the plaintext.
void tap_plain(struct tap *tap, struct flow *flow, enum side from, const void *bytes, size_t size);
void tap_plain_finish(struct tap *tap, struct flow *flow, enum side from);
// What that side sends in a conversation that has no TLS; whether anybody wants it.
void tap_clear(struct tap *tap, struct flow *flow, enum side from, const void *bytes, size_t size);
void tap_clear_finish(struct tap *tap, struct flow *flow, enum side from);
bool tap_watches(const struct tap *tap, const struct flow *flow);
// It will not turn to TLS: what was kept for that is let go.
void tap_stays_clear(struct flow *flow);

// The flow is over: its line, its JSON. Once.
void tap_end(struct tap *tap, struct flow *flow, enum flow_close close);

// Ends idle flows between two programs inside, frees old ones: of a part of all at each
// call. True where something was freed.
bool tap_sweep(struct tap *tap);

#endif
