// SPDX-License-Identifier: GPL-3.0-or-later
// hall - what every way of tapping shares: the rooms opened, the turns, and all
// of it closed again in order.
//
// How packets come in and whose they are is the inlet's; who makes it (run,
// local) knows no more of the rest than this.

#ifndef TUNNEL_HALL_H
#define TUNNEL_HALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pcap/capture.h"
#include "tls/tls.h"
#include "tunnel/loop.h"
#include "tunnel/policy.h"
#include "tunnel/watch.h"

struct authority;
struct hall;
struct process_finder;

struct hall_options {
	const char *authority_folder;
	struct capture_options capture;	// as asked for; the rest of it is the hall's
	const char *finish;		// a command to run on each file of the ring that is done
	bool ends_with_capture;		// nothing is left to do once it is done
	const char *keylog_path, *flows_path;
	uint16_t mtu;
	struct policy_options policy;
	struct tls_options tls;		// as asked for; its authority is the hall's
	struct watch_options watch;
	bool redact;			// write no secret, nor what lets others in
	bool lines;			// flow lines and a summary
};

// Exit statuses beside a command's own (sysexits.h has the numbers).
enum {
	HALL_USAGE = 64,
	HALL_UNAVAILABLE = 69,	// what is needed could not be had; nothing was tapped
	HALL_INCOMPLETE = 74,	// all went well but for one of the files
};

// The authority alone is opened; `tapped` (words, NULL at the end) is what the
// capture says was tapped. Errors were logged. 0 or -errno. All is borrowed.
int hall_open(struct hall **out, const struct hall_options *options, char *const *tapped);
// NULL where TLS is not opened.
struct authority *hall_authority(const struct hall *hall);

// Before it, where options->finish is given: its process, which calls `first`, or NULL,
// to give up privileges.
int hall_start_finisher(struct hall *hall, int (*first)(void *of), void *of);

// Before it: the ring's first file is that user's, as those will be that are made when
// root is no more.
void hall_give_ring(struct hall *hall, uid_t uid, gid_t gid);

// The files, the rooms and the loop. From here on the process has threads, its
// signals are blocked and its limits raised. `in_thread`, or NULL, is called first by
// each of them, and means that no file can be opened later: what would be is read now.
int hall_begin(struct hall *hall, const struct loop_inlet *inlet, struct process_finder *finder,
	       int (*in_thread)(void *of), void *of);
struct loop *hall_loop(const struct hall *hall);

// Ends what runs, writes what is due, frees. Returns `status`, or
// HALL_INCOMPLETE where that was 0 and a file is incomplete. NULL is fine.
int hall_close(struct hall *hall, int status);

// --- signals ----------------------------------------------------------------

// Readable when one of SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 came.
// With a capture the last two are the hall's own (its counters, its next file).
int hall_signals(const struct hall *hall);
// The next, or 0; *by_terminal: the terminal sent it, to the whole foreground.
int hall_signal(const struct hall *hall, bool *by_terminal);

#endif
