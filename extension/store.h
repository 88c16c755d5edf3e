// SPDX-License-Identifier: GPL-3.0-or-later
// store - the authority put into the stores that programs on this machine read: the
// system's, Java's, and one user's NSS databases; and taken out of them again.
//
// What was put in stands in FOLDER/installed, FOLDER being the authority's: just
// that is taken out, also when the authority itself is gone, and for a run that
// was killed. What was there before is left alone. A place that is held for good, and by
// runs, stays until the last of them lets go.

#ifndef EXTENSION_STORE_H
#define EXTENSION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum store_done {
	STORE_ADDED,
	STORE_KEPT,		// it was in there already
	STORE_REMOVED,
	STORE_GONE,		// it was not in there any more
	STORE_HELD,		// it stays: a run, or an install, still wants it
	STORE_SKIPPED,		// the sentence says why, and what to do
	STORE_FAILED,		// likewise
};

struct store_news {
	enum store_done done;
	const char *noun;	// "the system's store", "NSS database", "Java's store"
	const char *place;	// a path; "" where there is none to name
	const char *sentence;	// "" where there is nothing to add
};

struct store_options {
	const char *folder;	// the authority's; must be `uid`'s
	const char *home;	// whose NSS databases; NULL: nobody's
	uid_t uid;		// theirs, and as whom they are changed
	gid_t gid;
	bool system;		// may change what is the system's: we are root
	bool users_only;	// does not ask for it at all
	pid_t run;		// 0: for good; else for as long as that process runs
	const char *root;	// NULL: this machine; else a tree like it, for tests
	void (*report)(void *context, const struct store_news *news);
	void *context;
};

// `pem` is the certificate, `fingerprint` its SHA-256 in hex. Returns how many
// places failed, or -errno with a sentence when nothing could be begun. Waits where
// another apptap is at it. Starts other programs and waits for them.
int store_install(const struct store_options *options, const char *pem, size_t size, const char *fingerprint,
		  char *why, size_t why_size);

// Takes out what is held for options->run (for good: also what runs in other PID
// namespaces hold), and what runs left that are over. Returns
// how many places failed (they stay in the record), 0 also where there was
// nothing, or -errno with a sentence.
int store_uninstall(const struct store_options *options, char *why, size_t why_size);

// Only what runs left that are over. To be called at each start.
int store_sweep(const struct store_options *options, char *why, size_t why_size);

#endif
