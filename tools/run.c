// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: its options.

#include "tunnel/run.h"

#include <stdio.h>

#include "tools/caller.h"
#include "tools/commands.h"
#include "tools/stores.h"
#include "tools/tapping.h"
#include "tools/usage.h"

struct asked {
	struct tapping tapping;
	bool no_wait, trust;
};

static const struct option_row own_rows[] = {
	{0, "trust", NULL, "until it ends, the user's Firefox and Thunderbird trust the authority",
	 OPTION_FLAG(struct asked, trust, true)},
	{0, "no-wait", NULL, "end with COMMAND, also while processes of its own still run",
	 OPTION_FLAG(struct asked, no_wait, true)},
	{0},
};
static const struct option_row *const rows[] = {tapping_rows, own_rows, NULL};

void command_run_help(FILE *to)
{
	options_help(rows, to);
}

int command_run(int argc, char **argv)
{
	struct asked asked = {.tapping = TAPPING_DEFAULTS};
	struct caller caller;
	struct stores_teller teller = {.to = stderr, .before = "apptap: "};
	struct store_options trust;
	char why[512], folder[4096];
	int at = options_read(rows, &asked, argc, argv, why, sizeof(why));

	if (at < 0)
		return usage_error("run", why);
	if (asked.tapping.help) {
		puts("usage: apptap run [options] [--] COMMAND [ARG...]\n");
		command_run_help(stdout);
		return 0;
	}
	if (at >= argc)
		return usage_error("run", "run wants a command to tap");
	if (asked.trust && !asked.tapping.hall.policy.intercept)
		return usage_error("run", "with --tls pass there is nothing for --trust to do");
	if (tapping_settle(&asked.tapping, why, sizeof(why)))
		return usage_error("run", why);
	if (caller_read(&caller, why, sizeof(why)) || authority_folder(folder, sizeof(folder), why, sizeof(why))) {
		fprintf(stderr, "apptap: %s\n", why);
		return HALL_UNAVAILABLE;
	}
	stores_sweep(&caller, folder);
	teller.failures_only = asked.tapping.quiet;
	stores_options(&trust, &caller, folder, &teller);
	// The system's own are laid over inside.
	trust.users_only = true;
	struct run_options options = {
		.hall = asked.tapping.hall, .argv = argv + at, .no_wait = asked.no_wait,
		.trust = asked.trust ? &trust : NULL,
	};
	options.hall.authority_folder = folder;
	return run(&options);
}
