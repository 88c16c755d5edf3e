// SPDX-License-Identifier: GPL-3.0-or-later
// extcap_install - a link to this program where one user's Wireshark looks for such.
//
// Where that is changed with Wireshark 4.2, from the configuration's folder to that of
// programs: tshark is asked. What is there and is not a link to an apptap is left alone.

#include "tools/extcap.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/caller.h"
#include "tunnel/hall.h"

static int refuse(const char *what, const char *path, int error)
{
	fprintf(stderr, "apptap: %s %s: %s\n", what, path, strerror(error));
	return HALL_UNAVAILABLE;
}

// "Personal Extcap path:  /home/u/.local/..." into `out`, when the line begins so.
static bool take(const char *line, const char *begin, char *out, size_t size)
{
	size_t n = strlen(begin);

	if (strncmp(line, begin, n) != 0)
		return false;
	line += n + strspn(line + n, " \t");
	snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
	return out[0] == '/';
}

static int find_folder(const struct caller *caller, char *out, size_t size)
{
	char line[4200], configuration[4096] = "";
	FILE *tshark = popen("tshark -G folders 2>/dev/null", "re");
	bool found = false;

	while (tshark && fgets(line, sizeof line, tshark)) {
		found = take(line, "Personal Extcap path:", out, size) || found;
		take(line, "Personal configuration:", configuration, sizeof configuration);
	}
	if (tshark)
		pclose(tshark);
	if (found)
		return 0;
	int n = configuration[0] ? snprintf(out, size, "%s/extcap", configuration)
				 : snprintf(out, size, "%s/.local/lib/wireshark/extcap", caller->home);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

static int make_folders(const char *path)
{
	char part[4200];

	for (const char *at = path + 1; at; at = strchr(at + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(at - path), path);
		if (at > path + 1 && mkdir(part, 0755) && errno != EEXIST)
			return -errno;
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

// 1: a link to an apptap; 0: nothing there; -errno.
static int look(const char *path)
{
	char to[4096];
	ssize_t n = readlink(path, to, sizeof to - 1);

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : errno == EINVAL ? -EEXIST : -errno;
	to[n] = '\0';
	const char *slash = strrchr(to, '/');

	return !strcmp(slash ? slash + 1 : to, "apptap") ? 1 : -EEXIST;
}

static int install(const char *folder, const char *link)
{
	char program[4096];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	int error = n < 0 ? -errno : make_folders(folder), there;

	if (error)
		return refuse("cannot make the folder", folder, -error);
	program[n] = '\0';
	there = look(link);
	if (there < 0)
		return refuse("cannot put a link at", link, -there);
	if ((there && unlink(link)) || symlink(program, link))
		return refuse("cannot put a link at", link, errno);
	printf("%s -> %s\nWireshark and tshark -D have apptap-run and apptap-local from their next start.\n", link, program);
	return 0;
}

static int uninstall(const char *link)
{
	int there = look(link);

	if (there < 0)
		return refuse("that is no link to apptap, and stays:", link, -there);
	if (!there) {
		printf("%s is not there\n", link);
		return 0;
	}
	if (unlink(link))
		return refuse("cannot remove", link, errno);
	printf("removed %s\n", link);
	return 0;
}

// Under sudo it is the caller's Wireshark that is meant.
static int become(const struct caller *caller)
{
	if (caller->by_sudo && (setgroups(0, NULL) || setresgid(caller->gid, caller->gid, caller->gid) ||
				setresuid(caller->uid, caller->uid, caller->uid)))
		return -errno;
	return setenv("HOME", caller->home, 1) ? -errno : 0;
}

int extcap_install(bool undo)
{
	struct caller caller;
	char folder[4096], link[4200], why[256];
	int error;

	if (caller_read(&caller, why, sizeof why)) {
		fprintf(stderr, "apptap: %s\n", why);
		return HALL_UNAVAILABLE;
	}
	error = become(&caller);
	if (error)
		return refuse("cannot become the user at", caller.home, -error);
	error = find_folder(&caller, folder, sizeof folder);
	if (error)
		return refuse("no folder below", caller.home, -error);
	snprintf(link, sizeof link, "%s/apptap", folder);
	return undo ? uninstall(link) : install(folder, link);
}
