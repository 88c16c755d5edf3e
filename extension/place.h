// SPDX-License-Identifier: GPL-3.0-or-later
// place - the kinds of stores that an authority can be put into.
//
// `name` is the authority's in a store: "apptap-" and eight hex digits of its
// fingerprint. A place is named by its path on the machine, without the tests' root.

#ifndef EXTENSION_PLACE_H
#define EXTENSION_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct place_world {
	const char *root;		// "" for this machine's own
	const char *home;		// NULL: nobody's
	uid_t uid;			// whose home
	gid_t gid;
	bool system;			// what is the system's may be changed
	char sentence[512];		// says more of the last add or remove; may be ""
};

typedef void place_found(void *context, const char *place);

struct place_kind {
	const char *word;		// in the record
	const char *noun;		// to people
	bool is_system;
	bool is_silent;			// not worth a line to people
	// Each place that there is. Where a kind as a whole cannot be had, NULL is found,
	// and the sentence says why.
	void (*find)(struct place_world *world, const char *name, place_found *found, void *context);
	// May that (out of a record that anybody may have written) be removed from?
	bool (*is_valid)(struct place_world *world, const char *name, const char *place);
	bool (*has)(struct place_world *world, const char *name, const char *place);
	// 0, or -errno; what was begun is undone.
	int (*add)(struct place_world *world, const char *name, const char *place, const char *pem, size_t size);
	// 1; 0 where it was not there any more; or -errno.
	int (*remove)(struct place_world *world, const char *name, const char *place);
};

// In the order in which they are added; removed the other way round.
extern const struct place_kind place_folder, place_anchor, place_truststore, place_database;

// Java's store that the system's command fills along with its own, or NULL; *failed:
// it should have been just now, and was not.
const char *place_java_beside(struct place_world *world, const char *anchor, bool *failed);
// The system's own stores' files: not to be changed but by its command.
bool place_is_managed(const struct place_world *world, const char *path);
// The package that brings certutil(1) here.
const char *place_certutil_package(const struct place_world *world);

// "ROOT/PATH", cut never: false where it is too long.
bool place_path(const struct place_world *world, const char *path, char *out, size_t size);

#endif
