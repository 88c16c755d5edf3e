// SPDX-License-Identifier: GPL-3.0-or-later
// announced - whose flow it is, as the kernel said beforehand.
//
// Nobody says when a flow has ended, nor needs to: the same addresses that come again
// are announced again. So each set of WAYS places forgets its oldest. Sockets that speak
// to anybody are asked about for as long as they live, and have a table of their
// own that short conversations cannot wash out.

#include "extension/announced.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "extension/process.h"

enum {
	WAYS = 8,
	FLOW_SETS = 4096,
	SOCKET_SETS = 1024,
};

// Without holes: it is hashed and compared as bytes.
struct key {
	uint8_t app[16], peer[16];
	uint16_t app_port, peer_port;
	uint8_t family, protocol, any, padding;
};

struct place { struct key key; struct process *process; uint64_t order; };
struct set { struct place places[WAYS]; unsigned int oldest; };

struct announced {
	struct set flows[FLOW_SETS];
	struct set sockets[SOCKET_SETS];
	uint64_t count;
};

struct announced *announced_open(void)
{
	return calloc(1, sizeof(struct announced));
}

void announced_close(struct announced *announced)
{
	free(announced);
}

static void take(const struct sockaddr *address, uint8_t *bytes, uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->sa_family == AF_INET) {
		memcpy(bytes, &v4->sin_addr, 4);
		*port = v4->sin_port;
	} else {
		memcpy(bytes, &v6->sin6_addr, 16);
		*port = v6->sin6_port;
	}
}

// FNV-1a.
static uint64_t hash(const struct key *key)
{
	const uint8_t *bytes = (const uint8_t *)key;
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof *key; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum ^ sum >> 32;
}

static struct key key_of(int protocol, const struct sockaddr *app, const struct sockaddr *peer)
{
	struct key key = {.family = (uint8_t)app->sa_family, .protocol = (uint8_t)protocol};

	take(app, key.app, &key.app_port);
	if (peer && peer->sa_family)
		take(peer, key.peer, &key.peer_port);
	else
		key.any = 1;
	return key;
}

static struct set *set_of(struct announced *announced, const struct key *key)
{
	return key->any ? &announced->sockets[hash(key) % SOCKET_SETS] : &announced->flows[hash(key) % FLOW_SETS];
}

static struct place *find(struct set *set, const struct key *key)
{
	for (int i = 0; i < WAYS; i++)
		if (set->places[i].process && !memcmp(&set->places[i].key, key, sizeof *key))
			return &set->places[i];
	return NULL;
}

void announced_put(struct announced *announced, int protocol, const struct sockaddr *app,
		   const struct sockaddr *peer, struct process *process)
{
	struct key key = key_of(protocol, app, peer);
	struct set *set = set_of(announced, &key);
	struct place *place = find(set, &key);

	if (!place)
		place = &set->places[set->oldest++ % WAYS];
	process_keep(process);
	process_let(place->process);
	*place = (struct place){key, process, ++announced->count};
}

struct process *announced_find(const struct announced *announced, int protocol,
			       const struct sockaddr *app, const struct sockaddr *peer)
{
	const struct place *latest = NULL;

	// A port may have been a connected socket's, and is now another's that speaks to any.
	for (int any = 0; announced && any < 2; any++) {
		struct key key = key_of(protocol, app, any ? NULL : peer);
		const struct place *place = find(set_of((struct announced *)announced, &key), &key);

		if (place && (!latest || place->order > latest->order))
			latest = place;
	}
	return latest ? latest->process : NULL;
}

uint64_t announced_count(const struct announced *announced)
{
	return announced ? announced->count : 0;
}
