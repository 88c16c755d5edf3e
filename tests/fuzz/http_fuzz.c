// SPDX-License-Identifier: GPL-3.0-or-later
// http_fuzz - the HTTP observer on anything: it holds to its bytes and its budget.
//
// Input as in pieces.h; a piece of no bytes is that side's end.

#include <stdlib.h>

#include "pcap/exchange.h"
#include "pcap/http.h"
#include "tests/fuzz/pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void look(void *context, struct exchange *e)
{
	(void)context;
	free(exchange_url(e, "http", "x"));
	for (int side = REQUEST; side <= RESPONSE; side++)
		if (e->said[side].kept > e->said[side].size || e->said[side].kept > 4096)
			abort();
	if (e->taken > 1 << 16 || e->next)
		abort();
	exchange_close(e);
}

static void take(void *context, bool outgoing, const uint8_t *bytes, size_t size)
{
	if (size)
		http_bytes(context, outgoing, bytes, size, 1);
	else
		http_finish(context, outgoing, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct http *http = http_open(&(struct http_options){.budget = 1 << 16, .body_most = 4096, .done = look});

	if (!http)
		abort();
	pieces_feed(bytes, size, take, http);
	http_close(http);
	return 0;
}
