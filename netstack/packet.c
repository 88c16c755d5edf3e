// SPDX-License-Identifier: GPL-3.0-or-later
// packet - a TCP segment on its way through lwIP and in a flow's queue.
//
// lwIP sees it as a pbuf of one piece. Big ones (super-packets) come and go by
// the thousand a second, and giving 64 KB back to malloc each time would give
// its pages back to the kernel as well, so a few are kept.
//
// One process has one netstack, so the spares are a plain list.

#include <stdlib.h>

#include "netstack/inside.h"

enum {
	PACKET_BIG = 65536,
	PACKET_KEPT = 32768,	// of a lent packet, what is worth its 64 KB
	PACKET_SMALL = 2048,	// payloads up to here are copied behind one another
	PACKET_ROOM = 4096,	// what a small packet gets, so that others fit
	SPARES_MOST = 64,
	// lwIP reads up to two bytes behind a truncated option list.
	SLACK = 8,
};

static struct packet *spares;
static int spares_count;

static void packet_free_pbuf(struct pbuf *p)
{
	packet_free((struct packet *)p);
}

static struct packet *packet_take(size_t size)
{
	uint32_t capacity = size <= PACKET_SMALL ? PACKET_ROOM :
			    size <= PACKET_BIG / 4 ? (uint32_t)size : PACKET_BIG;
	struct packet *packet = spares;

	if (capacity == PACKET_BIG && packet) {
		spares = packet->next;
		spares_count--;
		return packet;
	}
	packet = malloc(sizeof(*packet) + capacity + SLACK);
	if (packet)
		packet->capacity = capacity;
	return packet;
}

static struct packet *packet_dress(struct packet *packet, uint8_t *bytes, size_t size)
{
	packet->next = NULL;
	packet->custom.custom_free_function = packet_free_pbuf;
	pbuf_alloced_custom(PBUF_RAW, (u16_t)size, PBUF_REF, &packet->custom, bytes, (u16_t)size);
	return packet;
}

uint8_t *packet_lend(struct packet **lent)
{
	if (!*lent)
		*lent = packet_take(PACKET_BIG);
	return *lent ? (*lent)->bytes : NULL;
}

struct packet *packet_make(struct packet **lent, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	struct packet *packet = *lent;

	if (packet && size >= PACKET_KEPT && from > packet->bytes &&
	    from < packet->bytes + packet->capacity) {
		*lent = NULL;
		return packet_dress(packet, packet->bytes + (from - packet->bytes), size);
	}
	packet = packet_take(size);
	if (!packet)
		return NULL;
	memcpy(packet->bytes, bytes, size);
	memset(packet->bytes + size, 0, SLACK);
	return packet_dress(packet, packet->bytes, size);
}

bool packet_join(struct packet *to, const struct packet *more)
{
	struct pbuf *p = &to->custom.pbuf;
	const struct pbuf *q = &more->custom.pbuf;
	size_t end = (size_t)((uint8_t *)p->payload - to->bytes) + p->len;

	if (q->len > PACKET_SMALL || end + q->len > to->capacity || p->len + q->len > UINT16_MAX)
		return false;
	memcpy(to->bytes + end, q->payload, q->len);
	p->len = (u16_t)(p->len + q->len);
	p->tot_len = p->len;
	return true;
}

void packet_free(struct packet *packet)
{
	if (packet->capacity == PACKET_BIG && spares_count < SPARES_MOST) {
		packet->next = spares;
		spares = packet;
		spares_count++;
		return;
	}
	free(packet);
}

void packet_free_spares(void)
{
	while (spares) {
		struct packet *packet = spares;

		spares = packet->next;
		free(packet);
	}
	spares_count = 0;
}
