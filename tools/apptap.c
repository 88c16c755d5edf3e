// SPDX-License-Identifier: GPL-3.0-or-later
// apptap - the command line: which subcommand, and the help.

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tunnel/hall.h"

static void help(FILE *to)
{
	fputs("apptap taps one application: its packets, its processes, its TLS decrypted.\n"
	      "\n"
	      "  apptap run -w out.pcapng -- curl https://example.com/\n"
	      "  apptap run -w - -- ./client | wireshark -k -i -\n"
	      "  apptap run -v --flows flows.json -- python3 job.py\n"
	      "\n"
	      "usage:\n"
	      "  apptap run [options] [--] COMMAND [ARG...]   tap a new program; needs no root\n"
	      "  apptap ca path                               where the authority's certificate is\n"
	      "  apptap ca export                             print it\n"
	      "  apptap processes [--json]                    what can be tapped, newest first\n"
	      "  apptap --help | --version\n"
	      "\n"
	      "options of run:\n", to);
	command_run_help(to);
	fputs("\nThe exit status is COMMAND's. More in apptap(1).\n", to);
}

int usage_error(const char *command, const char *sentence)
{
	fprintf(stderr, "apptap: %s; see apptap %s%s--help\n", sentence, command, command[0] ? " " : "");
	return HALL_USAGE;
}

int authority_folder(char *out, size_t size, char *why, size_t why_size)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n;

	// The specification says that a relative path is to be ignored.
	if (data && data[0] == '/') {
		n = snprintf(out, size, "%s/apptap", data);
	} else {
		if (!home || home[0] != '/') {
			struct passwd *me = getpwuid(getuid());
			home = me ? me->pw_dir : NULL;
		}
		if (!home) {
			snprintf(why, why_size, "neither HOME nor XDG_DATA_HOME says where the authority is kept");
			return -1;
		}
		n = snprintf(out, size, "%s/.local/share/apptap", home);
	}
	if (n < 0 || (size_t)n >= size) {
		snprintf(why, why_size, "XDG_DATA_HOME or HOME is too long");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*call)(int argc, char **argv);
	} commands[] = {{"run", command_run}, {"ca", command_ca}, {"processes", command_processes}};
	char sentence[256];

	if (argc < 2) {
		help(stderr);
		return HALL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("apptap " APPTAP_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].call(argc - 1, argv + 1);
	snprintf(sentence, sizeof(sentence), "there is no command \"%.100s\"", argv[1]);
	return usage_error("", sentence);
}
