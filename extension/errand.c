// SPDX-License-Identifier: GPL-3.0-or-later
// errand - one of the system's commands, run to its end for us.

#include "extension/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 120000, INPUT_MAX = 65536, CANNOT_START = 127 };

int errand_find(char out[ERRAND_PROGRAM], const char *root, const char *name)
{
	static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (snprintf(out, ERRAND_PROGRAM, "%s%s/%s", root, folders[i], name) < ERRAND_PROGRAM &&
		    !access(out, X_OK))
			return 0;
	return -ENOENT;
}

static bool become(const struct errand *errand)
{
	if (geteuid() != 0 || errand->uid == 0)
		return true;
	return !setgroups(0, NULL) && !setresgid(errand->gid, errand->gid, errand->gid) &&
	       !setresuid(errand->uid, errand->uid, errand->uid);
}

// The input fits into the pipe, so it is written before there is a reader.
//
// A session of its own: no terminal to ask a password at, no Ctrl-C in the middle of
// writing somebody's store.
__attribute__((noreturn))
static void perform(const struct errand *errand, int input, int output)
{
	char home[4096 + 5];
	char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", home, NULL};
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;

	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &usual, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (snprintf(home, sizeof home, "HOME=%s", errand->home ? errand->home : "/") >= (int)sizeof home ||
	    dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || chdir("/") || !become(errand))
		_exit(CANNOT_START);
	umask(022);
	execve(errand->argv[0], (char *const *)errand->argv, environment);
	_exit(CANNOT_START);
}

static int start(const struct errand *errand, pid_t *pid)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, error = 0;

	if (errand->input_size > INPUT_MAX)
		return -E2BIG;
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    (errand->input_size && write(in[1], errand->input, errand->input_size) < 0) || (*pid = fork()) < 0)
		error = -errno;
	if (!error && *pid == 0)
		perform(errand, in[0], out[1]);
	for (int i = 0; i < 2; i++)
		if (in[i] >= 0)
			close(in[i]);
	if (out[1] >= 0)
		close(out[1]);
	if (error && out[0] >= 0)
		close(out[0]);
	return error ? error : out[0];
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// Keeps the end of it. False when its time is over.
static bool listen_to(int output, char text[ERRAND_TEXT])
{
	int64_t end = now_ms() + PATIENCE_MS;
	size_t used = 0;

	for (;;) {
		struct pollfd wait_for = {.fd = output, .events = POLLIN};
		int64_t left = end - now_ms();
		ssize_t n;

		text[used] = '\0';
		if (left <= 0)
			return false;
		if (poll(&wait_for, 1, (int)left) <= 0)
			continue;
		if (used > ERRAND_TEXT / 2) {
			memmove(text, text + used - ERRAND_TEXT / 2, ERRAND_TEXT / 2);
			used = ERRAND_TEXT / 2;
		}
		n = read(output, text + used, ERRAND_TEXT - 1 - used);
		if (n <= 0)
			return true;
		used += (size_t)n;
	}
}

int errand_run(const struct errand *errand, char text[ERRAND_TEXT])
{
	pid_t pid = 0;
	bool ended;
	int output, status;

	*text = '\0';
	output = start(errand, &pid);
	if (output < 0)
		return output;
	ended = listen_to(output, text);
	close(output);
	if (!ended)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!ended)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *errand_sentence(char text[ERRAND_TEXT])
{
	char *end = text + strlen(text), *line, *mark;

	while (end > text && (end[-1] == '\n' || end[-1] == ' '))
		*--end = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	mark = strstr(line, ": ");
	if (mark && !memchr(line, ' ', (size_t)(mark - line)))
		line = mark + 2;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return line;
}
