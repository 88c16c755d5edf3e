// SPDX-License-Identifier: GPL-3.0-or-later
// tapping - the options that every way of tapping shares.

#include "tools/tapping.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pcap/target.h"
#include "tunnel/log.h"

// Millions of bytes, or with a letter behind it KiB, MiB or GiB.
static int set_rotate_size(void *into, const char *value, char *why, size_t why_size)
{
	static const char letters[] = "kKmMgG";
	size_t length = strlen(value);
	const char *letter = length ? strchr(letters, value[length - 1]) : NULL;
	char digits[32];
	unsigned long n;

	snprintf(digits, sizeof(digits), "%.*s", (int)(length - (letter != NULL)), value);
	if (options_number(digits, 1, 1000000000, &n, why, why_size))
		return -1;
	((struct tapping *)into)->hall.capture.rotate_size =
		letter ? (uint64_t)n << 10 * ((letter - letters) / 2 + 1) : (uint64_t)n * 1000000;
	return 0;
}

static int full(const char *option, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s can be given %d times at most", option, TAPPING_ONLY);
	return -1;
}

static int set_only_pid(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;
	unsigned long n;
	int i = 0;

	if (options_number(value, 1, INT32_MAX, &n, why, why_size))
		return -1;
	while (i < TAPPING_ONLY && t->only_pids[i])
		i++;
	if (i == TAPPING_ONLY)
		return full("--only-pid", why, why_size);
	t->only_pids[i] = (int32_t)n;
	return 0;
}

static int set_only_name(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;
	int i = 0;

	while (i < TAPPING_ONLY && t->only_names[i])
		i++;
	if (i == TAPPING_ONLY)
		return full("--only-name", why, why_size);
	t->only_names[i] = value;
	return 0;
}

static int set_plain_port(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;
	const char *colon = strchr(value, ':');
	unsigned long from, to;
	char first[16];
	int i = 0;

	snprintf(first, sizeof(first), "%.*s", colon ? (int)(colon - value) : 0, value);
	if (options_number(first, 1, 65535, &from, why, why_size) ||
	    options_number(colon ? colon + 1 : "", 1, 65535, &to, why, why_size)) {
		snprintf(why, why_size, "--plaintext-port is FROM:TO, two ports, not \"%s\"", value);
		return -1;
	}
	while (i < TAPPING_ONLY && t->plain_ports[i][0])
		i++;
	if (i == TAPPING_ONLY)
		return full("--plaintext-port", why, why_size);
	t->plain_ports[i][0] = (uint16_t)from;
	t->plain_ports[i][1] = (uint16_t)to;
	return 0;
}

// The two bytes that TLS has for it.
static int read_version(uint16_t *out, const char *value, char *why, size_t why_size)
{
	if (strlen(value) != 3 || memcmp(value, "1.", 2) != 0 || value[2] < '0' || value[2] > '3') {
		snprintf(why, why_size, "TLS has the versions 1.0, 1.1, 1.2 and 1.3, not \"%s\"", value);
		return -1;
	}
	*out = (uint16_t)(0x0301 + value[2] - '0');
	return 0;
}

static int set_tls_min(void *into, const char *value, char *why, size_t why_size)
{
	return read_version(&((struct tapping *)into)->hall.tls.version_min, value, why, why_size);
}

static int set_tls_max(void *into, const char *value, char *why, size_t why_size)
{
	return read_version(&((struct tapping *)into)->hall.tls.version_max, value, why, why_size);
}

static int set_client_cert(void *into, const char *value, char *why, size_t why_size)
{
	struct tapping *t = into;
	size_t n = t->hall.tls.client_certificate_count;
	const char *equals = strchr(value, '=');

	if (!equals || equals == value || (size_t)(equals - value) >= sizeof(t->certificate_hosts[n])) {
		snprintf(why, why_size, "--client-cert wants HOST=FILE, as *.example.com=me.pem, not \"%s\"", value);
		return -1;
	}
	if (n == TAPPING_HOSTS) {
		snprintf(why, why_size, "more than %d client certificates are too many", TAPPING_HOSTS);
		return -1;
	}
	snprintf(t->certificate_hosts[n], sizeof(t->certificate_hosts[n]), "%.*s", (int)(equals - value), value);
	t->certificates[n].file = equals + 1;
	t->hall.tls.client_certificate_count = n + 1;
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
	{'w', NULL, "FILE", "write the capture: pcapng, or classic if it ends in .pcap; - is standard output",
	 OPTION_TEXT(struct tapping, hall.capture.path)},
	{'f', NULL, "EXPR", "capture only what this libpcap filter takes",
	 OPTION_TEXT(struct tapping, hall.capture.filter)},
	{'s', NULL, "BYTES", "keep at most so many bytes of each packet",
	 OPTION_NUMBER(struct tapping, hall.capture.snaplen, 0, 262144)},
	{'c', NULL, "COUNT", "capture so many packets: local then ends, run's program goes on",
	 OPTION_NUMBER(struct tapping, hall.capture.packets, 1, ULONG_MAX)},
	{'C', NULL, "SIZE", "go on in another file (FILE1, FILE2...) once one has SIZE million bytes; k, m, g: KiB...",
	 OPTION_SET(set_rotate_size)},
	{'G', NULL, "SECONDS", "go on in another file after SECONDS; FILE is a pattern for strftime(3)",
	 OPTION_NUMBER(struct tapping, hall.capture.rotate_seconds, 1, INT32_MAX)},
	{'W', NULL, "COUNT", "with -C: over and over in so many files; with -G: end after so many",
	 OPTION_NUMBER(struct tapping, hall.capture.files, 1, 1000000)},
	{'z', NULL, "COMMAND", "run COMMAND FILE on each file that -C or -G has ended (gzip)",
	 OPTION_TEXT(struct tapping, hall.finish)},
	{0, "only-pid", "PID", "capture only what this process sends and gets (may be given again)",
	 OPTION_SET(set_only_pid)},
	{0, "only-name", "NAME", "... processes of this name, a shell pattern (may be given again)",
	 OPTION_SET(set_only_name)},
	{0, "linktype", "TYPE", "sll2 (the default), or pktap: macOS's, with the process in each packet",
	 OPTION_EITHER(struct tapping, hall.capture.pktap, "pktap", "sll2")},
	{0, "plaintext", "FILE", "write what went through TLS as plain TCP; the same FILE as -w: beside the packets; -C, -G, -W as for it",
	 OPTION_TEXT(struct tapping, hall.capture.plain_path)},
	{0, "plaintext-port", "FROM:TO", "... a conversation with port FROM on port TO (may be given again)",
	 OPTION_SET(set_plain_port)},
	{0, "plaintext-mss", "BYTES", "... in segments of so many bytes; as large as can be by default",
	 OPTION_NUMBER(struct tapping, hall.capture.plain_segment, 1, 65495)},
	{0, "pcap-over-ip", "[ADDR:]PORT", "give the capture to whoever connects (tshark -i TCP@127.0.0.1:57012)",
	 OPTION_TEXT(struct tapping, hall.capture.serve)},
	{'U', NULL, NULL, "write each packet as soon as it is there",
	 OPTION_FLAG(struct tapping, hall.capture.flush_each, true)},
	{0, "http", NULL, "say each HTTP request as it is answered: method, URL, status, type, size, time",
	 OPTION_FLAG(struct tapping, hall.watch.http, true)},
	{0, "har", "FILE", "write each HTTP request and response, for browsers' developer tools and jq",
	 OPTION_TEXT(struct tapping, hall.watch.har_path)},
	{0, "har-body", "BYTES", "... so many bytes of each body at most, 1 MiB by default",
	 OPTION_NUMBER(struct tapping, hall.watch.body_most, 0, 4 << 20)},
	{0, "dump", NULL, "show what each conversation says, inside TLS and without, as hex and text",
	 OPTION_FLAG(struct tapping, hall.watch.dump, true)},
	{0, "dump-bytes", "BYTES", "... so many of each side at most, 65536 by default; 0: all",
	 OPTION_NUMBER(struct tapping, hall.watch.dump_most, 0, ULONG_MAX)},
	{0, "redact", NULL, "write no TLS secret, no argument, and no value of Authorization and Cookie headers",
	 OPTION_FLAG(struct tapping, hall.redact, true)},
	{0, "keylog", "FILE", "append the TLS secrets of both legs, in NSS key log form",
	 OPTION_TEXT(struct tapping, hall.keylog_path)},
	{0, "flows", "FILE", "write a JSON line for each flow that ended",
	 OPTION_TEXT(struct tapping, hall.flows_path)},
	{'k', "insecure", NULL, "take every origin's certificate as good",
	 OPTION_FLAG(struct tapping, hall.tls.insecure, true)},
	{0, "upstream-ca", "FILE", "trust these roots too when judging origins (PEM)",
	 OPTION_TEXT(struct tapping, hall.tls.upstream_ca)},
	{0, "tls", "MODE", "intercept (the default), or pass: open no TLS",
	 OPTION_EITHER(struct tapping, hall.policy.intercept, "intercept", "pass")},
	{0, "crl", "FILE", "believe these revocation lists when judging origins (PEM)",
	 OPTION_TEXT(struct tapping, hall.tls.crl)},
	{0, "client-cert", "HOST=FILE", "show HOST this certificate and key (PEM) if it asks for one",
	 OPTION_SET(set_client_cert)},
	{0, "tls-min", "VERSION", "no older TLS: 1.0 to 1.3",
	 OPTION_SET(set_tls_min)},
	{0, "tls-max", "VERSION", "no newer TLS: 1.0 to 1.3",
	 OPTION_SET(set_tls_max)},
	{0, "ignore-hosts", "REGEX", "open no TLS of these, by name or address:port (may be given again)",
	 OPTION_SET(set_ignore)},
	{0, "allow-hosts", "REGEX", "open TLS of these only (may be given again)",
	 OPTION_SET(set_allow)},
	{0, "no-pin-bypass", NULL, "keep opening what a program has refused to have opened",
	 OPTION_FLAG(struct tapping, hall.policy.pin_bypass, false)},
	{0, "pins", "FILE", "keep across runs which program refused which host",
	 OPTION_TEXT(struct tapping, hall.policy.pins_path)},
	{0, "quic", "MODE", "block (the default: programs take TCP instead), or pass",
	 OPTION_EITHER(struct tapping, hall.policy.quic_pass, "pass", "block")},
	{0, "mtu", "BYTES", "the tunnel's MTU, 1280 to 65520; 1500 by default",
	 OPTION_NUMBER(struct tapping, hall.mtu, 1280, 65520)},
	{'q', NULL, NULL, "say errors only",
	 OPTION_FLAG(struct tapping, quiet, true)},
	{'v', NULL, NULL, "say each flow as it ends and a summary, also when not on a terminal",
	 OPTION_FLAG(struct tapping, verbose, true)},
	{'h', "help", NULL, "this",
	 OPTION_FLAG(struct tapping, help, true)},
	{0},
};

static bool is_file(const char *path)
{
	return path && strcmp(path, "-") != 0;
}

// SIGUSR2 makes a next file of any.
static int check_names(const char *packets, const char *plain, char *why, size_t why_size)
{
	if (!packets || !plain)
		return 0;
	if (!capture_target_meets(packets, plain) && !capture_target_meets(plain, packets))
		return 0;
	snprintf(why, why_size, "-w %s and --plaintext %s would write over each other: the files that -C, -G or SIGUSR2 go on in "
		 "have a number behind the name. Name one otherwise, or both exactly the same to have them in one file",
		 packets, plain);
	return -1;
}

static int settle_capture(struct tapping *t, char *why, size_t why_size)
{
	struct capture_options *c = &t->hall.capture;
	const char *wrong = NULL;

	c->only_pids = t->only_pids[0] ? t->only_pids : NULL;
	c->only_names = t->only_names[0] ? t->only_names : NULL;
	c->plain_ports = t->plain_ports[0][0] ? t->plain_ports : NULL;
	bool rotates = c->rotate_size || c->rotate_seconds;

	if (!is_file(c->path) && !is_file(c->plain_path) && (rotates || c->files))
		wrong = c->path || c->plain_path ? "standard output is no file that -C or -G could end" :
						   "-C, -G and -W are for files of packets: give -w or --plaintext as well";
	else if (!c->path && !c->serve && c->packets)
		wrong = "-c counts the packets of a capture: give -w as well";
	else if (c->files && !rotates)
		wrong = "-W is a number of files: give -C or -G, which end one, as well";
	else if (t->hall.finish && !rotates)
		wrong = "-z is for the files that -C or -G end: give one of them as well";
	else if (is_file(c->path) && is_file(c->plain_path) && strcmp(c->path, c->plain_path) != 0 && c->rotate_seconds &&
		 !c->rotate_size && strchr(c->path, '%') && !strchr(c->plain_path, '%'))
		wrong = "-G would write over --plaintext's file each time: give it a pattern as well, as in plain-%H%M.pcapng";
	if (!wrong)
		return check_names(c->path, c->plain_path, why, why_size);
	snprintf(why, why_size, "%s", wrong);
	return -1;
}

int tapping_settle(struct tapping *t, char *why, size_t why_size)
{
	if (settle_capture(t, why, why_size))
		return -1;
	if (t->quiet && t->verbose) {
		snprintf(why, why_size, "-q and -v contradict each other");
		return -1;
	}
	struct policy *policy;
	struct policy_options trial;

	t->hall.policy.ignore = t->ignore;
	t->hall.policy.allow = t->allow;
	for (size_t i = 0; i < t->hall.tls.client_certificate_count; i++)
		t->certificates[i].host = t->certificate_hosts[i];
	t->hall.tls.client_certificates = t->certificates;
	if (t->hall.tls.version_min && t->hall.tls.version_max && t->hall.tls.version_min > t->hall.tls.version_max) {
		snprintf(why, why_size, "--tls-min is newer than --tls-max");
		return -1;
	}
	trial = t->hall.policy;
	trial.pins_path = NULL;
	if (policy_open(&policy, &trial, why, why_size))
		return -1;
	policy_close(policy);
	t->hall.lines = t->verbose || (!t->quiet && isatty(STDERR_FILENO));
	log_open(t->quiet ? LOG_QUIET : t->verbose ? LOG_VERBOSE : LOG_USUAL);
	return 0;
}
