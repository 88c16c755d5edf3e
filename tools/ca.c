// SPDX-License-Identifier: GPL-3.0-or-later
// ca - `apptap ca`: the authority's certificate, for whoever wants to trust it.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "extension/store.h"
#include "tls/authority.h"
#include "tools/caller.h"
#include "tools/commands.h"
#include "tools/stores.h"
#include "tools/usage.h"
#include "tunnel/hall.h"

static int refuse(const char *why)
{
	fprintf(stderr, "apptap: %s\n", why);
	return HALL_UNAVAILABLE;
}

static int finish_output(int status)
{
	if (fflush(stdout)) {
		perror("apptap: standard output");
		return HALL_INCOMPLETE;
	}
	return status;
}

static int show(bool path)
{
	char folder[4096], why[512];
	struct authority *authority;
	size_t size;

	if (authority_folder(folder, sizeof(folder), why, sizeof(why)) ||
	    authority_open(&authority, folder, why, sizeof(why)))
		return refuse(why);
	if (path) {
		puts(authority_path(authority));
	} else {
		const char *pem = authority_pem(authority, &size);
		fwrite(pem, 1, size, stdout);
	}
	authority_close(authority);
	return finish_output(0);
}

// --- install, uninstall -----------------------------------------------------------

static int install(void)
{
	char folder[4096], why[512];
	struct store_options options;
	struct authority *authority;
	struct stores_teller told = {.to = stdout, .before = ""};
	struct caller caller;
	const char *pem;
	size_t size;
	int failed;

	if (caller_read(&caller, why, sizeof(why)) || authority_folder(folder, sizeof(folder), why, sizeof(why)) ||
	    authority_open(&authority, folder, why, sizeof(why)))
		return refuse(why);
	stores_sweep(&caller, folder);
	stores_options(&options, &caller, folder, &told);
	pem = authority_pem(authority, &size);
	failed = store_install(&options, pem, size, authority_fingerprint(authority), why, sizeof(why));
	authority_close(authority);
	if (failed < 0)
		return refuse(why);
	if (told.skipped && !options.system)
		fprintf(stderr, "apptap: for the whole machine: sudo apptap ca install\n");
	if (!told.done)
		return finish_output(HALL_UNAVAILABLE);
	return finish_output(failed ? HALL_INCOMPLETE : 0);
}

static int uninstall(void)
{
	char folder[4096], why[512];
	struct store_options options;
	struct stores_teller told = {.to = stdout, .before = ""};
	struct caller caller;
	int failed;

	if (caller_read(&caller, why, sizeof(why)) || caller_folder(&caller, folder, sizeof(folder), why, sizeof(why)))
		return refuse(why);
	stores_options(&options, &caller, folder, &told);
	failed = store_uninstall(&options, why, sizeof(why));
	if (failed < 0)
		return refuse(why);
	if (told.skipped)
		fprintf(stderr, "apptap: for the rest: sudo apptap ca uninstall\n");
	if (!told.done && !told.skipped)
		puts("nothing of this authority is installed");
	return finish_output(failed ? HALL_INCOMPLETE : 0);
}

int command_ca(int argc, char **argv)
{
	const char *word = argc == 2 ? argv[1] : "";

	if (!strcmp(word, "path"))
		return show(true);
	if (!strcmp(word, "export"))
		return show(false);
	if (!strcmp(word, "install"))
		return install();
	if (!strcmp(word, "uninstall"))
		return uninstall();
	return usage_error("", "ca wants one word: path, export, install or uninstall");
}
