// SPDX-License-Identifier: GPL-3.0-or-later
// spec_fuzz - any text as a spec, asked for two processes.

#include "extension/spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool is_odd(void *context, pid_t ancestor)
{
	(void)context;
	if (ancestor <= 0)
		__builtin_trap();
	return ancestor % 2;
}

static void ask(const struct spec *spec)
{
	struct spec_process process = {.pid = 42, .uid = 33, .path = "/usr/bin/curl", .name = "curl", .argv0 = "curl",
				       .cgroup = "/a/b", .is_child_of = is_odd};
	struct spec_process stranger = {.pid = 1};
	bool first = spec_takes(spec, &process);

	spec_takes(spec, &stranger);
	if (first != spec_takes(spec, &process) || spec_count(spec) > SPEC_ITEMS_MAX)
		__builtin_trap();
	for (size_t i = 0; i < spec_count(spec); i++) {
		const struct spec_item *item = spec_item(spec, i);
		bool named = item->kind == SPEC_TEXT || item->kind == SPEC_EXE || item->kind == SPEC_CGROUP;

		if (named != (item->text != NULL) || (named && (!item->text[0] || strlen(item->text) > SPEC_TEXT_MAX)))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size), why[128];
	struct spec *spec;
	size_t at = SIZE_MAX;
	int error = spec_open(&spec, text, &at, why, sizeof why);

	if (error && (!text || at > strlen(text) || !why[0]))
		__builtin_trap();
	if (!error)
		ask(spec);
	spec_close(spec);
	free(text);
	return 0;
}
