// SPDX-License-Identifier: GPL-3.0-or-later
// dialog - what Wireshark is told of us: interfaces, link type, the fields of its dialog.
//
// A line is a word and {key=value} pairs; a value ends at a '}' before a '{', a space or
// the line's end, and a line that is not UTF-8 is not read at all. So what processes call
// themselves is made harmless, braces included. A field's `call` is the option that
// Wireshark gives its value to; it keeps values under it, so it is never renamed.

#include "tools/dialog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/list.h"
#include "tools/harmless.h"

static const struct {
	const char *name, *display;
} interfaces[DIALOG_INTERFACES] = {
	[DIALOG_RUN] = {"apptap-run", "apptap: run a program"},
	[DIALOG_LOCAL] = {"apptap-local", "apptap: a running program"},
};

struct choice {
	const char *value, *display;
};

struct field {
	unsigned where;			// bits by interface
	const char *call, *display, *type, *more, *tooltip;
	struct choice choices[3];	// the first is the default
};

enum { RUN = 1 << DIALOG_RUN, LOCAL = 1 << DIALOG_LOCAL, BOTH = RUN | LOCAL };

static const struct field fields[] = {
	{RUN, "--command", "Command line", "string",
	 "{required=true}{placeholder=curl https://example.com/}{group=Program}",
	 "The program to start, and its arguments, quoted as for a shell. No shell reads it: $, * and ~ stand for "
	 "themselves. For pipes and variables write sh -c '...'.", {{0}}},
	{RUN, "--folder", "Working folder", "string", "{placeholder=Wireshark's own}{group=Program}",
	 "Where the program starts: an absolute path. Empty: where Wireshark started.", {{0}}},
	{LOCAL, "--process", "Process", "selector", "{reload=true}{placeholder=Reload}{save=false}{group=Program}",
	 "One process, newest first. Reload reads the list again, with what the field below searches for.", {{0}}},
	{LOCAL, "--search", "Search", "string",
	 "{save=false}{placeholder=name, PID, user or argument, then Reload}{group=Program}",
	 "After Reload the list has only processes with these words in their row.", {{0}}},
	{LOCAL, "--spec", "Programs", "string", "{placeholder=curl,!4123}{group=Program}",
	 "Programs by name instead, or as well: PIDs and texts, comma separated; ! excludes. Those that start later "
	 "are tapped too.", {{0}}},
	{LOCAL, "--trust", "Programs trust the authority meanwhile", "boolflag", "{default=false}{group=TLS}",
	 "Until the capture ends, programs on this machine trust apptap's certificate authority: without, most will "
	 "refuse to have their TLS opened.", {{0}}},
	{BOTH, "--tls", "TLS", "selector", "{group=TLS}",
	 "Whether connections are decrypted. The secrets are in the capture: Wireshark needs no key log.",
	 {{"intercept", "Open it: packets are shown decrypted"}, {"pass", "Leave it alone"}}},
	{BOTH, "--insecure", "Take every origin's certificate as good", "boolflag", "{default=false}{group=TLS}",
	 "For servers with certificates that nobody vouches for. Without, the program sees the same fault that it "
	 "would have seen.", {{0}}},
	{BOTH, "--upstream-ca", "Further roots", "fileselect", "{mustexist=true}{group=TLS}",
	 "Trust these certificates (PEM) too when judging origins.", {{0}}},
	{BOTH, "--ignore-hosts", "Do not open", "string", "{group=TLS}{placeholder=bank\\.example}",
	 "A regular expression: the TLS of these hosts, by name or address:port, is left alone.", {{0}}},
	{BOTH, "--quic", "QUIC", "selector", "{group=TLS}",
	 "HTTP/3 cannot be opened. Blocked, programs take TCP instead.",
	 {{"block", "Block it"}, {"pass", "Let it pass, encrypted"}}},
	{BOTH, "--mtu", "MTU", "unsigned", "{range=1280,65520}{default=1500}{group=Capture}",
	 "The tunnel's, in bytes: no packet is longer. 1280 to 65520.", {{0}}},
	{BOTH, "--with-plaintext", "Plaintext beside the packets", "boolflag", "{default=false}{group=Capture}",
	 "A second interface in the capture has what went through TLS as plain TCP conversations.", {{0}}},
	{BOTH, "--keylog", "Key log", "fileselect", "{mustexist=false}{group=Capture}",
	 "Append the TLS secrets of both legs to this file too.", {{0}}},
};

int dialog_interface(const char *name)
{
	for (int i = 0; i < DIALOG_INTERFACES; i++)
		if (!strcmp(name, interfaces[i].name))
			return i;
	return -1;
}

void dialog_print_interfaces(FILE *to)
{
	fputs("extcap {version=" APPTAP_VERSION "}{display=apptap}\n", to);
	for (int i = 0; i < DIALOG_INTERFACES; i++)
		fprintf(to, "interface {value=%s}{display=%s}\n", interfaces[i].name, interfaces[i].display);
	fprintf(to, "control {number=%d}{type=button}{role=logger}{display=Log}"
		"{tooltip=What apptap and the program have said}\n", DIALOG_LOG);
}

// LINKTYPE_LINUX_SLL2.
void dialog_print_link_type(FILE *to)
{
	fputs("dlt {number=276}{name=LINUX_SLL2}{display=Linux cooked v2}\n", to);
}

// --- the processes --------------------------------------------------------------

static void print_process(const struct list_row *row, int number, const char *search, FILE *to)
{
	char shown[256] = "", pid[16];

	snprintf(pid, sizeof pid, " (%d) ", row->process->pid);
	harmless_append(shown, sizeof shown, row->process->name, 40);
	harmless_append(shown, sizeof shown, pid, sizeof pid);
	harmless_append(shown, sizeof shown, row->process->user, 32);
	if (*row->process->arguments) {
		harmless_append(shown, sizeof shown, ": ", 2);
		harmless_append(shown, sizeof shown, row->process->arguments, 80);
	}
	// What was cut away can be searched for, too.
	if (search && *search && !strcasestr(shown, search) && !strcasestr(row->process->arguments, search))
		return;
	for (char *c = shown; *c; c++)
		*c = *c == '{' ? '(' : *c == '}' ? ')' : *c;
	fprintf(to, "value {arg=%d}{value=%d}{display=%s}{default=false}\n", number, row->process->pid, shown);
}

static int print_processes(int number, const char *search, FILE *to)
{
	struct list *list;
	int error = list_open(&list, getpid());

	fprintf(to, "value {arg=%d}{value=}{display=By name, below}{default=true}\n", number);
	if (error)
		return error;
	for (size_t i = 0; i < list_count(list); i++)
		if (list_row(list, i)->network != LIST_ELSEWHERE)
			print_process(list_row(list, i), number, search, to);
	list_close(list);
	return 0;
}

// --- the fields -----------------------------------------------------------------

static bool is_process(const struct field *field)
{
	return !strcmp(field->call, "--process");
}

int dialog_print_processes(const char *search, FILE *to)
{
	int number = 0;

	while (!is_process(&fields[number]))
		number++;
	return print_processes(number, search, to);
}

static void print_field(int number, FILE *to)
{
	const struct field *field = &fields[number];

	fprintf(to, "arg {number=%d}{call=%s}{display=%s}{type=%s}{tooltip=%s}%s\n", number, field->call, field->display,
		field->type, field->tooltip, field->more);
	for (const struct choice *c = field->choices; c->value; c++)
		fprintf(to, "value {arg=%d}{value=%s}{display=%s}{default=%s}\n", number, c->value, c->display,
			c == field->choices ? "true" : "false");
	if (is_process(field))
		(void)print_processes(number, NULL, to);
}

void dialog_print_fields(enum dialog_interface interface, FILE *to)
{
	for (int i = 0; i < (int)(sizeof fields / sizeof *fields); i++)
		if (fields[i].where & 1U << interface)
			print_field(i, to);
}
