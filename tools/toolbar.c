// SPDX-License-Identifier: GPL-3.0-or-later
// toolbar - Wireshark's toolbar for the interface, over its two control pipes.
//
// Both are FIFOs that Wireshark opens when it pleases. Opened for reading and writing
// they neither block nor end before it has come.

#include "tools/toolbar.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/dialog.h"

struct toolbar {
	int in, out;
	unsigned long left_out;		// bytes of the log
};

size_t toolbar_message(uint8_t out[TOOLBAR_MESSAGE], uint8_t control, enum toolbar_command command, const char *text,
		       size_t size)
{
	if (size > TOOLBAR_MESSAGE - TOOLBAR_HEADER)
		size = TOOLBAR_MESSAGE - TOOLBAR_HEADER;
	size_t counted = size + 2;

	out[0] = 'T';
	out[1] = (uint8_t)(counted >> 16);
	out[2] = (uint8_t)(counted >> 8);
	out[3] = (uint8_t)counted;
	out[4] = control;
	out[5] = (uint8_t)command;
	memcpy(out + TOOLBAR_HEADER, text, size);
	return TOOLBAR_HEADER + size;
}

struct toolbar *toolbar_open(const char *in, const char *out)
{
	struct toolbar *toolbar = calloc(1, sizeof *toolbar);

	if (!toolbar)
		return NULL;
	toolbar->in = in ? open(in, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	toolbar->out = out ? open(out, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	return toolbar;
}

void toolbar_close(struct toolbar *toolbar)
{
	if (!toolbar)
		return;
	if (toolbar->in >= 0)
		close(toolbar->in);
	if (toolbar->out >= 0)
		close(toolbar->out);
	free(toolbar);
}

int toolbar_fd(const struct toolbar *toolbar)
{
	return toolbar->in;
}

// There is no control that takes a value: that one was pressed is Wireshark's own affair.
void toolbar_read(struct toolbar *toolbar)
{
	char unused[512];

	if (read(toolbar->in, unused, sizeof unused) > 0)
		return;
	close(toolbar->in);
	toolbar->in = -1;
}

static int send_text(struct toolbar *toolbar, const char *text, size_t size)
{
	uint8_t message[TOOLBAR_MESSAGE];
	size_t n = toolbar_message(message, DIALOG_LOG, TOOLBAR_ADD, text, size);

	return write(toolbar->out, message, n) == (ssize_t)n ? 0 : -1;
}

void toolbar_log(struct toolbar *toolbar, const char *text, size_t size)
{
	const size_t most = TOOLBAR_MESSAGE - TOOLBAR_HEADER;

	if (toolbar->out < 0)
		return;
	if (toolbar->left_out) {
		char said[64];
		int n = snprintf(said, sizeof said, "\n(%lu bytes left out)\n", toolbar->left_out);

		if (send_text(toolbar, said, (size_t)n)) {
			toolbar->left_out += size;
			return;
		}
		toolbar->left_out = 0;
	}
	for (size_t done = 0; done < size; done += most)
		if (send_text(toolbar, text + done, size - done < most ? size - done : most)) {
			toolbar->left_out += size - done;
			return;
		}
}
