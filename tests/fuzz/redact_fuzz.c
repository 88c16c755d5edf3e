// SPDX-License-Identifier: GPL-3.0-or-later
// redact_fuzz - redaction of anything: it holds to its bytes, changes no length of text,
// and lets no line through that begins as one that is hidden.
//
// Input as in pieces.h.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pcap/redact.h"
#include "tests/fuzz/pieces.h"

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

static void take(void *context, bool outgoing, const uint8_t *bytes, size_t size)
{
	redact_bytes(context, outgoing, bytes, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bool two = pieces_are_of_two(bytes, size);
	struct redact *r = redact_open(&(struct redact_options){.two = two, .put = put, .context = &two});

	if (!r)
		abort();
	memset(at, 0, sizeof(at));
	line_begins[0] = line_begins[1] = true;
	pieces_feed(bytes, size, take, r);
	redact_close(r);
	return 0;
}
