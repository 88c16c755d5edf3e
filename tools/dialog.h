// SPDX-License-Identifier: GPL-3.0-or-later
// dialog - what Wireshark is told of us: interfaces, link type, the fields of its dialog.

#ifndef TOOLS_DIALOG_H
#define TOOLS_DIALOG_H

#include <stdbool.h>
#include <stdio.h>

enum dialog_interface { DIALOG_RUN, DIALOG_LOCAL, DIALOG_INTERFACES };

// By the name in Wireshark's own list. -1: no such interface.
int dialog_interface(const char *name);

// Each answers one question, by a line for each thing there is to say (extcap(4)).
void dialog_print_interfaces(FILE *to);
void dialog_print_link_type(FILE *to);
void dialog_print_fields(enum dialog_interface interface, FILE *to);

// The field's values alone. `search`: only processes with these words in their row. 0, or
// -errno when /proc cannot be read.
int dialog_print_processes(const char *search, FILE *to);

enum { DIALOG_LOG = 0 };	// the number of the toolbar's log button

#endif
