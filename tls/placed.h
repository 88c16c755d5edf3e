// SPDX-License-Identifier: GPL-3.0-or-later
// placed - the authority's files: put in place whole and once, and never replaced.
//
// 0, or -errno with a sentence in `why` that says what to do.

#ifndef TLS_PLACED_H
#define TLS_PLACED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// The folder and its parents are there, others cannot write into it.
int placed_folder(const char *folder, char *why, size_t why_size);

// A new file with `text`, unless one is there by then: that is no error.
int placed_write(const char *path, mode_t mode, const char *text, char *why, size_t why_size);

// All of a file, to be freed; as text it ends with a zero beyond `size`. `secret`: refused
// if others can read it. -ENOENT is not a refusal yet: it has no sentence.
int placed_read(const char *path, bool secret, char **text, size_t *size, char *why, size_t why_size);

#endif
