// SPDX-License-Identifier: GPL-3.0-or-later
// fingerprint_fuzz - the fingerprints of anything: whole strings or none, and once
// a prefix has an answer, more bytes do not change it.

#include <stdlib.h>
#include <string.h>

#include "tls/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fingerprint_app app = { 0 }, app_half = { 0 };
	struct fingerprint_origin origin = { 0 }, origin_half = { 0 };
	uint8_t *half = malloc(size / 2 + 1);
	enum hello_verdict early, late;

	if (!half)
		abort();
	memcpy(half, bytes, size / 2);
	early = fingerprint_app(half, size / 2, &app_half);
	late = fingerprint_app(bytes, size, &app);
	if ((early != HELLO_MORE && late != early) || (early == HELLO_WHOLE && memcmp(&app, &app_half, sizeof(app))))
		abort();
	if (late == HELLO_WHOLE && (strlen(app.ja3) != JA3_SIZE - 1 || strlen(app.ja4) != JA4_SIZE - 1))
		abort();
	early = fingerprint_origin(half, size / 2, &origin_half);
	late = fingerprint_origin(bytes, size, &origin);
	if ((early != HELLO_MORE && late != early) ||
	    (early == HELLO_WHOLE && memcmp(&origin, &origin_half, sizeof(origin))))
		abort();
	if (late == HELLO_WHOLE && (strlen(origin.ja3s) != JA3_SIZE - 1 || strlen(origin.ja4s) != JA4S_SIZE - 1))
		abort();
	free(half);
	return 0;
}
