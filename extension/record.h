// SPDX-License-Identifier: GPL-3.0-or-later
// record - which stores hold an authority, and for whom: FOLDER/installed.
//
// A line for each place and holder: "HOLDER KIND NAME PLACE", where HOLDER is
// "-" for good or "PID:START:SPACE" for as long as that process runs, SPACE being its
// PID namespace's inode: a home may be shared with containers, and of a process in another
// namespace nobody here can tell whether it is over. A line is on disk before its place
// is touched, so that whatever happens it can be undone.
//
// Root writes it for the user whose folder it is, and reads what that user may
// have written: lines are not to be trusted beyond what the user could do, and no link
// is followed.

#ifndef EXTENSION_RECORD_H
#define EXTENSION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RECORD_LINES_MAX = 4096, RECORD_WORD = 64 };

struct record_line {
	pid_t run;			// 0: for good
	uint64_t start;			// of that process, in ticks
	uint64_t space;			// its PID namespace; 0: not said, so ours
	char kind[RECORD_WORD], name[RECORD_WORD];
	char *place;
};

struct record {
	int folder;			// its descriptor, locked
	uid_t uid;
	gid_t gid;
	struct record_line *lines;
	size_t count;
};

// Waits until nobody else has it open. The folder must be `uid`'s. 0; -ENOENT:
// there is no folder; or -errno.
int record_open(struct record *record, const char *folder, uid_t uid, gid_t gid);
void record_close(struct record *record);

// Adds the lines of a file's text, which is cut up. 0 or -errno.
int record_take(struct record *record, char *text);

// Neither is on disk before record_write(). Adding what is there is no error.
int record_add(struct record *record, pid_t run, const char *kind, const char *name, const char *place);
void record_remove(struct record *record, size_t index);
// 0 or -errno. Without a line there is no file.
int record_write(const struct record *record);

// Does any line, or one of another index than `except`, name that place?
bool record_names(const struct record *record, const char *kind, const char *name, const char *place, size_t except);
// Held by that process of our namespace; 0: for good.
bool record_is_of(const struct record_line *line, pid_t run);
// A run's in another namespace.
bool record_is_elsewhere(const struct record_line *line);
// A run's, and it is over.
bool record_is_over(const struct record_line *line);

#endif
