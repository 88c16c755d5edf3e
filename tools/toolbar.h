// SPDX-License-Identifier: GPL-3.0-or-later
// toolbar - Wireshark's toolbar for the interface, over its two control pipes.

#ifndef TOOLS_TOOLBAR_H
#define TOOLS_TOOLBAR_H

#include <stddef.h>
#include <stdint.h>

// The protocol's own numbers.
enum toolbar_command { TOOLBAR_SET = 1, TOOLBAR_ADD = 2 };

// A message is 'T', the size of what follows in 3 bytes (big endian), the control's
// number, the command, and text. All of it is written at once or not at all (PIPE_BUF).
enum { TOOLBAR_HEADER = 6, TOOLBAR_MESSAGE = 4096 };

// Returns the message's size; text beyond what fits is left out.
size_t toolbar_message(uint8_t out[TOOLBAR_MESSAGE], uint8_t control, enum toolbar_command command, const char *text,
		       size_t size);

struct toolbar;

// `in`, `out`: the pipes' names as Wireshark gave them, or NULL. Never blocks. NULL: out of
// memory. A pipe that cannot be had is done without.
struct toolbar *toolbar_open(const char *in, const char *out);
void toolbar_close(struct toolbar *toolbar);

// What Wireshark says there; -1: nothing ever.
int toolbar_fd(const struct toolbar *toolbar);
void toolbar_read(struct toolbar *toolbar);

// Adds text to the log; when Wireshark does not read, it is left out and that is said later.
void toolbar_log(struct toolbar *toolbar, const char *text, size_t size);

#endif
