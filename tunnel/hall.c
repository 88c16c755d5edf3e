// SPDX-License-Identifier: GPL-3.0-or-later
// hall - what every way of tapping shares.

#include "tunnel/hall.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "pcap/keylog.h"
#include "pcap/text.h"
#include "tls/authority.h"
#include "tls/tls.h"
#include "tunnel/finisher.h"
#include "tunnel/log.h"
#include "tunnel/policy.h"
#include "tunnel/report.h"
#include "tunnel/tap.h"
#include "tunnel/watch.h"

struct hall {
	const struct hall_options *options;
	char *const *tapped;
	struct policy *policy;
	struct authority *authority;
	struct capture *capture;
	struct keylog *keylog;
	struct report *report;
	struct watch *watch;
	struct tls_house *house;
	struct tap *tap;
	struct loop *loop;
	uid_t ring_uid;			// 0: nobody is given it
	gid_t ring_gid;
	int signals, capture_descriptor, finisher;
	struct loop_traffic traffic;
	bool no_capture;		// it was wanted and could not be opened
	int (*in_thread)(void *of);	// hall_begin()'s
	void *of;
	char why[512];
};

static int failed(struct hall *h, int error)
{
	log_error("%s", h->why[0] ? h->why : strerror(-error));
	return error;
}

// With -w - standard output is the capture's: what a command writes there goes
// to standard error instead.
static int take_standard_output(struct hall *h)
{
	const struct capture_options *o = &h->options->capture;

	if ((!o->path || strcmp(o->path, "-") != 0) && (!o->plain_path || strcmp(o->plain_path, "-") != 0))
		return 0;
	if (isatty(STDOUT_FILENO)) {
		snprintf(h->why, sizeof(h->why), "the capture is no text for a terminal: give -w a file, or pipe it on");
		return -ENOTTY;
	}
	h->capture_descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (h->capture_descriptor < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		snprintf(h->why, sizeof(h->why), "standard output cannot be the capture's: %s", strerror(errno));
		return -EBADF;
	}
	return 0;
}

int hall_open(struct hall **out, const struct hall_options *options, char *const *tapped)
{
	struct hall *h = calloc(1, sizeof(*h));
	int error;

	*out = h;
	if (!h) {
		log_error("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	h->options = options;
	h->tapped = tapped;
	h->signals = h->capture_descriptor = h->finisher = -1;
	error = take_standard_output(h);
	if (!error && options->policy.intercept)
		error = authority_open(&h->authority, options->authority_folder, h->why, sizeof(h->why));
	return error ? failed(h, error) : 0;
}

struct authority *hall_authority(const struct hall *h)
{
	return h->authority;
}

// --- beginning --------------------------------------------------------------

static int open_capture(struct hall *h)
{
	const struct hall_options *o = h->options;
	char comment[4096] = "", line[sizeof(comment)];
	const char *words;
	size_t n = 0;
	int error;

	if (!o->capture.path && !o->capture.plain_path && !o->capture.serve)
		return 0;
	// Arguments may be secrets.
	for (int i = 0; h->tapped[i] && n < sizeof(comment) && !(i && o->redact); i++)
		n += (size_t)snprintf(comment + n, sizeof(comment) - n, "%s%s", i ? " " : "", h->tapped[i]);
	struct capture_options capture = o->capture;
	capture.application = "apptap " APPTAP_VERSION;
	text_line(line, sizeof(line), comment);
	capture.comment = line;
	capture.descriptor = h->capture_descriptor;
	capture.owner_uid = h->ring_uid;
	capture.owner_gid = h->ring_gid;
	capture.closed = h->finisher;
	capture.in_thread = h->in_thread;
	capture.of = h->of;
	error = capture_open(&h->capture, &capture, h->why, sizeof(h->why));
	while (!error && (words = capture_news(h->capture)))
		log_error("%s; the program goes on", words);
	if (!error)
		h->capture_descriptor = -1;
	if (!error || error == -EINVAL || error == -EADDRINUSE || error == -EADDRNOTAVAIL)
		return error;
	// The program comes first; a wrong filter or port is the command line's
	// fault, a file that cannot be had is not.
	log_error("%s; the program goes on", h->why);
	h->capture = NULL;
	h->no_capture = true;
	return 0;
}

static int open_outputs(struct hall *h)
{
	const struct hall_options *o = h->options;
	int error = open_capture(h);

	if (!error && o->keylog_path)
		error = keylog_open(&h->keylog, o->keylog_path, h->why, sizeof(h->why));
	if (!error)
		error = report_open(&h->report, o->flows_path, o->lines, h->why, sizeof(h->why));
	if (!error)
		error = watch_open(&h->watch, &o->watch, h->why, sizeof(h->why));
	return error;
}

static int open_house(struct hall *h)
{
	struct tls_options tls = h->options->tls;

	tls.authority = h->authority;
	if (!h->authority)
		return 0;
	int error = tls_open(&h->house, &tls, h->why, sizeof(h->why));
	if (!error && h->in_thread)
		tls_load_roots(h->house);
	return error;
}

// A command keeps the limits it was given; the tap itself needs a descriptor
// for each of its flows.
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int open_signals(struct hall *h)
{
	static const int taken[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	// A reader that is gone, a file as large as may be: errors of a write.
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? -errno : 0;
}

static int open_tap(struct hall *h, const struct loop_inlet *inlet, struct process_finder *finder)
{
	struct tap_parts tap = {h->capture, h->keylog, finder, h->report, h->watch, h->options->redact, inlet->inside, inlet->owners,
			       inlet->of};
	struct loop_parts loop = {
		.inlet = *inlet, .mtu = h->options->mtu, .capture = h->capture, .finder = finder,
		.house = h->house, .ends_with_capture = h->options->ends_with_capture, .policy = h->policy,
		.fingerprints = h->options->flows_path != NULL, .traffic = &h->traffic,
	};

	h->tap = tap_open(&tap);
	if (!h->tap)
		return -ENOMEM;
	loop.tap = h->tap;
	return loop_open(&h->loop, &loop, h->why, sizeof(h->why));
}

void hall_give_ring(struct hall *h, uid_t uid, gid_t gid)
{
	h->ring_uid = uid;
	h->ring_gid = gid;
}

int hall_start_finisher(struct hall *h, int (*first)(void *of), void *of)
{
	if (!h->options->finish)
		return 0;
	h->finisher = finisher_start(h->options->finish, first, of, h->why, sizeof(h->why));
	return h->finisher < 0 ? failed(h, h->finisher) : 0;
}

int hall_begin(struct hall *h, const struct loop_inlet *inlet, struct process_finder *finder,
	       int (*in_thread)(void *of), void *of)
{
	h->in_thread = in_thread;
	h->of = of;
	raise_limits();
	int error = open_signals(h);

	if (!error)
		error = policy_open(&h->policy, &h->options->policy, h->why, sizeof(h->why));
	if (!error)
		error = open_outputs(h);
	if (!error)
		error = open_house(h);
	if (!error)
		error = open_tap(h, inlet, finder);
	return error ? failed(h, error) : 0;
}

struct loop *hall_loop(const struct hall *h)
{
	return h->loop;
}

// --- counters ---------------------------------------------------------------

// The second line is counted where packets cross the tunnel, the first where the capture
// takes them: the same number, unless a filter or a limit is between.
static void say_counters(const struct hall *h, const struct capture_counters *c, void (*say)(const char *format, ...))
{
	const struct loop_traffic *t = &h->traffic;

	say("%llu packets captured, %llu bytes, in %llu file%s; %llu not taken by the filter",
	    (unsigned long long)c->packets, (unsigned long long)c->bytes, (unsigned long long)c->files,
	    c->files == 1 ? "" : "s", (unsigned long long)c->filtered);
	if (c->plain && c->plain_files)
		say("%llu packets of plaintext, in %llu file%s of their own", (unsigned long long)c->plain,
		    (unsigned long long)c->plain_files, c->plain_files == 1 ? "" : "s");
	else if (c->plain)
		say("%llu packets of plaintext", (unsigned long long)c->plain);
	say("%llu packets crossed the tunnel, %llu bytes; the program's side had no room for %llu",
	    (unsigned long long)t->packets, (unsigned long long)t->bytes, (unsigned long long)t->lost);
	if (h->options->capture.serve)
		say("%llu reader%s over TCP; slow ones have lost %llu packets", (unsigned long long)c->readers,
		    c->readers == 1 ? "" : "s", (unsigned long long)c->lost);
}

// --- closing ----------------------------------------------------------------

static bool close_capture(struct hall *h, struct capture_counters *counters)
{
	if (!h->capture)
		return !h->no_capture;
	capture_count(h->capture, counters);
	int error = capture_close_counting(h->capture, &counters->lost, h->why, sizeof(h->why));

	say_counters(h, counters, log_detail);
	if (counters->lost)
		log_note("readers over TCP were too slow for %llu packets", (unsigned long long)counters->lost);
	if (!error)
		return true;
	if (h->why[0])
		log_error("%s", h->why);
	return false;
}

// The flows end first, so that their lines are in every file.
int hall_close(struct hall *h, int status)
{
	struct capture_counters counters = {0};
	bool begun, whole;

	if (!h)
		return status;
	begun = h->loop != NULL;
	loop_close(h->loop);
	tap_close(h->tap);
	whole = close_capture(h, &counters);
	if (begun)
		report_summary(h->report, h->no_capture ? NULL : h->options->capture.path, counters.packets);
	if (report_close(h->report, h->why, sizeof(h->why)))
		whole = false;
	if (watch_close(h->watch, h->why, sizeof(h->why)))
		whole = false;
	int error = keylog_close(h->keylog);
	if (error)
		log_error("the key log %s is incomplete: %s", h->options->keylog_path, strerror(-error));
	if (error)
		whole = false;
	tls_close_house(h->house);
	policy_close(h->policy);
	authority_close(h->authority);
	if (h->signals >= 0)
		close(h->signals);
	if (h->capture_descriptor >= 0)
		close(h->capture_descriptor);
	if (h->finisher >= 0)
		close(h->finisher);
	free(h);
	return whole || status ? status : HALL_INCOMPLETE;
}

// --- signals ----------------------------------------------------------------

int hall_signals(const struct hall *h)
{
	return h->signals;
}

static bool is_for_the_capture(const struct hall *h, uint32_t number)
{
	struct capture_counters counters;
	struct timespec now;

	if (!h->capture || (number != SIGUSR1 && number != SIGUSR2))
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	if (number == SIGUSR1) {
		capture_count(h->capture, &counters);
		say_counters(h, &counters, log_note);
	} else if (h->in_thread && !h->options->capture.rotate_size && !h->options->capture.rotate_seconds) {
		log_note("there is no next file: without -C or -G its folder is out of reach");
	} else {
		capture_turn(h->capture, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	}
	return true;
}

int hall_signal(const struct hall *h, bool *by_terminal)
{
	struct signalfd_siginfo info;

	do {
		if (read(h->signals, &info, sizeof(info)) != sizeof(info))
			return 0;
	} while (is_for_the_capture(h, info.ssi_signo));
	*by_terminal = info.ssi_code == SI_KERNEL;
	return (int)info.ssi_signo;
}
