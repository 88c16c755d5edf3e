// SPDX-License-Identifier: GPL-3.0-or-later
// tapping - the options that every way of tapping shares.

#include "tools/tapping.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tunnel/log.h"

#define TEXT(name, field)                                                                          \
	static int name(void *into, const char *value, char *why, size_t why_size)                 \
	{                                                                                          \
		(void)why;                                                                         \
		(void)why_size;                                                                    \
		((struct tapping *)into)->hall.field = value;                                         \
		return 0;                                                                          \
	}
#define FLAG(name, field, is)                                                                      \
	static int name(void *into, const char *value, char *why, size_t why_size)                 \
	{                                                                                          \
		(void)value;                                                                       \
		(void)why;                                                                         \
		(void)why_size;                                                                    \
		((struct tapping *)into)->field = is;                                                \
		return 0;                                                                          \
	}

TEXT(set_write, capture_path)
TEXT(set_filter, filter)
TEXT(set_keylog, keylog_path)
TEXT(set_flows, flows_path)
TEXT(set_upstream_ca, upstream_ca)
FLAG(set_flush, hall.flush_each, true)
FLAG(set_insecure, hall.insecure, true)
FLAG(set_quiet, quiet, true)
FLAG(set_verbose, verbose, true)
FLAG(set_help, help, true)

static int set_snaplen(void *into, const char *value, char *why, size_t why_size)
{
	unsigned long n;

	if (options_number(value, 0, 262144, &n, why, why_size))
		return -1;
	((struct tapping *)into)->hall.snaplen = (uint32_t)n;
	return 0;
}

static int set_mtu(void *into, const char *value, char *why, size_t why_size)
{
	unsigned long n;

	if (options_number(value, 1280, 65520, &n, why, why_size))
		return -1;
	((struct tapping *)into)->hall.mtu = (uint16_t)n;
	return 0;
}

static int set_tls(void *into, const char *value, char *why, size_t why_size)
{
	bool intercept = !strcmp(value, "intercept");

	if (!intercept && strcmp(value, "pass") != 0) {
		snprintf(why, why_size, "--tls is intercept or pass, not \"%s\"", value);
		return -1;
	}
	((struct tapping *)into)->hall.intercept = intercept;
	return 0;
}

const struct option_row tapping_rows[] = {
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
	{'q', NULL, NULL, "say errors only", set_quiet},
	{'v', NULL, NULL, "say each flow as it ends and a summary, also when not on a terminal", set_verbose},
	{'h', "help", NULL, "this", set_help},
	{0, NULL, NULL, NULL, NULL},
};

int tapping_settle(struct tapping *t, char *why, size_t why_size)
{
	if (t->quiet && t->verbose) {
		snprintf(why, why_size, "-q and -v contradict each other");
		return -1;
	}
	t->hall.lines = t->verbose || (!t->quiet && isatty(STDERR_FILENO));
	log_open(t->quiet ? LOG_QUIET : t->verbose ? LOG_VERBOSE : LOG_USUAL);
	return 0;
}
