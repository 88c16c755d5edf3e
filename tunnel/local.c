// SPDX-License-Identifier: GPL-3.0-or-later
// local - `apptap local`: programs that already run on this machine.
//
// The device and the kernel's half are made as root; everything that looks at
// what others sent is done as an ordinary user. Under sudo the tap becomes the
// caller before it opens a file, so that the files are theirs; without, root's
// files are opened first and the tap becomes nobody.

#include "tunnel/local.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/process.h"
#include "tunnel/choice.h"
#include "tunnel/custody.h"
#include "tunnel/log.h"
#include "tunnel/sandbox.h"

enum { OUTSIDERS = 16 };

struct local {
	const struct local_options *options;
	struct choice *choice;
	struct hall *hall;
	struct redirect *redirect;
	struct process_finder *finder;
	struct custodian custodian;
	int outsiders;		// told of
	int rules;		// sandbox_rules()'
	bool unguarded;
};

// --- what is tapped ---------------------------------------------------------

static int open_redirect(struct local *l)
{
	const struct local_options *o = l->options;
	char why[512];
	struct redirect_options redirect = {
		.spec = choice_spec(l->choice), .mtu = o->hall.mtu, .no_loopback = o->no_loopback,
		.only = o->only, .only_count = o->only_count, .except = o->except,
		.except_count = o->except_count,
	};
	// The origins' sockets are to be that namespace's too.
	int error = o->netns ? redirect_enter(o->netns, why, sizeof(why)) : 0;

	if (!error)
		error = redirect_open(&l->redirect, &redirect, why, sizeof(why));
	if (!error)
		error = process_open(&l->finder, -1, 0);
	else
		log_error("%s", why);
	return error;
}

static void change(struct local *l, enum choice_news news)
{
	if (news == CHOICE_ENDED)
		loop_unwatch(hall_loop(l->hall), STDIN_FILENO);
	if (news != CHOICE_CHANGED)
		return;
	int error = redirect_change(l->redirect, choice_spec(l->choice));
	if (error)
		log_error("the spec could not be changed: %s", strerror(-error));
	else
		log_note("tapping %s from now on", choice_words(l->choice));
}

static void on_line(void *context)
{
	struct local *l = context;

	change(l, choice_read(l->choice, STDIN_FILENO));
}

// Lines are taken from a terminal that is ours, and from a pipe; anything else
// cannot be waited for, or is not meant.
static int watch_lines(struct local *l)
{
	struct stat status;

	if (fstat(STDIN_FILENO, &status))
		return 0;
	if (isatty(STDIN_FILENO) ? tcgetpgrp(STDIN_FILENO) != getpgrp()
				 : !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode))
		return 0;
	// Put into the background it must not stop: packets wait for it.
	signal(SIGTTIN, SIG_IGN);
	return loop_watch(hall_loop(l->hall), STDIN_FILENO, on_line, l);
}

// --- the inlet --------------------------------------------------------------

static int write_loopback6(void *of, const struct iovec *parts, int count)
{
	struct local *l = of;

	return redirect_write_loopback6(l->redirect, parts, count);
}

// A machine of many containers has many of them.
static void tell_of_outsider(struct local *l, const struct redirect_owner *owner)
{
	if (l->options->netns || l->outsiders > OUTSIDERS)
		return;
	if (l->outsiders++ == OUTSIDERS)
		log_note("more programs are in other network namespaces and left alone; their names are not said");
	else
		log_note("%s (%d) is in another network namespace and left alone; --netns %d reaches it", owner->name,
			 (int)owner->pid, (int)owner->pid);
}

// The kernel announces a flow before its first packet can be read.
static void read_owners(void *of)
{
	struct local *l = of;
	struct redirect_owner owner;

	while (redirect_read(l->redirect, &owner) > 0) {
		if (owner.out_of_reach)
			tell_of_outsider(l, &owner);
		else
			process_announce(l->finder, &owner);
	}
}

// --- while it runs ----------------------------------------------------------

static void on_signal(void *context)
{
	struct local *l = context;
	bool by_terminal;
	int number;

	while ((number = hall_signal(l->hall, &by_terminal)))
		if (number == SIGHUP && l->options->spec_file && !by_terminal)
			change(l, choice_reread(l->choice));
		else if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT)
			loop_stop(hall_loop(l->hall));
}

// A tap that was killed after both would leave connections that hang.
static void on_guard(void *context)
{
	struct local *l = context;

	if (!l->unguarded)
		log_error("a process that ends connections after a kill was itself killed; so this is the end");
	l->unguarded = true;
	loop_stop(hall_loop(l->hall));
}

static int watch_guards(struct local *l)
{
	int error = 0;

	for (int i = 0; i < 2 && !error; i++)
		error = loop_watch(hall_loop(l->hall), redirect_guard_fd(l->redirect, i), on_guard, l);
	return error;
}

struct ordinary {
	uid_t uid;
	gid_t gid;
};

static struct ordinary ordinary(const struct local *l)
{
	const struct passwd *nobody = l->options->by_sudo ? NULL : getpwnam("nobody");

	if (l->options->by_sudo)
		return (struct ordinary){l->options->uid, l->options->gid};
	return nobody ? (struct ordinary){nobody->pw_uid, nobody->pw_gid} : (struct ordinary){65534, 65534};
}

static int become_ordinary(const struct local *l)
{
	struct ordinary user = ordinary(l);
	char why[256];
	int error = sandbox_become(user.uid, user.gid, why, sizeof(why));

	if (error)
		log_error("%s", why);
	return error;
}

// Said now, not in the night when it is wanted.
static void try_spec_file(const struct local *l)
{
	const char *path = l->options->spec_file;

	if (path && access(path, R_OK))
		log_note("SIGHUP will not read %s again: the user that apptap became may not (%s)", path,
			 strerror(errno));
}

// --- confined ---------------------------------------------------------------

// What C libraries look up only once they are asked is looked up before the files go:
// the modules that know the users, the time zone.
static void look_up_ahead(void)
{
	(void)getpwuid(0);
	tzset();
}

// The folder that a file stands in: an editor, or a ring of captures, puts another there.
static const char *folder_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	return out;
}

static bool rotates(const struct local *l, const char *path)
{
	const struct capture_options *capture = &l->options->hall.capture;

	return path && strcmp(path, "-") != 0 && (capture->rotate_size || capture->rotate_seconds);
}

static int open_rules(struct local *l)
{
	const struct capture_options *capture = &l->options->hall.capture;
	char spec[PATH_MAX], ring[PATH_MAX], plain[PATH_MAX], why[256];
	struct sandbox_path paths[6] = {
		{"/dev/urandom", SANDBOX_READ},	// wolfSSL's seeds
		{"/etc/passwd", SANDBOX_READ},
		{"/etc/nsswitch.conf", SANDBOX_READ},
	};
	size_t count = 3;

	if (l->options->spec_file)
		paths[count++] = (struct sandbox_path){folder_of(l->options->spec_file, spec), SANDBOX_READ};
	if (rotates(l, capture->path))
		paths[count++] = (struct sandbox_path){folder_of(capture->path, ring), SANDBOX_WRITE};
	if (rotates(l, capture->plain_path))
		paths[count++] = (struct sandbox_path){folder_of(capture->plain_path, plain), SANDBOX_WRITE};
	l->rules = sandbox_rules(paths, count, why, sizeof(why));
	if (l->rules == -ENOSYS)
		log_detail("%s", why);
	else if (l->rules < 0)
		log_error("%s", why);
	return l->rules < 0 && l->rules != -ENOSYS ? l->rules : 0;
}

static int confine_thread(void *of)
{
	const struct local *l = of;
	int error = l->rules < 0 ? 0 : sandbox_files(l->rules);

	if (error)
		log_error("a thread cannot confine itself to its files (Landlock): %s", strerror(-error));
	return error;
}

// All is open, every thread is there: the files, by this thread, and the calls, by all.
static int confine(struct local *l)
{
	char why[256];
	int error;

	look_up_ahead();
	error = l->rules < 0 ? 0 : sandbox_files(l->rules);
	if (error)
		snprintf(why, sizeof(why), "cannot confine itself to its files (Landlock): %s", strerror(-error));
	else
		error = sandbox_calls(l->options->hall.watch.har_path != NULL, why, sizeof(why));
	if (l->rules >= 0)
		close(l->rules);
	if (error)
		log_error("%s", why);
	return error;
}

// The finisher is nobody's superior either.
static int finisher_first(void *of)
{
	return become_ordinary(of);
}

static int begin(struct local *l)
{
	struct loop_inlet inlet = {
		.tunnel = redirect_tunnel(l->redirect), .write_loopback6 = write_loopback6,
		.owners = read_owners, .of = l,
	};
	// Whoever is not root is an ordinary user already, and has capabilities to lose.
	bool first = l->options->by_sudo || geteuid() != 0;
	int error = hall_start_finisher(l->hall, finisher_first, l);

	if (!error && first)
		error = become_ordinary(l);

	if (!error)
		error = open_rules(l);
	if (!first && (l->options->hall.capture.rotate_size || l->options->hall.capture.rotate_seconds))
		hall_give_ring(l->hall, ordinary(l).uid, ordinary(l).gid);
	if (!error)
		error = hall_begin(l->hall, &inlet, l->finder, confine_thread, l);
	if (!error && !first)
		error = become_ordinary(l);
	if (!error)
		error = loop_watch(hall_loop(l->hall), hall_signals(l->hall), on_signal, l);
	if (!error)
		error = loop_watch(hall_loop(l->hall), redirect_fd(l->redirect), read_owners, l);
	if (!error)
		error = watch_guards(l);
	if (!error)
		error = watch_lines(l);
	if (!error)
		error = confine(l);
	if (!error)
		try_spec_file(l);
	return error;
}

int local(const struct local_options *options)
{
	struct local l = {.options = options};
	int status = HALL_UNAVAILABLE;

	if (choice_open(&l.choice, options->spec, options->spec_file))
		return HALL_USAGE;
	char *tapped[] = {(char *)"local", (char *)choice_words(l.choice), NULL};
	if (!hall_open(&l.hall, &options->hall, tapped) && !custody_open(&l.custodian, options->trust, hall_authority(l.hall)) && !open_redirect(&l) && !begin(&l)) {
		log_note("tapping %s on %s; Ctrl-C ends it", choice_words(l.choice), redirect_device(l.redirect));
		loop_run(hall_loop(l.hall));
		status = l.unguarded ? HALL_INCOMPLETE : 0;
	}
	status = hall_close(l.hall, status);
	process_close(l.finder);
	redirect_close(l.redirect);
	custody_close(&l.custodian);
	choice_close(l.choice);
	return status;
}
