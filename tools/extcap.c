// SPDX-License-Identifier: GPL-3.0-or-later
// extcap - `apptap extcap`, and what Wireshark calls us with: the questions.
//
// Wireshark starts each program in its extcap folder again and again, with one question
// each time (extcap(4)): which interfaces, of which link type, with which fields in
// their dialog, is this filter right, and at last to capture into a FIFO. What it reads as
// an answer is on standard output. Anything on standard error is a failure to it.

#include "tools/extcap.h"

#include <stdio.h>
#include <string.h>

#include "pcap/filter.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/usage.h"
#include "tunnel/hall.h"

#define PASS(name, word)                                                                           \
	static int name(void *into, const char *value, char *why, size_t why_size)                 \
	{                                                                                          \
		return pass(into, word, value, why, why_size);                                     \
	}

// A field that was left empty was not given.
static int pass(struct extcap *asked, const char *word, const char *value, char *why, size_t why_size)
{
	if (value && !*value)
		return 0;
	if (asked->passed_count + 2 > EXTCAP_PASSED) {
		snprintf(why, why_size, "%s was given too often", word);
		return -1;
	}
	asked->passed[asked->passed_count++] = word;
	if (value)
		asked->passed[asked->passed_count++] = value;
	return 0;
}

static int ignore(void *into, const char *value, char *why, size_t why_size)
{
	(void)into;
	(void)value;
	(void)why;
	(void)why_size;
	return 0;
}

PASS(pass_trust, "--trust")
PASS(pass_tls, "--tls")
PASS(pass_insecure, "--insecure")
PASS(pass_upstream_ca, "--upstream-ca")
PASS(pass_ignore_hosts, "--ignore-hosts")
PASS(pass_quic, "--quic")
PASS(pass_mtu, "--mtu")
PASS(pass_keylog, "--keylog")

static const struct option_row own_rows[] = {
	{0, "install", NULL, "link apptap into your Wireshark's folder of such programs",
	 OPTION_FLAG(struct extcap, install, true)},
	{0, "uninstall", NULL, "take that link away",
	 OPTION_FLAG(struct extcap, uninstall, true)},
	{'h', "help", NULL, "this",
	 OPTION_FLAG(struct extcap, help, true)},
	{0},
};
static const struct option_row protocol_rows[] = {
	{0, "extcap-interfaces", NULL, "which interfaces are there",
	 OPTION_FLAG(struct extcap, interfaces, true)},
	{0, "extcap-version", "VERSION", "Wireshark's own",
	 OPTION_SET(ignore)},
	{0, "extcap-interface", "NAME", "the one that is meant",
	 OPTION_TEXT(struct extcap, interface)},
	{0, "extcap-dlts", NULL, "its link type",
	 OPTION_FLAG(struct extcap, link_types, true)},
	{0, "extcap-config", NULL, "the fields of its dialog",
	 OPTION_FLAG(struct extcap, config, true)},
	{0, "extcap-reload-option", "FIELD", "... the values of this one alone",
	 OPTION_TEXT(struct extcap, reload)},
	{0, "extcap-config-option-name", "FIELD", "the same",
	 OPTION_TEXT(struct extcap, reload)},
	{0, "extcap-config-option-value", "VALUE", "what it has now",
	 OPTION_SET(ignore)},
	{0, "extcap-capture-filter", "EXPR", "is it right; with --capture: use it",
	 OPTION_TEXT(struct extcap, filter)},
	{0, "extcap-control-in", "PIPE", "what Wireshark's toolbar says",
	 OPTION_TEXT(struct extcap, control_in)},
	{0, "extcap-control-out", "PIPE", "what it is told",
	 OPTION_TEXT(struct extcap, control_out)},
	{0, "extcap-cleanup-postkill", NULL, "after a kill: there is nothing to clean",
	 OPTION_FLAG(struct extcap, cleanup, true)},
	{0, "capture", NULL, "capture",
	 OPTION_FLAG(struct extcap, capture, true)},
	{0, "fifo", "PIPE", "... into this",
	 OPTION_TEXT(struct extcap, fifo)},
	{0},
};
static const struct option_row field_rows[] = {
	{0, "command", "LINE", "apptap-run: the program and its arguments",
	 OPTION_TEXT(struct extcap, command)},
	{0, "folder", "FOLDER", "apptap-run: where it starts",
	 OPTION_TEXT(struct extcap, folder)},
	{0, "process", "PID", "apptap-local: this process",
	 OPTION_TEXT(struct extcap, process)},
	{0, "spec", "SPEC", "apptap-local: these programs, as local has them",
	 OPTION_TEXT(struct extcap, spec)},
	{0, "search", "TEXT", "apptap-local: list only processes with these words",
	 OPTION_TEXT(struct extcap, search)},
	{0, "trust", NULL, "apptap-local: as local has it",
	 OPTION_SET(pass_trust)},
	{0, "with-plaintext", NULL, "write the plaintext beside the packets",
	 OPTION_FLAG(struct extcap, with_plaintext, true)},
	{0, "tls", "MODE", "as run and local have it; so have they these:",
	 OPTION_SET(pass_tls)},
	{'k', "insecure", NULL, "",
	 OPTION_SET(pass_insecure)},
	{0, "upstream-ca", "FILE", "",
	 OPTION_SET(pass_upstream_ca)},
	{0, "ignore-hosts", "REGEX", "",
	 OPTION_SET(pass_ignore_hosts)},
	{0, "quic", "MODE", "",
	 OPTION_SET(pass_quic)},
	{0, "mtu", "BYTES", "",
	 OPTION_SET(pass_mtu)},
	{0, "keylog", "FILE", "",
	 OPTION_SET(pass_keylog)},
	{0},
};
static const struct option_row *const tables[] = {own_rows, protocol_rows, field_rows, NULL};

static void show_help(void)
{
	static const struct option_row *const own[] = {own_rows, NULL};
	static const struct option_row *const protocol[] = {protocol_rows, NULL}, *const of_fields[] = {field_rows, NULL};

	puts("usage: apptap extcap --install | --uninstall\n\n"
	     "Then Wireshark and tshark -D have two interfaces more: apptap-run starts a\n"
	     "program, apptap-local taps one that runs.\n");
	options_help(own, stdout);
	puts("\nWhat Wireshark calls it with, extcap(4):\n");
	options_help(protocol, stdout);
	puts("\nThe fields of its dialog, extcap.apptap_run.command:... with tshark -o:\n");
	options_help(of_fields, stdout);
}

static int refuse(const char *sentence)
{
	fprintf(stderr, "apptap: %s\n", sentence);
	return HALL_USAGE;
}

// Nothing is said of a filter that is right.
static int judge_filter(const char *expression)
{
	struct capture_filter *filter;
	char why[512];

	if (!*expression)
		return 0;
	if (capture_filter_open(&filter, expression, why, sizeof why))
		puts(why);
	else
		capture_filter_close(filter);
	return 0;
}

// Wireshark names the field without its dashes.
static int reload(const struct extcap *asked, enum dialog_interface interface)
{
	const char *field = asked->reload + strspn(asked->reload, "-");

	if (interface != DIALOG_LOCAL || strcmp(field, "process") != 0)
		return refuse("that field has no list to read again");
	if (dialog_print_processes(asked->search, stdout))
		return refuse("cannot read /proc");
	return 0;
}

static int answer(const struct extcap *asked)
{
	if (asked->interfaces) {
		dialog_print_interfaces(stdout);
		return 0;
	}
	if (asked->cleanup)
		return 0;
	if (!asked->interface)
		return refuse("--extcap-interface has to say which interface is meant");
	int interface = dialog_interface(asked->interface);

	if (interface < 0)
		return refuse("there is no such interface: apptap-run and apptap-local are there");
	if (asked->link_types)
		dialog_print_link_type(stdout);
	else if (asked->config && asked->reload)
		return reload(asked, interface);
	else if (asked->config)
		dialog_print_fields(interface, stdout);
	else if (asked->capture)
		return extcap_capture(asked, interface);
	else if (asked->filter)
		return judge_filter(asked->filter);
	else
		return refuse("extcap was asked nothing");
	return 0;
}

int command_extcap(int argc, char **argv)
{
	struct extcap asked = {0};
	char why[512];
	int at = options_read(tables, &asked, argc, argv, why, sizeof why), status;

	if (at < 0)
		return usage_error("extcap", why);
	if (at < argc)
		return usage_error("extcap", "extcap takes options alone");
	if (asked.install && asked.uninstall)
		return usage_error("extcap", "--install and --uninstall contradict each other");
	if (asked.help) {
		show_help();
		return 0;
	}
	if (argc < 2)
		return usage_error("extcap", "extcap wants --install or --uninstall; the rest is Wireshark's to say");
	status = asked.install || asked.uninstall ? extcap_install(asked.uninstall) : answer(&asked);
	if (fflush(stdout) || ferror(stdout)) {
		perror("apptap: standard output");
		return HALL_INCOMPLETE;
	}
	return status;
}
