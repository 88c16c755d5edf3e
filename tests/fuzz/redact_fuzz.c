// SPDX-License-Identifier: GPL-3.0-or-later
// redact_fuzz - redaction of anything: it holds to its bytes, changes no length of text,
// and lets no line through that begins as one that is hidden.
//
// Input as http_fuzz's.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pcap/http2.h"
#include "pcap/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool line_begins[2];
static char line[2][8];
static size_t at[2];

static void put(void *context, bool outgoing, const uint8_t *bytes, size_t size)
{
	bool *two = context;

	for (size_t i = 0; i < size && !*two; i++) {
		if (bytes[i] == '\n') {
			at[outgoing] = 0;
			line_begins[outgoing] = true;
		} else if (line_begins[outgoing] && at[outgoing] < 8) {
			line[outgoing][at[outgoing]++] = (char)bytes[i];
		}
		if (at[outgoing] == 8 && line_begins[outgoing]) {
			line_begins[outgoing] = false;
			*two = *two || !memcmp(line[outgoing], HTTP2_PREFACE, 8);
			if (!strncasecmp(line[outgoing], "cookie:", 7) && !strchr("* \t\r", line[outgoing][7]))
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bool two = size && *bytes == 255;
	struct redact *r = redact_open(&(struct redact_options){.two = two, .put = put, .context = &two});

	if (!r)
		abort();
	memset(at, 0, sizeof(at));
	line_begins[0] = line_begins[1] = true;
	if (two)
		redact_bytes(r, true, HTTP2_PREFACE, HTTP2_PREFACE_SIZE);
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
		redact_bytes(r, outgoing, copy, part);
		free(copy);
		bytes += part;
		size -= part;
	}
	redact_close(r);
	return 0;
}
