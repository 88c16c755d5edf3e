// SPDX-License-Identifier: GPL-3.0-or-later
// extcap_capture - a capture for Wireshark: run or local, and somebody who minds it.
//
// Wireshark reads neither our standard output nor, before the end, our standard error: a
// program that prints would stand still once the pipe is full, and one line there makes
// Wireshark call the capture failed. So the tap is a child of ours (apptap run or apptap
// local, as one would have typed it), we read all that it and the program print, and send it
// to the toolbar's log. When it fails, its last words go to our standard error.
//
// The FIFO's end is the sign for Wireshark to end us and to look at our standard error. So we
// hold it open ourselves until there is nothing more to say.
//
// Wireshark's SIGTERM is passed on; what it ends is no failure. Nobody sees the capture from
// then on, so that nobody could end what the program left running either: the tap is told a
// second time a second later, and killed in the end. When we are killed, so is the tap, and with
// it the program and all its processes (see launch.h).

#include "tools/extcap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/harmless.h"
#include "tools/toolbar.h"
#include "tools/words.h"
#include "tunnel/hall.h"

enum { ARGUMENTS = EXTCAP_PASSED + 16, LAST_WORDS = 800 };
enum { AGAIN = 1, KILL = 4 };		// seconds after the first signal, after the second

struct minder {
	const struct extcap *asked;
	enum dialog_interface interface;
	struct toolbar *toolbar;
	sigset_t before;			// the signal mask that we were given
	int signals, printed;			// printed: the child's output
	pid_t child;
	int signal;				// the last one passed on
	bool stopped, insisted, ended, quiet;		// quiet: its output came to an end
	int status;				// as from waitpid
	char last[2 * LAST_WORDS];
	size_t last_size;
};

static int refuse(int status, const char *sentence)
{
	fprintf(stderr, "apptap: %s\n", sentence);
	return status;
}

// --- the child ------------------------------------------------------------------

// What of it is to be tapped: a PID, a SPEC, or both.
static int local_spec(const struct extcap *asked, char *out, size_t size, char *why, size_t why_size)
{
	bool process = asked->process && *asked->process, spec = asked->spec && *asked->spec;

	if (!process && !spec) {
		snprintf(why, why_size, "choose a process in the interface's options (the cog wheel), or say there which "
			 "programs, by name; for tshark: -o extcap.apptap_local.spec:curl");
		return -1;
	}
	if (snprintf(out, size, "%s%s%s", process ? asked->process : "", process && spec ? "," : "",
		     spec ? asked->spec : "") >= (int)size) {
		snprintf(why, why_size, "the list of programs is too long");
		return -1;
	}
	if (geteuid() == 0)
		return 0;
	snprintf(why, why_size, "to tap a program that already runs takes root: start Wireshark as root "
		 "(sudo -E wireshark), or let apptap alone have it, in a terminal:\n"
		 "  sudo apptap local -w - '%s' | wireshark -k -i -", out);
	return -1;
}

static int make_arguments(const struct minder *m, char **words, char *spec, const char *out[])
{
	const struct extcap *asked = m->asked;
	int n = 0;

	out[n++] = "apptap";
	out[n++] = m->interface == DIALOG_RUN ? "run" : "local";
	out[n++] = "-v";
	out[n++] = "-U";
	out[n++] = "-w";
	out[n++] = asked->fifo;
	if (asked->filter && *asked->filter) {
		out[n++] = "-f";
		out[n++] = asked->filter;
	}
	if (asked->with_plaintext) {
		out[n++] = "--plaintext";
		out[n++] = asked->fifo;
	}
	for (int i = 0; i < asked->passed_count; i++)
		out[n++] = asked->passed[i];
	if (words)
		out[n++] = "--";
	else
		out[n++] = spec;
	return n;
}

// The command line's words behind ours; to be given to free().
static char **join(const char *const *ours, int count, char **words)
{
	size_t more = 0;

	while (words && words[more])
		more++;
	char **all = malloc(((size_t)count + more + 1) * sizeof *all);

	if (!all)
		return NULL;
	memcpy(all, ours, (size_t)count * sizeof *all);
	if (words)
		memcpy(all + count, words, more * sizeof *all);
	all[(size_t)count + more] = NULL;
	return all;
}

__attribute__((noreturn))
static void be_child(const struct minder *m, pid_t parent, int output, char **arguments)
{
	const char *folder = m->asked->folder;
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(HALL_UNAVAILABLE);
	sigprocmask(SIG_SETMASK, &m->before, NULL);
	if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		_exit(HALL_UNAVAILABLE);
	if (folder && *folder && chdir(folder))
		fprintf(stderr, "apptap: cannot go to the folder %s: %s\n", folder, strerror(errno));
	else
		execv("/proc/self/exe", arguments);
	_exit(HALL_UNAVAILABLE);
}

static int start(struct minder *m, char **arguments)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	m->child = fork();
	if (m->child == 0)
		be_child(m, parent, fds[1], arguments);
	close(fds[1]);
	m->printed = fds[0];
	fcntl(m->printed, F_SETFL, O_NONBLOCK);
	return m->child < 0 ? -errno : 0;
}

// --- minding it -----------------------------------------------------------------

// The end of what was printed.
static void remember(struct minder *m, const char *text, size_t size)
{
	if (size > LAST_WORDS) {
		text += size - LAST_WORDS;
		size = LAST_WORDS;
	}
	if (m->last_size + size >= sizeof m->last) {
		size_t kept = m->last_size < LAST_WORDS ? m->last_size : LAST_WORDS - 1;

		memmove(m->last, m->last + m->last_size - kept, kept);
		m->last_size = kept;
	}
	memcpy(m->last + m->last_size, text, size);
	m->last_size += size;
}

static void read_printed(struct minder *m)
{
	char text[4000];
	ssize_t n;

	while ((n = read(m->printed, text, sizeof text)) > 0) {
		remember(m, text, (size_t)n);
		toolbar_log(m->toolbar, text, (size_t)n);
	}
	m->quiet = n == 0 || (errno != EAGAIN && errno != EINTR);
}

// The command hears the first signal; once it has ended, the second is for the tap.
static void insist(struct minder *m)
{
	kill(m->child, m->insisted ? SIGKILL : m->signal);
	m->insisted = true;
	alarm(KILL);
}

static void read_signals(struct minder *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			m->ended = m->ended || waitpid(m->child, &m->status, WNOHANG) == m->child;
		} else if (!m->ended && info.ssi_signo == SIGALRM) {
			insist(m);
		} else if (!m->ended) {
			m->stopped = true;
			m->signal = (int)info.ssi_signo;
			kill(m->child, m->signal);
			alarm(AGAIN);
		}
	}
}

// A program's own children may keep the pipe open when the tap has ended: not waited for.
static void mind(struct minder *m)
{
	while (!m->ended) {
		struct pollfd fds[] = {{m->signals, POLLIN, 0}, {m->quiet ? -1 : m->printed, POLLIN, 0},
				       {toolbar_fd(m->toolbar), POLLIN, 0}};

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[2].revents)
			toolbar_read(m->toolbar);
		if (fds[1].revents)
			read_printed(m);
		if (fds[0].revents)
			read_signals(m);
	}
	read_printed(m);
}

// --- the end --------------------------------------------------------------------

// The last lines, whole ones if there is more than one.
static void say_last(struct minder *m)
{
	char line[LAST_WORDS + 8];

	m->last[m->last_size] = '\0';
	char *at = m->last + (m->last_size > LAST_WORDS ? m->last_size - LAST_WORDS : 0);

	if (at != m->last && strchr(at, '\n') && strchr(at, '\n')[1])
		at = strchr(at, '\n') + 1;
	for (char *next; *at; at = next) {
		size_t size = strcspn(at, "\n");

		next = at + size + (at[size] != '\0');
		at[size] = '\0';
		line[0] = '\0';
		harmless_append(line, sizeof line, at, LAST_WORDS);
		fprintf(stderr, "%s\n", line);
	}
}

static int finish(struct minder *m, const char *what)
{
	int status = WIFEXITED(m->status) ? WEXITSTATUS(m->status) : 128 + WTERMSIG(m->status);

	if (m->stopped || !status)
		return 0;
	fprintf(stderr, "%s ended with status %d\n", what, status);
	say_last(m);
	return status;
}

static int open_minder(struct minder *m)
{
	static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, &m->before);
	m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	m->toolbar = toolbar_open(m->asked->control_in, m->asked->control_out);
	return m->signals < 0 || !m->toolbar ? -1 : 0;
}

static int tap(struct minder *m, char **words, char *spec)
{
	const char *ours[ARGUMENTS];
	int count = make_arguments(m, words, spec, ours), status = HALL_UNAVAILABLE;
	char **arguments = join(ours, count, words);

	if (!arguments || open_minder(m) || start(m, arguments)) {
		fprintf(stderr, "apptap: cannot start the tap: %s\n", strerror(errno));
	} else {
		mind(m);
		status = finish(m, words ? words[0] : "apptap local");
	}
	toolbar_close(m->toolbar);
	free(arguments);
	return status;
}

static int capture(const struct extcap *asked, enum dialog_interface interface)
{
	struct minder m = {.asked = asked, .interface = interface, .signals = -1, .printed = -1};
	char why[6000], spec[4096], **words = NULL;

	if (interface == DIALOG_LOCAL && local_spec(asked, spec, sizeof spec, why, sizeof why))
		return refuse(HALL_USAGE, why);
	if (interface == DIALOG_RUN && (!asked->command || !*asked->command))
		return refuse(HALL_USAGE, "say which program to run in the interface's options (the cog wheel); for tshark: "
			      "-o 'extcap.apptap_run.command:curl https://example.com/'");
	if (interface == DIALOG_RUN && !(words = words_split(asked->command, why, sizeof why)))
		return refuse(HALL_USAGE, why);
	int status = tap(&m, words, spec);

	free(words);
	return status;
}

// Waits for the reader, if it is a FIFO; signals still end us meanwhile. The descriptor, or -1.
static int hold(const char *fifo)
{
	struct stat what;

	return !stat(fifo, &what) && S_ISFIFO(what.st_mode) ? open(fifo, O_WRONLY | O_CLOEXEC) : -1;
}

int extcap_capture(const struct extcap *asked, enum dialog_interface interface)
{
	if (!asked->fifo)
		return refuse(HALL_USAGE, "--fifo has to say where the capture goes");
	int held = hold(asked->fifo), status = capture(asked, interface);

	if (held >= 0)
		close(held);
	return status;
}
