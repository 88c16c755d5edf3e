// SPDX-License-Identifier: GPL-3.0-or-later
// ca - `apptap ca`: the authority's certificate, for whoever wants to trust it.

#include <stdio.h>
#include <string.h>

#include "tls/authority.h"
#include "tools/commands.h"
#include "tunnel/hall.h"

int command_ca(int argc, char **argv)
{
	char folder[4096], why[512];
	struct authority *authority;
	size_t size;

	if (argc != 2 || (strcmp(argv[1], "path") != 0 && strcmp(argv[1], "export") != 0))
		return usage_error("", "ca wants one word: path or export");
	if (authority_folder(folder, sizeof(folder), why, sizeof(why)) ||
	    authority_open(&authority, folder, why, sizeof(why))) {
		fprintf(stderr, "apptap: %s\n", why);
		return HALL_UNAVAILABLE;
	}
	if (!strcmp(argv[1], "path")) {
		puts(authority_path(authority));
	} else {
		const char *pem = authority_pem(authority, &size);
		fwrite(pem, 1, size, stdout);
	}
	authority_close(authority);
	if (fflush(stdout)) {
		perror("apptap: standard output");
		return HALL_INCOMPLETE;
	}
	return 0;
}
