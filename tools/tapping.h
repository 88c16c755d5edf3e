// SPDX-License-Identifier: GPL-3.0-or-later
// tapping - the options that every way of tapping shares.

#ifndef TOOLS_TAPPING_H
#define TOOLS_TAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/options.h"
#include "tunnel/hall.h"

enum { TAPPING_HOSTS = 64 };	// expressions of a kind

enum { TAPPING_ONLY = 64 };

// First in the struct that a subcommand's rows set.
struct tapping {
	struct hall_options hall;
	bool help, quiet, verbose;
	// What hall.capture points at.
	int32_t only_pids[TAPPING_ONLY + 1];
	const char *only_names[TAPPING_ONLY + 1];
	uint16_t plain_ports[TAPPING_ONLY + 1][2];
	const char *ignore[TAPPING_HOSTS], *allow[TAPPING_HOSTS];
	// What hall.tls points at; the names are copies.
	struct tls_client_certificate certificates[TAPPING_HOSTS];
	char certificate_hosts[TAPPING_HOSTS][256];
};

#define TAPPING_DEFAULTS {.hall = {.mtu = 1500, .watch = {.dump_most = 65536, .body_most = 1 << 20}, .policy = {.intercept = true, .pin_bypass = true}}}

extern const struct option_row tapping_rows[];

// What follows from them all, and whether they go together; `tapping` stays where it is
// from then on. 0, or -1 with a sentence.
int tapping_settle(struct tapping *tapping, char *why, size_t why_size);

#endif
