// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: its options.

#include "tunnel/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/options.h"
#include "tunnel/log.h"

struct asked {
	struct run_options run;
	bool help, quiet, verbose;
};

#define TEXT(name, field)                                                                          \
	static int name(void *into, const char *value, char *why, size_t why_size)                 \
	{                                                                                          \
		(void)why;                                                                         \
		(void)why_size;                                                                    \
		((struct asked *)into)->run.hall.field = value;                                         \
		return 0;                                                                          \
	}
#define FLAG(name, field, is)                                                                      \
	static int name(void *into, const char *value, char *why, size_t why_size)                 \
	{                                                                                          \
		(void)value;                                                                       \
		(void)why;                                                                         \
		(void)why_size;                                                                    \
		((struct asked *)into)->field = is;                                                \
		return 0;                                                                          \
	}

TEXT(set_write, capture_path)
TEXT(set_filter, filter)
TEXT(set_keylog, keylog_path)
TEXT(set_flows, flows_path)
TEXT(set_upstream_ca, upstream_ca)
FLAG(set_flush, run.hall.flush_each, true)
FLAG(set_insecure, run.hall.insecure, true)
FLAG(set_no_wait, run.no_wait, true)
FLAG(set_quiet, quiet, true)
FLAG(set_verbose, verbose, true)
FLAG(set_help, help, true)

static int set_snaplen(void *into, const char *value, char *why, size_t why_size)
{
	unsigned long n;

	if (options_number(value, 0, 262144, &n, why, why_size))
		return -1;
	((struct asked *)into)->run.hall.snaplen = (uint32_t)n;
	return 0;
}

static int set_mtu(void *into, const char *value, char *why, size_t why_size)
{
	unsigned long n;

	if (options_number(value, 1280, 65520, &n, why, why_size))
		return -1;
	((struct asked *)into)->run.hall.mtu = (uint16_t)n;
	return 0;
}

static int set_tls(void *into, const char *value, char *why, size_t why_size)
{
	bool intercept = !strcmp(value, "intercept");

	if (!intercept && strcmp(value, "pass") != 0) {
		snprintf(why, why_size, "--tls is intercept or pass, not \"%s\"", value);
		return -1;
	}
	((struct asked *)into)->run.hall.intercept = intercept;
	return 0;
}

static const struct option_row rows[] = {
	{'w', NULL, "FILE", "write the capture: pcapng, or classic if it ends in .pcap; - is standard output", set_write},
	{'f', NULL, "EXPR", "capture only what this libpcap filter takes", set_filter},
	{'s', NULL, "BYTES", "keep at most so many bytes of each packet", set_snaplen},
	{'U', NULL, NULL, "write each packet as soon as it is there", set_flush},
	{0, "keylog", "FILE", "append the TLS secrets of both legs, in NSS key log form", set_keylog},
	{0, "flows", "FILE", "write a JSON line for each flow that ended", set_flows},
	{'k', "insecure", NULL, "take every origin's certificate as good", set_insecure},
	{0, "upstream-ca", "FILE", "trust these roots too when judging origins (PEM)", set_upstream_ca},
	{0, "tls", "MODE", "intercept (the default), or pass: open no TLS", set_tls},
	{0, "mtu", "BYTES", "the tunnel's MTU, 1280 to 65520; 1500 by default", set_mtu},
	{0, "no-wait", NULL, "end with COMMAND, also while processes of its own still run", set_no_wait},
	{'q', NULL, NULL, "say errors only", set_quiet},
	{'v', NULL, NULL, "say each flow as it ends and a summary, also when not on a terminal", set_verbose},
	{'h', "help", NULL, "this", set_help},
	{0, NULL, NULL, NULL, NULL},
};

void command_run_help(FILE *to)
{
	options_help(rows, to);
}

int command_run(int argc, char **argv)
{
	struct asked asked = {.run.hall = {.mtu = 1500, .intercept = true}};
	char why[512], folder[4096];
	int at = options_read(rows, &asked, argc, argv, why, sizeof(why));

	if (at < 0)
		return usage_error("run", why);
	if (asked.help) {
		puts("usage: apptap run [options] [--] COMMAND [ARG...]\n");
		command_run_help(stdout);
		return 0;
	}
	if (at >= argc)
		return usage_error("run", "run wants a command to tap");
	if (asked.quiet && asked.verbose)
		return usage_error("run", "-q and -v contradict each other");
	if (authority_folder(folder, sizeof(folder), why, sizeof(why))) {
		fprintf(stderr, "apptap: %s\n", why);
		return HALL_UNAVAILABLE;
	}
	asked.run.argv = argv + at;
	asked.run.hall.authority_folder = folder;
	asked.run.hall.lines = asked.verbose || (!asked.quiet && isatty(STDERR_FILENO));
	log_open(asked.quiet ? LOG_QUIET : asked.verbose ? LOG_VERBOSE : LOG_USUAL);
	return run(&asked.run);
}
