// SPDX-License-Identifier: GPL-3.0-or-later
// flow - what is known of one conversation, and the table that finds it.

#include "tunnel/flow.h"

#include <stdlib.h>
#include <string.h>

#include "tunnel/prelude.h"

enum { BUCKETS = 16384, SWEEP = BUCKETS / 8 };

struct flow_table {
	struct flow *bucket[BUCKETS];
	uint64_t last_id;
	size_t count, swept;
};

#define WORD(name, word, sentence) word,
static const char *const verdict_words[] = {FLOW_VERDICTS(WORD)};
static const char *const close_words[] = {FLOW_CLOSES(WORD)};

const char *flow_verdict_word(enum flow_verdict verdict)
{
	return verdict_words[verdict];
}

const char *flow_close_word(enum flow_close close)
{
	return close_words[close];
}

struct flow_table *flow_table_open(void)
{
	return calloc(1, sizeof(struct flow_table));
}

static void flow_free(struct flow *f)
{
	process_let(f->process);
	prelude_free(f->prelude);
	free(f->tls);
	free(f->reason);
	free(f);
}

void flow_table_close(struct flow_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (table->bucket[i]) {
			struct flow *f = table->bucket[i];
			table->bucket[i] = f->next;
			flow_free(f);
		}
	free(table);
}

static struct flow **place(struct flow_table *table, uint8_t protocol, const union address *app,
			   const union address *peer)
{
	uint32_t h = address_hash(app) * 31 + address_hash(peer) + protocol;
	struct flow **at = &table->bucket[h % BUCKETS];

	while (*at && !((*at)->protocol == protocol && address_equal(&(*at)->app, app) &&
			address_equal(&(*at)->peer, peer)))
		at = &(*at)->next;
	return at;
}

struct flow *flow_find(struct flow_table *table, uint8_t protocol, const union address *app,
		       const union address *peer)
{
	return *place(table, protocol, app, peer);
}

struct flow *flow_add(struct flow_table *table, uint8_t protocol, const union address *app,
		      const union address *peer)
{
	struct flow **at = place(table, protocol, app, peer);

	if (*at) {
		struct flow *old = *at;
		*at = old->next;
		flow_free(old);
		table->count--;
	}
	if (table->count >= FLOW_MOST)
		return NULL;
	struct flow *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->id = ++table->last_id;
	f->protocol = protocol;
	f->app = *app;
	f->peer = *peer;
	at = place(table, protocol, app, peer);
	f->next = *at;
	*at = f;
	table->count++;
	return f;
}

void flow_each(struct flow_table *table, void (*call)(void *context, struct flow *flow), void *context)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct flow *f = table->bucket[i]; f; f = f->next)
			call(context, f);
}

bool flow_sweep(struct flow_table *table, uint32_t before)
{
	bool any = false;

	for (size_t n = 0; n < SWEEP; n++) {
		struct flow **at = &table->bucket[table->swept++ % BUCKETS];
		while (*at) {
			struct flow *f = *at;
			if (f->close == FLOW_RUNNING || (int32_t)(f->touched - before) >= 0) {
				at = &f->next;
				continue;
			}
			*at = f->next;
			flow_free(f);
			table->count--;
			any = true;
		}
	}
	return any;
}

void flow_reason(struct flow *flow, const char *sentence)
{
	char *kept = strndup(sentence, FLOW_REASON - 1);

	free(flow->reason);
	flow->reason = kept;
}

struct flow_tls *flow_tls(struct flow *flow)
{
	if (!flow->tls)
		flow->tls = calloc(1, sizeof(*flow->tls));
	return flow->tls;
}
