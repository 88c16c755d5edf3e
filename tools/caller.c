// SPDX-License-Identifier: GPL-3.0-or-later
// caller - whose things these are: who called, also through sudo(8).
//
// What root makes in a user's home would be root's, and the user's own apptap could
// not read it. So under sudo the authority is made by a child that has become the user
// before anybody opens it as root.

#include "tools/caller.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tls/authority.h"
#include "tools/commands.h"
#include "tools/options.h"

// --- who ------------------------------------------------------------------------

static const struct passwd *behind_sudo(void)
{
	const char *text = getenv("SUDO_UID");
	unsigned long uid;
	char why[128];

	if (geteuid() != 0 || !text || options_number(text, 1, 0xfffffffeUL, &uid, why, sizeof why))
		return NULL;
	return getpwuid((uid_t)uid);
}

// getpwuid() has one answer at a time.
static bool is_home_of(const char *home, uid_t uid)
{
	const struct passwd *known = getpwuid(uid);

	return known && !strcmp(known->pw_dir, home);
}

static int keep_home(struct caller *caller, const char *home, char *why, size_t why_size)
{
	if (!home || home[0] != '/') {
		snprintf(why, why_size, "neither HOME nor XDG_DATA_HOME says where the authority is kept");
		return -1;
	}
	if (snprintf(caller->home, sizeof caller->home, "%s", home) >= (int)sizeof caller->home) {
		snprintf(why, why_size, "HOME is too long");
		return -1;
	}
	return 0;
}

int caller_read(struct caller *caller, char *why, size_t why_size)
{
	const char *home = getenv("HOME");
	const struct passwd *known = NULL;

	*caller = (struct caller){.uid = geteuid(), .gid = getegid()};
	if (home && home[0] != '/')
		home = NULL;
	known = behind_sudo();
	if (known && (!home || !strcmp(home, known->pw_dir) || is_home_of(home, 0))) {
		// is_home_of() asked for another.
		known = behind_sudo();
		caller->by_sudo = true;
		caller->uid = known->pw_uid;
		caller->gid = known->pw_gid;
		return keep_home(caller, known->pw_dir, why, why_size);
	}
	if (!home && (known = getpwuid(getuid())))
		home = known->pw_dir;
	if (!home && getenv("XDG_DATA_HOME"))
		home = "/";
	return keep_home(caller, home, why, why_size);
}

int caller_folder(const struct caller *caller, char *out, size_t size, char *why, size_t why_size)
{
	const char *data = getenv("XDG_DATA_HOME");
	int n;

	// The specification says that a relative path is to be ignored.
	if (data && data[0] == '/')
		n = snprintf(out, size, "%s/apptap", data);
	else
		n = snprintf(out, size, "%s/.local/share/apptap", caller->home);
	if (n < 0 || (size_t)n >= size) {
		snprintf(why, why_size, "XDG_DATA_HOME or HOME is too long");
		return -1;
	}
	return 0;
}

// --- the authority's folder -----------------------------------------------------

// What is there of it already.
static uid_t owner_of(const char *folder)
{
	struct stat status = {0};
	char *path = strdup(folder), *slash;

	while (path && stat(path, &status) && (slash = strrchr(path, '/')) && slash > path)
		*slash = '\0';
	free(path);
	return status.st_uid;
}

__attribute__((noreturn))
static void make_as(const struct caller *caller, const char *folder, int out)
{
	struct authority *authority;
	char why[512] = "";

	if (setgroups(0, NULL) || setresgid(caller->gid, caller->gid, caller->gid) ||
	    setresuid(caller->uid, caller->uid, caller->uid))
		snprintf(why, sizeof why, "cannot become the user %u: %s", caller->uid, strerror(errno));
	else if (!authority_open(&authority, folder, why, sizeof why))
		_exit(0);
	if (write(out, why, strlen(why)) < 0)
		_exit(2);
	_exit(1);
}

static int make_for(const struct caller *caller, const char *folder, char *why, size_t why_size)
{
	int fds[2], status = 0;
	ssize_t n = -1;
	pid_t pid = -1;

	snprintf(why, why_size, "cannot make the authority of the user %u", caller->uid);
	if (pipe(fds))
		return -1;
	pid = fork();
	if (pid == 0)
		make_as(caller, folder, fds[1]);
	close(fds[1]);
	if (pid > 0)
		n = read(fds[0], why, why_size - 1);
	close(fds[0]);
	if (n > 0)
		why[n] = '\0';
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int authority_folder(char *out, size_t size, char *why, size_t why_size)
{
	struct caller caller;

	if (caller_read(&caller, why, why_size) || caller_folder(&caller, out, size, why, why_size))
		return -1;
	if (caller.by_sudo && owner_of(out) == caller.uid)
		return make_for(&caller, out, why, why_size);
	return 0;
}
