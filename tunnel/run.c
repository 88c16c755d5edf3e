// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: opens every room, taps one command, closes them in order.
//
// The namespace comes first: its keeper is forked while there is one thread
// and nothing of the process's surroundings (signals, limits, descriptors) has
// been touched, so that the command gets them as apptap got them.

#include "tunnel/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/launch.h"
#include "extension/process.h"
#include "extension/trust.h"
#include "pcap/capture.h"
#include "pcap/keylog.h"
#include "tls/authority.h"
#include "tls/tls.h"
#include "tunnel/log.h"
#include "tunnel/loop.h"
#include "tunnel/policy.h"
#include "tunnel/report.h"
#include "tunnel/tap.h"

extern char **environ;

struct run {
	const struct run_options *options;
	struct policy policy;
	struct authority *authority;
	struct trust *trust;
	struct launch *launch;
	struct capture *capture;
	struct keylog *keylog;
	struct report *report;
	struct tls_house *house;
	struct process_finder *finder;
	struct tap *tap;
	struct loop *loop;
	int signals, capture_descriptor;
	bool ended, over, leave;
	int status;			// as from waitpid
	char why[512];
};

// --- opening ----------------------------------------------------------------

static int open_authority(struct run *r)
{
	if (!r->options->intercept)
		return 0;
	return authority_open(&r->authority, r->options->authority_folder, r->why, sizeof(r->why));
}

// An empty folder beside the authority, over which the command's own mount
// namespace has a tmpfs with the bundles.
static int trust_folder(struct run *r, char *folder, size_t size)
{
	snprintf(folder, size, "%s/inside", r->options->authority_folder);
	if (mkdir(folder, 0700) && errno != EEXIST) {
		int error = errno;
		snprintf(r->why, sizeof(r->why), "cannot make the folder %.300s: %s", folder, strerror(error));
		return -error;
	}
	return 0;
}

static int open_launch(struct run *r)
{
	struct launch_options launch = {
		.argv = r->options->argv, .environment = environ, .mtu = r->options->mtu,
	};
	char folder[4096];
	int error;

	if (r->authority) {
		size_t pem_size, der_size;
		const char *pem = authority_pem(r->authority, &pem_size);
		const void *der = authority_der(r->authority, &der_size);

		error = trust_folder(r, folder, sizeof(folder));
		if (!error)
			error = trust_open(&r->trust, pem, pem_size, der, der_size, folder, environ, r->why,
					   sizeof(r->why));
		if (error)
			return error;
		trust_apply(r->trust, &launch);
	}
	return launch_open(&r->launch, &launch, r->why, sizeof(r->why));
}

static int open_capture(struct run *r)
{
	const struct run_options *o = r->options;
	char comment[4096];
	size_t n = 0;

	if (!o->capture_path)
		return 0;
	comment[0] = 0;
	for (int i = 0; o->argv[i] && n < sizeof(comment); i++)
		n += (size_t)snprintf(comment + n, sizeof(comment) - n, "%s%s", i ? " " : "", o->argv[i]);
	struct capture_options capture = {
		.path = o->capture_path, .application = "apptap " APPTAP_VERSION, .comment = comment,
		.filter = o->filter, .snaplen = o->snaplen, .flush_each = o->flush_each,
		.descriptor = r->capture_descriptor,
	};
	r->capture_descriptor = -1;
	return capture_open(&r->capture, &capture, r->why, sizeof(r->why));
}

static int open_outputs(struct run *r)
{
	const struct run_options *o = r->options;
	int error = open_capture(r);

	if (!error && o->keylog_path)
		error = keylog_open(&r->keylog, o->keylog_path, r->why, sizeof(r->why));
	if (!error)
		error = report_open(&r->report, o->flows_path, o->lines, r->why, sizeof(r->why));
	return error;
}

static int open_house(struct run *r)
{
	struct tls_options tls = {
		.authority = r->authority, .upstream_ca = r->options->upstream_ca,
		.insecure = r->options->insecure,
	};

	if (!r->authority)
		return 0;
	return tls_open(&r->house, &tls, r->why, sizeof(r->why));
}

// The command keeps the limits it was given; the tap itself needs a descriptor
// for each of its flows.
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int open_signals(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	int passed[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals < 0 ? -errno : 0;
}

static int open_hall(struct run *r)
{
	int error = process_open(&r->finder, launch_diag(r->launch), launch_keeper(r->launch));

	if (error) {
		snprintf(r->why, sizeof(r->why), "cannot look for processes: %s", strerror(-error));
		return error;
	}
	struct tap_parts tap = {r->capture, r->keylog, r->launch, r->finder, r->report};
	r->tap = tap_open(&tap);
	if (!r->tap) {
		snprintf(r->why, sizeof(r->why), "no memory");
		return -ENOMEM;
	}
	r->policy.intercept = r->options->intercept;
	struct loop_parts loop = {
		.launch = r->launch, .mtu = r->options->mtu, .tap = r->tap, .capture = r->capture, .finder = r->finder,
		.house = r->house, .policy = &r->policy,
	};
	return loop_open(&r->loop, &loop, r->why, sizeof(r->why));
}

// --- while it runs ----------------------------------------------------------

static void command_ended(struct run *r, const struct launch_news *news)
{
	r->ended = true;
	r->status = news->status;
	if (!news->left)
		return;
	if (r->options->no_wait) {
		log_note("%s has ended; %d of its processes still run (%s) and lose the network now",
			 r->options->argv[0], news->left, news->left_name);
		r->leave = true;
		loop_drain(r->loop);
		return;
	}
	log_note("%s has ended; waiting for %d of its processes that still run (%s); Ctrl-C ends them",
		 r->options->argv[0], news->left, news->left_name);
}

static void on_launch(void *context)
{
	struct run *r = context;
	struct launch_news news;

	while (!r->over && !launch_read(r->launch, &news) && news.event != LAUNCH_NOTHING) {
		switch (news.event) {
		case LAUNCH_ENDED:
			command_ended(r, &news);
			break;
		case LAUNCH_EMPTY:
			r->over = true;
			loop_drain(r->loop);
			break;
		case LAUNCH_LOST:
			r->over = true;
			log_error("the namespace's keeper was killed; the program is ended with it");
			loop_stop(r->loop);
			break;
		default:
			break;
		}
	}
}

// The terminal's own signals reach the command too: it is in the same process
// group. What somebody sent to apptap alone is passed on.
static void on_signal(void *context)
{
	struct run *r = context;
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		bool terminal = info.ssi_code == SI_KERNEL;
		if (!r->ended && !terminal)
			launch_signal(r->launch, (int)info.ssi_signo);
		if (r->ended && info.ssi_signo != SIGUSR1 && info.ssi_signo != SIGUSR2)
			loop_stop(r->loop);
	}
}

static int exit_status(const struct run *r)
{
	if (!r->ended)
		return 128 + SIGKILL;
	return WIFSIGNALED(r->status) ? 128 + WTERMSIG(r->status) : WEXITSTATUS(r->status);
}

static int tap_command(struct run *r)
{
	if (loop_watch(r->loop, launch_fd(r->launch), on_launch, r) ||
	    loop_watch(r->loop, r->signals, on_signal, r)) {
		log_error("no memory");
		return RUN_UNAVAILABLE;
	}
	int error = launch_start(r->launch);
	if (error) {
		log_error("cannot run %s: %s", r->options->argv[0], strerror(-error));
		return error == -ENOENT ? RUN_NOT_FOUND : RUN_CANNOT_EXECUTE;
	}
	loop_run(r->loop);
	return exit_status(r);
}

// --- closing ----------------------------------------------------------------

// The flows end first, so that their lines are in every file.
static int close_all(struct run *r, int status)
{
	struct capture_counters counters = {0};
	bool incomplete = false;

	loop_close(r->loop);
	tap_close(r->tap);
	if (r->capture) {
		bool said = capture_error(r->capture) != NULL;
		capture_count(r->capture, &counters);
		incomplete = capture_close(r->capture, r->why, sizeof(r->why)) != 0;
		if (incomplete && !said)
			log_error("%s", r->why);
	}
	if (r->report && r->loop)
		report_summary(r->report, r->options->capture_path, counters.packets);
	if (report_close(r->report, r->why, sizeof(r->why)))
		incomplete = true;
	keylog_close(r->keylog);
	process_close(r->finder);
	launch_close(r->launch, r->leave);
	tls_close_house(r->house);
	trust_close(r->trust);
	authority_close(r->authority);
	if (r->signals >= 0)
		close(r->signals);
	if (r->capture_descriptor >= 0)
		close(r->capture_descriptor);
	return incomplete && !status ? RUN_INCOMPLETE : status;
}

// With -w - standard output is the capture's: what the command writes there
// goes to standard error instead.
static int take_standard_output(struct run *r)
{
	if (!r->options->capture_path || strcmp(r->options->capture_path, "-"))
		return 0;
	r->capture_descriptor = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (r->capture_descriptor < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		snprintf(r->why, sizeof(r->why), "standard output cannot be the capture's: %s", strerror(errno));
		return -EBADF;
	}
	return 0;
}

int run(const struct run_options *options)
{
	struct run r = {.options = options, .signals = -1, .capture_descriptor = -1};
	int status = RUN_UNAVAILABLE;

	if (open_authority(&r) || take_standard_output(&r) || open_launch(&r))
		goto fail;
	raise_limits();
	if (open_signals(&r) || open_outputs(&r) || open_house(&r) || open_hall(&r))
		goto fail;
	status = tap_command(&r);
	return close_all(&r, status);
fail:
	log_error("%s", r.why[0] ? r.why : strerror(errno));
	return close_all(&r, status);
}
