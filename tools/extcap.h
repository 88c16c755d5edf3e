// SPDX-License-Identifier: GPL-3.0-or-later
// extcap - apptap as an interface of Wireshark's: what it was asked.

#ifndef TOOLS_EXTCAP_H
#define TOOLS_EXTCAP_H

#include <stdbool.h>

#include "tools/dialog.h"

enum { EXTCAP_PASSED = 40 };

struct extcap {
	// The question.
	bool interfaces, link_types, config, capture, cleanup, install, uninstall, help;
	const char *interface, *reload;
	// The capture's surroundings.
	const char *fifo, *filter, *control_in, *control_out;
	// The dialog's fields: our own, and words that run and local take as they are.
	const char *command, *folder, *process, *search, *spec;
	bool with_plaintext;
	const char *passed[EXTCAP_PASSED];
	int passed_count;
};

// Captures into the FIFO until the program or Wireshark ends it. Returns the exit status.
int extcap_capture(const struct extcap *asked, enum dialog_interface interface);

// A link to this program where Wireshark looks. Returns the exit status.
int extcap_install(bool undo);

#endif
