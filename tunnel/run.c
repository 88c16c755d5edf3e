// SPDX-License-Identifier: GPL-3.0-or-later
// run - `apptap run`: one command in a namespace of its own, tapped to its end.
//
// The namespace comes first: its keeper is forked while there is one thread
// and nothing of the process's surroundings (signals, limits, descriptors) has
// been touched, so that the command gets them as apptap got them.

#include "tunnel/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/launch.h"
#include "extension/process.h"
#include "extension/trust.h"
#include "tls/authority.h"
#include "tunnel/custody.h"
#include "tunnel/log.h"

struct run {
	const struct run_options *options;
	struct hall *hall;
	struct trust *trust;
	struct launch *launch;
	struct process_finder *finder;
	bool ended, over, leave;
	int status;			// as from waitpid
	struct custodian custodian;
};

// --- opening ----------------------------------------------------------------

// An empty folder beside the authority, over which the command's own mount
// namespace has a tmpfs with the bundles. Under sudo it is the caller's, as
// the authority's folder is.
static int make_folder(const char *beside, char *folder, size_t size)
{
	struct stat owner;

	snprintf(folder, size, "%s/inside", beside);
	if (mkdir(folder, 0700))
		return errno == EEXIST ? 0 : -errno;
	if (geteuid() == 0 && !stat(beside, &owner) && lchown(folder, owner.st_uid, owner.st_gid))
		return -errno;
	return 0;
}

static int open_trust(struct run *r, struct launch_options *launch, char *why, size_t why_size)
{
	const struct authority *authority = hall_authority(r->hall);
	char folder[4096];
	size_t pem_size, der_size;
	int error;

	if (!authority)
		return 0;
	error = make_folder(r->options->hall.authority_folder, folder, sizeof(folder));
	if (error) {
		snprintf(why, why_size, "cannot make the folder %.300s: %s", folder, strerror(-error));
		return error;
	}
	const char *pem = authority_pem(authority, &pem_size);
	const void *der = authority_der(authority, &der_size);
	error = trust_open(&r->trust, pem, pem_size, der, der_size, folder, environ, why, why_size);
	if (error)
		return error;
	trust_apply(r->trust, launch);
	if (trust_lacks(r->trust))
		log_detail("%s", trust_lacks(r->trust));
	return 0;
}

static int open_launch(struct run *r)
{
	struct launch_options launch = {
		.argv = r->options->argv, .environment = environ, .mtu = r->options->hall.mtu,
	};
	char why[512];
	int error = open_trust(r, &launch, why, sizeof(why));

	if (!error)
		error = launch_open(&r->launch, &launch, why, sizeof(why));
	if (error) {
		log_error("%s", why);
		return error;
	}
	error = process_open(&r->finder, launch_diag(r->launch), launch_keeper(r->launch));
	if (error)
		log_error("cannot look for processes: %s", strerror(-error));
	return error;
}

static int write_loopback6(void *of, const struct iovec *parts, int count)
{
	struct run *r = of;

	return launch_write_loopback6(r->launch, parts, count);
}

// Inside, the kernel hands such a packet to its own listener once it comes back
// from the tunnel; the host's is not asked.
static bool inside(void *of, int protocol, const struct sockaddr *app, const struct sockaddr *peer)
{
	struct run *r = of;

	return launch_owns(r->launch, peer) && process_listens(r->finder, protocol, app, peer);
}

// --- while it runs ----------------------------------------------------------

static void command_ended(struct run *r, const struct launch_news *news)
{
	const char *name = r->options->argv[0];

	r->ended = true;
	r->status = news->status;
	if (!news->left)
		return;
	if (r->options->no_wait) {
		log_note("%s has ended; %d of its processes still run (%s) and lose the network now", name,
			 news->left, news->left_name);
		r->leave = true;
		loop_drain(hall_loop(r->hall));
		return;
	}
	log_note("%s has ended; waiting for %d of its processes that still run (%s); Ctrl-C ends them", name,
		 news->left, news->left_name);
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
			loop_drain(hall_loop(r->hall));
			break;
		case LAUNCH_LOST:
			r->over = true;
			log_error("the namespace's keeper was killed; the program is ended with it");
			loop_stop(hall_loop(r->hall));
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
	bool by_terminal;
	int signal;

	while ((signal = hall_signal(r->hall, &by_terminal))) {
		if (!r->ended && !by_terminal)
			launch_signal(r->launch, signal);
		if (r->ended && signal != SIGUSR1 && signal != SIGUSR2)
			loop_stop(hall_loop(r->hall));
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
	struct loop *loop = hall_loop(r->hall);

	if (loop_watch(loop, launch_fd(r->launch), on_launch, r) ||
	    loop_watch(loop, hall_signals(r->hall), on_signal, r)) {
		log_error("%s", strerror(ENOMEM));
		return HALL_UNAVAILABLE;
	}
	int error = launch_start(r->launch);
	if (error) {
		log_error("cannot run %s: %s", r->options->argv[0], strerror(-error));
		return error == -ENOENT ? RUN_NOT_FOUND : RUN_CANNOT_EXECUTE;
	}
	loop_run(loop);
	return exit_status(r);
}

int run(const struct run_options *options)
{
	struct run r = {.options = options};
	int status = HALL_UNAVAILABLE;

	if (hall_open(&r.hall, &options->hall, options->argv) ||
	    custody_open(&r.custodian, options->trust, hall_authority(r.hall)) || open_launch(&r))
		goto out;
	struct loop_inlet inlet = {
		.tunnel = launch_tunnel(r.launch), .write_loopback6 = write_loopback6, .inside = inside, .of = &r,
	};
	if (!hall_start_finisher(r.hall, NULL, NULL) && !hall_begin(r.hall, &inlet, r.finder, NULL, NULL))
		status = tap_command(&r);
out:
	status = hall_close(r.hall, status);
	process_close(r.finder);
	launch_close(r.launch, r.leave);
	trust_close(r.trust);
	custody_close(&r.custodian);
	return status;
}
