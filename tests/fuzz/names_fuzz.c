// SPDX-License-Identifier: GPL-3.0-or-later
// names_fuzz - any bytes as a DNS answer.

#include "tunnel/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void learned(void *context, const union address *address, const char *name)
{
	(void)context;
	(void)address;
	if (!name[0])
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct names *names = names_open();

	names_read(names, bytes, size, learned, NULL);
	names_close(names);
	return 0;
}
