// SPDX-License-Identifier: GPL-3.0-or-later
// apptap - the command line: which subcommand, and the help.

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/usage.h"
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
	      "  apptap local [options] [SPEC]                tap programs that already run; root\n"
	      "  apptap ca path                               where the authority's certificate is\n"
	      "  apptap ca export                             print it\n"
	      "  apptap ca install | uninstall                let programs here trust it, or no longer\n"
	      "  apptap processes [--json]                    what can be tapped, newest first\n"
	      "  apptap extcap --install | --uninstall        be an interface of your Wireshark's\n"
	      "  apptap --help | --version\n"
	      "\n"
	      "options of run:\n", to);
	command_run_help(to);
	fputs("\noptions of local beside those, --no-wait excepted:\n", to);
	command_local_help(to);
	fputs("\nThe exit status is COMMAND's. More in apptap(1).\n", to);
}

// Wireshark calls what is in its extcap folder without a subcommand.
static bool is_wireshark(const char *word)
{
	return !strncmp(word, "--extcap-", 9) || !strcmp(word, "--capture") || !strcmp(word, "--fifo");
}

// A file that is opened must not become what programs take for their standard error. What
// was closed stays useless, as it was: it can be read where it is for writing.
static void fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*call)(int argc, char **argv);
	} commands[] = {{"run", command_run}, {"local", command_local}, {"ca", command_ca}, {"processes", command_processes},
		      {"extcap", command_extcap}};
	char sentence[256];

	fill_standard();
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
	if (is_wireshark(argv[1]))
		return command_extcap(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].call(argc - 1, argv + 1);
	snprintf(sentence, sizeof(sentence), "there is no command \"%.100s\"", argv[1]);
	return usage_error("", sentence);
}
