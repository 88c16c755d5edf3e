// SPDX-License-Identifier: GPL-3.0-or-later
// choice - what is to be tapped, and how it comes to be something else while apptap runs.
//
// A spec stands on the command line or in a file; each line of standard input is
// another, and the file can be read again. A bad one is said, with the place marked,
// and the one before stays.

#ifndef TUNNEL_CHOICE_H
#define TUNNEL_CHOICE_H

#include <stdbool.h>

struct choice;
struct spec;

// `text` (NULL: every program), or else the spec in `path`: its lines are joined as by
// commas, empty ones and those that begin with # left out. Both are borrowed. 0 or -errno;
// what is wrong was logged.
int choice_open(struct choice **out, const char *text, const char *path);
void choice_close(struct choice *choice);

// Valid until it is next changed.
const struct spec *choice_spec(const struct choice *choice);
// As people say it: "every program", or the text.
const char *choice_words(const struct choice *choice);

enum choice_news {
	CHOICE_SAME,		// also where it was bad: that was logged
	CHOICE_CHANGED,
	CHOICE_ENDED,		// there will be no more lines
};

// Reads the file again.
enum choice_news choice_reread(struct choice *choice);
// Takes what there is to read at `fd`: of several whole lines the last one counts. An
// empty line changes nothing.
enum choice_news choice_read(struct choice *choice, int fd);

#endif
