// SPDX-License-Identifier: GPL-3.0-or-later
// stores - what became of the authority in the stores, in words.

#include "tools/stores.h"

#include <string.h>
#include <unistd.h>

// Paths and other programs' sentences could steer a terminal.
static void print_plain(FILE *to, const char *text)
{
	for (; *text; text++)
		putc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, to);
}

// A line as soon as it is known: the system's command takes its time.
static void tell(void *context, const struct store_news *news)
{
	static const char *const words[] = {
		[STORE_ADDED] = "added to", [STORE_KEPT] = "already in", [STORE_REMOVED] = "removed from",
		[STORE_GONE] = "no longer in", [STORE_HELD] = "still wanted in", [STORE_SKIPPED] = "left alone",
		[STORE_FAILED] = "FAILED:",
	};
	struct stores_teller *teller = context;

	if (news->done == STORE_SKIPPED)
		teller->skipped++;
	else
		teller->done++;
	if (teller->failures_only && news->done != STORE_FAILED)
		return;
	fprintf(teller->to, "%s%-15s %s", teller->before, words[news->done], news->noun);
	if (news->place[0]) {
		putc(' ', teller->to);
		print_plain(teller->to, news->place);
	}
	if (news->sentence[0]) {
		fputs(": ", teller->to);
		print_plain(teller->to, news->sentence);
	}
	putc('\n', teller->to);
	fflush(teller->to);
}

void stores_options(struct store_options *options, const struct caller *caller, const char *folder,
		    struct stores_teller *teller)
{
	*options = (struct store_options){.folder = folder, .home = caller->home, .uid = caller->uid, .gid = caller->gid,
					  .system = geteuid() == 0, .report = tell, .context = teller};
}

void stores_sweep(const struct caller *caller, const char *folder)
{
	struct stores_teller teller = {.to = stderr, .before = "apptap: after a run that was killed: "};
	struct store_options options;
	char path[4096], why[512];

	if (snprintf(path, sizeof(path), "%s/installed", folder) >= (int)sizeof(path) || access(path, F_OK))
		return;
	stores_options(&options, caller, folder, &teller);
	if (store_sweep(&options, why, sizeof(why)) < 0)
		fprintf(stderr, "apptap: %s\n", why);
	else if (teller.skipped)
		fprintf(stderr, "apptap: sudo apptap ca uninstall takes it out\n");
}
