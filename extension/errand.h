// SPDX-License-Identifier: GPL-3.0-or-later
// errand - one of the system's commands, run to its end for us.

#ifndef EXTENSION_ERRAND_H
#define EXTENSION_ERRAND_H

#include <stddef.h>
#include <sys/types.h>

enum { ERRAND_TEXT = 4096, ERRAND_PROGRAM = 4096 };

struct errand {
	const char *const *argv;	// argv[0] is the program's path
	uid_t uid;			// as whom, where we are root
	gid_t gid;
	const char *home;
	const void *input;		// at most 64 KB; NULL: none
	size_t input_size;
};

// The program of that name below `root` ("" for this machine's own) where the
// system's commands are. PATH is not asked: root's errands are nobody else's to choose.
// 0 or -ENOENT.
int errand_find(char out[ERRAND_PROGRAM], const char *root, const char *name);

// Its exit status, or -errno; -ETIMEDOUT when it was killed after two minutes. `text`
// gets the end of what it said. It has no terminal, so it asks nobody anything.
int errand_run(const struct errand *errand, char text[ERRAND_TEXT]);

// The last line that says something, without what marks it ("certutil: ").
const char *errand_sentence(char text[ERRAND_TEXT]);

#endif
