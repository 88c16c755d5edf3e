// SPDX-License-Identifier: GPL-3.0-or-later
// local - `apptap local`: programs that already run on this machine.
//
// The device and the kernel's half are made as root; everything that looks at
// what others sent is done as an ordinary user. Under sudo the tap becomes the
// caller before it opens a file, so that the files are theirs; without, root's
// files are opened first and the tap becomes nobody.

#include "tunnel/local.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/process.h"
#include "extension/spec.h"
#include "tunnel/log.h"
#include "tunnel/sandbox.h"

struct local {
	const struct local_options *options;
	struct hall *hall;
	struct redirect *redirect;
	struct process_finder *finder;
};

// --- the spec ---------------------------------------------------------------

// Says what is wrong with a spec, and where.
static struct spec *read_spec(const char *text)
{
	struct spec *spec;
	char why[256];
	size_t at;

	if (!spec_open(&spec, text, &at, why, sizeof(why)))
		return spec;
	log_error("%s", why);
	log_error("  %s", text);
	log_error("  %*s^", (int)at, "");
	return NULL;
}

static int open_redirect(struct local *l)
{
	const struct local_options *o = l->options;
	struct spec *spec = read_spec(o->spec ? o->spec : "");
	char why[512];

	if (!spec)
		return -EINVAL;
	struct redirect_options redirect = {
		.spec = spec, .mtu = o->hall.mtu, .no_loopback = o->no_loopback, .only = o->only,
		.only_count = o->only_count, .except = o->except, .except_count = o->except_count,
	};
	int error = redirect_open(&l->redirect, &redirect, why, sizeof(why));
	spec_close(spec);
	if (!error)
		error = process_open(&l->finder, -1, 0);
	else
		log_error("%s", why);
	return error;
}

// --- the inlet --------------------------------------------------------------

static int write_loopback6(void *of, const struct iovec *parts, int count)
{
	struct local *l = of;

	return redirect_write_loopback6(l->redirect, parts, count);
}

// The kernel announces a flow before its first packet can be read.
static void read_owners(void *of)
{
	struct local *l = of;
	struct redirect_owner owner;

	while (redirect_read(l->redirect, &owner) > 0)
		process_announce(l->finder, &owner);
}

// --- while it runs ----------------------------------------------------------

static void on_signal(void *context)
{
	struct local *l = context;
	bool by_terminal;
	int signal;

	while ((signal = hall_signal(l->hall, &by_terminal)))
		if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT)
			loop_stop(hall_loop(l->hall));
}

static int become_ordinary(const struct local *l)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid = l->options->by_sudo ? l->options->uid : nobody ? nobody->pw_uid : 65534;
	gid_t gid = l->options->by_sudo ? l->options->gid : nobody ? nobody->pw_gid : 65534;
	char why[256];
	int error = sandbox_become(uid, gid, why, sizeof(why));

	if (error)
		log_error("%s", why);
	return error;
}

static int begin(struct local *l)
{
	struct loop_inlet inlet = {
		.tunnel = redirect_tunnel(l->redirect), .write_loopback6 = write_loopback6,
		.owners = read_owners, .of = l,
	};
	int error = l->options->by_sudo ? become_ordinary(l) : 0;

	if (!error)
		error = hall_begin(l->hall, &inlet, l->finder);
	if (!error && !l->options->by_sudo)
		error = become_ordinary(l);
	if (!error)
		error = loop_watch(hall_loop(l->hall), hall_signals(l->hall), on_signal, l);
	if (!error)
		error = loop_watch(hall_loop(l->hall), redirect_fd(l->redirect), read_owners, l);
	return error;
}

int local(const struct local_options *options)
{
	struct local l = {.options = options};
	char *tapped[] = {(char *)"local", (char *)(options->spec ? options->spec : ""), NULL};
	int status = HALL_UNAVAILABLE;

	if (!hall_open(&l.hall, &options->hall, tapped) && !open_redirect(&l) && !begin(&l)) {
		log_note("tapping %s on %s; Ctrl-C ends it", options->spec ? options->spec : "every program",
			 redirect_device(l.redirect));
		loop_run(hall_loop(l.hall));
		status = 0;
	}
	status = hall_close(l.hall, status);
	process_close(l.finder);
	redirect_close(l.redirect);
	return status;
}
