// SPDX-License-Identifier: GPL-3.0-or-later
// commands - the subcommands, and what more than one of them needs.

#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stddef.h>
#include <stdio.h>

int command_run(int argc, char **argv);
int command_local(int argc, char **argv);
int command_ca(int argc, char **argv);
int command_processes(int argc, char **argv);
int command_extcap(int argc, char **argv);

// Their options, for the help.
void command_run_help(FILE *to);
void command_local_help(FILE *to);

// $XDG_DATA_HOME/apptap, or ~/.local/share/apptap; under sudo the calling user's
// (tools/caller.h), whose authority is then made as that user if there is none yet.
// 0, or -1 with a sentence.
int authority_folder(char *out, size_t size, char *why, size_t why_size);

#endif
