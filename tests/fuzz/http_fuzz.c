// SPDX-License-Identifier: GPL-3.0-or-later
// http_fuzz - the HTTP observer on anything: it holds to its bytes and its budget.
//
// Input is pieces: a byte whose lowest bit is the side and whose others are a
// length, then so many bytes. A first byte of 255 puts HTTP/2's preface before all.

#include <stdlib.h>
#include <string.h>

#include "pcap/exchange.h"
#include "pcap/http.h"
#include "pcap/http2.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct http *http = http_open(&(struct http_options){.budget = 1 << 16, .body_most = 4096, .done = look});

	if (!http)
		abort();
	if (size && *bytes == 255) {
		http_bytes(http, true, HTTP2_PREFACE, HTTP2_PREFACE_SIZE, 1);
		bytes++;
		size--;
	}
	while (size) {
		size_t part = *bytes >> 1;
		bool outgoing = *bytes & 1;

		bytes++;
		size--;
		part = part < size ? part : size;
		uint8_t *copy = malloc(part + 1);
		if (!copy)
			abort();
		memcpy(copy, bytes, part);
		if (part)
			http_bytes(http, outgoing, copy, part, 2);
		else
			http_finish(http, outgoing, 2);
		free(copy);
		bytes += part;
		size -= part;
	}
	http_close(http);
	return 0;
}
