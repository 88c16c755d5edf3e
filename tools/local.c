// SPDX-License-Identifier: GPL-3.0-or-later
// local - `apptap local`: its options.

#include "tunnel/local.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/caller.h"
#include "tools/commands.h"
#include "tools/stores.h"
#include "tools/tapping.h"
#include "tools/usage.h"

enum { CIDRS = 64 };

struct cidrs {
	struct redirect_cidr list[CIDRS];
	size_t count;
};

struct asked {
	struct tapping tapping;
	const char *spec, *spec_file, *netns;
	bool no_loopback, trust;
	struct cidrs only, except;
};

// "192.0.2.0/24", "2001:db8::/32", or an address alone.
static int read_cidr(struct cidrs *into, const char *text, char *why, size_t why_size)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long prefix;
	struct redirect_cidr c = {0};

	if (into->count == CIDRS) {
		snprintf(why, why_size, "more than %d networks are too many", CIDRS);
		return -1;
	}
	snprintf(host, sizeof(host), "%.*s", (int)size, text);
	c.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	unsigned long most = c.family == AF_INET ? 32 : 128;
	prefix = most;
	if (size >= sizeof(host) || inet_pton(c.family, host, c.bytes) != 1 ||
	    (slash && options_number(slash + 1, 0, most, &prefix, why, why_size))) {
		snprintf(why, why_size, "\"%s\" is no network, as 192.0.2.0/24 or 2001:db8::/32 is", text);
		return -1;
	}
	c.prefix = (uint8_t)prefix;
	into->list[into->count++] = c;
	return 0;
}

static int set_only(void *into, const char *value, char *why, size_t why_size)
{
	return read_cidr(&((struct asked *)into)->only, value, why, why_size);
}

static int set_except(void *into, const char *value, char *why, size_t why_size)
{
	return read_cidr(&((struct asked *)into)->except, value, why, why_size);
}

static const struct option_row own_rows[] = {
	{0, "trust", NULL, "until it ends, programs here trust the authority (see ca install)",
	 OPTION_FLAG(struct asked, trust, true)},
	{0, "spec-file", "FILE", "the SPEC, an item or more on each line; SIGHUP reads it again",
	 OPTION_TEXT(struct asked, spec_file)},
	{0, "netns", "PID|NAME", "tap programs in that network namespace (a container's)",
	 OPTION_TEXT(struct asked, netns)},
	{0, "only", "CIDR", "only what goes to this network (may be given again)",
	 OPTION_SET(set_only)},
	{0, "except", "CIDR", "not what goes to this network (may be given again)",
	 OPTION_SET(set_except)},
	{0, "no-loopback", NULL, "leave connections to 127.0.0.0/8 and ::1 alone",
	 OPTION_FLAG(struct asked, no_loopback, true)},
	{0},
};
static const struct option_row *const rows[] = {tapping_rows, own_rows, NULL};

void command_local_help(FILE *to)
{
	options_help(rows + 1, to);
}

static void show_help(void)
{
	puts("usage: apptap local [options] [SPEC]\n\n"
	     "SPEC: PIDs and texts, comma separated, ! excludes: curl,!4123. A text is looked\n"
	     "for in the executable's path, the process's name and argv[0]. Further kinds:\n"
	     "exe:GLOB, user:NAME, cgroup:PATH, child-of:PID. None: every program.\n"
	     "While it runs each line typed is another SPEC, from then on.\n");
	options_help(rows, stdout);
}

// Options may stand on either side of the one SPEC, as people type them. 0, or
// -1 with a sentence.
static int read_line(struct asked *asked, int argc, char **argv, char *why, size_t why_size)
{
	int at = options_read(rows, asked, argc, argv, why, why_size);

	while (at >= 0 && at < argc) {
		if (asked->spec) {
			snprintf(why, why_size, "local wants one SPEC: commas part its items");
			return -1;
		}
		asked->spec = argv[at];
		int more = options_read(rows, asked, argc - at, argv + at, why, why_size);
		at = more < 0 ? more : at + more;
	}
	return at < 0 ? -1 : 0;
}

int command_local(int argc, char **argv)
{
	struct asked asked = {.tapping = TAPPING_DEFAULTS};
	struct caller caller;
	struct stores_teller teller = {.to = stderr, .before = "apptap: "};
	struct store_options trust;
	char why[512], folder[4096];

	if (read_line(&asked, argc, argv, why, sizeof(why)))
		return usage_error("local", why);
	if (asked.tapping.help) {
		show_help();
		return 0;
	}
	if (asked.spec && asked.spec_file)
		return usage_error("local", "the spec stands on the command line or in --spec-file, not in both");
	if (asked.trust && !asked.tapping.hall.policy.intercept)
		return usage_error("local", "with --tls pass there is nothing for --trust to do");
	if (tapping_settle(&asked.tapping, why, sizeof(why)))
		return usage_error("local", why);
	if (caller_read(&caller, why, sizeof(why)) || authority_folder(folder, sizeof(folder), why, sizeof(why))) {
		fprintf(stderr, "apptap: %s\n", why);
		return HALL_UNAVAILABLE;
	}
	stores_sweep(&caller, folder);
	teller.failures_only = asked.tapping.quiet;
	stores_options(&trust, &caller, folder, &teller);
	struct local_options options = {
		.hall = asked.tapping.hall, .spec = asked.spec,
		.spec_file = asked.spec_file, .netns = asked.netns, .no_loopback = asked.no_loopback,
		.only = asked.only.list, .only_count = asked.only.count, .except = asked.except.list,
		.except_count = asked.except.count, .by_sudo = caller.by_sudo, .uid = caller.uid,
		.gid = caller.gid, .trust = asked.trust ? &trust : NULL,
	};
	options.hall.authority_folder = folder;
	options.hall.ends_with_capture = true;
	return local(&options);
}
