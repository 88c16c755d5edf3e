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
TEXT(set_pins, policy.pins_path)
TEXT(set_upstream_ca, upstream_ca)
FLAG(set_flush, hall.flush_each, true)
FLAG(set_insecure, hall.insecure, true)
FLAG(set_no_pin_bypass, hall.policy.pin_bypass, false)
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
	((struct tapping *)into)->hall.policy.intercept = intercept;
	return 0;
}

static int set_quic(void *into, const char *value, char *why, size_t why_size)
{
	bool pass = !strcmp(value, "pass");

	if (!pass && strcmp(value, "block") != 0) {
		snprintf(why, why_size, "--quic is block or pass, not \"%s\"", value);
		return -1;
	}
	((struct tapping *)into)->hall.policy.quic_pass = pass;
	return 0;
}

static int add_host(const char **list, size_t *count, const char *value, char *why, size_t why_size)
{
	if (*count == TAPPING_HOSTS) {
		snprintf(why, why_size, "more than %d expressions are too many: join them with |", TAPPING_HOSTS);
		return -1;
	}
	list[(*count)++] = value;
	return 0;
}

static int set_ignore(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;

	return add_host(t->ignore, &t->hall.policy.ignore_count, value, why, why_size);
}

static int set_allow(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;

	return add_host(t->allow, &t->hall.policy.allow_count, value, why, why_size);
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
	{0, "ignore-hosts", "REGEX", "open no TLS of these, by name or address:port (may be given again)", set_ignore},
	{0, "allow-hosts", "REGEX", "open TLS of these only (may be given again)", set_allow},
	{0, "no-pin-bypass", NULL, "keep opening what a program has refused to have opened", set_no_pin_bypass},
	{0, "pins", "FILE", "keep across runs which program refused which host", set_pins},
	{0, "quic", "MODE", "block (the default: programs take TCP instead), or pass", set_quic},
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
	struct policy *policy;
	struct policy_options trial;

	t->hall.policy.ignore = t->ignore;
	t->hall.policy.allow = t->allow;
	trial = t->hall.policy;
	trial.pins_path = NULL;
	if (policy_open(&policy, &trial, why, why_size))
		return -1;
	policy_close(policy);
	t->hall.lines = t->verbose || (!t->quiet && isatty(STDERR_FILENO));
	log_open(t->quiet ? LOG_QUIET : t->verbose ? LOG_VERBOSE : LOG_USUAL);
	return 0;
}
