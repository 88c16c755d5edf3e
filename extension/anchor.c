// SPDX-License-Identifier: GPL-3.0-or-later
// anchor - the authority in the system's own store: a file, and a command that
// makes all the rest of it.
//
// Distributions agree on that and on nothing else. The first whose folder and
// command are both there is the machine's.
//
// Debian's command looks only at what its list says and at what there is: of a file that
// is gone it leaves links behind, and its hooks (Java's) never hear. So it is given a
// list that says "without that one", as an administrator's would; where it does not take
// such a list it makes everything afresh.

#include "extension/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/errand.h"

static const struct way {
	const char *folder, *command;
	const char *bundle;		// what the command makes
	const char *java, *hook;	// and Java's, where the hook (if any) is there
	const char *certutil;		// the package
	bool by_list;			// see above
} ways[] = {
	// Fedora, RHEL
	{"/etc/pki/ca-trust/source/anchors", "update-ca-trust", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	 "/etc/pki/ca-trust/extracted/java/cacerts", NULL, "nss-tools", false},
	// Arch
	{"/etc/ca-certificates/trust-source/anchors", "update-ca-trust", "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
	 "/etc/ssl/certs/java/cacerts", NULL, "nss", false},
	// SUSE
	{"/etc/pki/trust/anchors", "update-ca-certificates", "/var/lib/ca-certificates/ca-bundle.pem",
	 "/var/lib/ca-certificates/java-cacerts", NULL, "mozilla-nss-tools", false},
	// Debian, Ubuntu; Alpine
	{"/usr/local/share/ca-certificates", "update-ca-certificates", "/etc/ssl/certs/ca-certificates.crt",
	 "/etc/ssl/certs/java/cacerts", "/etc/ca-certificates/update.d/jks-keystore", "libnss3-tools", true},
};
enum { WAYS = sizeof ways / sizeof *ways };

static const char debian_list[] = "/etc/ca-certificates.conf", debian_links[] = "/etc/ssl/certs";

bool place_path(const struct place_world *world, const char *path, char *out, size_t size)
{
	return snprintf(out, size, "%s%s", world->root, path) < (int)size;
}

static bool is_there(const struct place_world *world, const char *path)
{
	char real[4096];

	return place_path(world, path, real, sizeof real) && !access(real, F_OK);
}

// Debian's folder may have been taken away: its list shows that it is Debian.
static const struct way *find_way(const struct place_world *world)
{
	char program[ERRAND_PROGRAM];

	for (const struct way *way = ways; way < ways + WAYS; way++)
		if ((is_there(world, way->folder) || (way->by_list && is_there(world, debian_list))) &&
		    !errand_find(program, world->root, way->command))
			return way;
	return NULL;
}

// The one that `place` can only be of. A name is of letters, digits and a dash.
static const struct way *way_of(const char *name, const char *place)
{
	for (const struct way *way = ways; way < ways + WAYS; way++) {
		char path[512];

		snprintf(path, sizeof path, "%s/%s.crt", way->folder, name);
		if (!strcmp(path, place))
			return way;
	}
	return NULL;
}

const char *place_certutil_package(const struct place_world *world)
{
	const struct way *way = find_way(world);

	return way ? way->certutil : "NSS's tools";
}

// --- the folder -----------------------------------------------------------------

static void find_folder(struct place_world *world, const char *name, place_found *found, void *context)
{
	const struct way *way = find_way(world);

	(void)name;
	if (way && way->by_list)
		found(context, way->folder);
}

static bool is_valid_folder(struct place_world *world, const char *name, const char *place)
{
	(void)world;
	(void)name;
	return !strcmp(place, ways[WAYS - 1].folder);
}

static bool has_folder(struct place_world *world, const char *name, const char *place)
{
	(void)name;
	return is_there(world, place);
}

static int add_folder(struct place_world *world, const char *name, const char *place, const char *pem, size_t size)
{
	char path[4096];

	(void)name;
	(void)pem;
	(void)size;
	if (!place_path(world, place, path, sizeof path))
		return -ENAMETOOLONG;
	return mkdir(path, 0755) ? -errno : 0;
}

// Somebody else's file in it keeps it.
static int remove_folder(struct place_world *world, const char *name, const char *place)
{
	char path[4096];

	(void)name;
	return place_path(world, place, path, sizeof path) && !rmdir(path);
}

const struct place_kind place_folder = {
	.word = "folder", .noun = "the system's folder", .is_system = true, .is_silent = true, .find = find_folder,
	.is_valid = is_valid_folder, .has = has_folder, .add = add_folder, .remove = remove_folder,
};

// --- the command ----------------------------------------------------------------

static int run(struct place_world *world, const struct way *way, const char *option, const char *value,
	       char text[ERRAND_TEXT])
{
	char program[ERRAND_PROGRAM];
	const char *argv[] = {program, option, value, NULL};
	const struct errand errand = {.argv = argv, .home = "/root"};
	int status;

	if (errand_find(program, world->root, way->command)) {
		snprintf(world->sentence, sizeof world->sentence, "%s is not there", way->command);
		return -ENOENT;
	}
	status = errand_run(&errand, text);
	if (status < 0)
		snprintf(world->sentence, sizeof world->sentence, "%s: %s", way->command, strerror(-status));
	else if (status)
		snprintf(world->sentence, sizeof world->sentence, "%s says: %.300s", way->command, errand_sentence(text));
	return status > 0 ? -EIO : status;
}

// The hooks' failures are not the command's: "E: HOOK exited with code 1."
static void note_hook(struct place_world *world, const struct way *way, const char *text)
{
	const char *line = way->hook ? strstr(text, "E: ") : NULL;

	if (line && strstr(line, way->hook))
		snprintf(world->sentence, sizeof world->sentence, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
}

const char *place_java_beside(struct place_world *world, const char *anchor, bool *failed)
{
	const struct way *way = NULL;

	for (size_t i = 0; i < WAYS; i++)
		if (!strncmp(anchor, ways[i].folder, strlen(ways[i].folder)))
			way = &ways[i];
	*failed = false;
	if (!way || !is_there(world, way->java) || (way->hook && !is_there(world, way->hook)))
		return NULL;
	*failed = way->hook && strstr(world->sentence, way->hook);
	return way->java;
}

bool place_is_managed(const struct place_world *world, const char *path)
{
	for (const struct way *way = ways; way < ways + WAYS; way++) {
		char java[4096];

		if (is_there(world, way->folder) && (!way->hook || is_there(world, way->hook)) &&
		    place_path(world, way->java, java, sizeof java) && !strcmp(java, path))
			return true;
	}
	return false;
}

// --- the file -------------------------------------------------------------------

static void find_anchor(struct place_world *world, const char *name, place_found *found, void *context)
{
	const struct way *way = find_way(world);
	char place[512];

	if (!way) {
		snprintf(world->sentence, sizeof world->sentence,
			 "neither update-ca-certificates nor update-ca-trust is there with a folder to fill");
		found(context, NULL);
		return;
	}
	snprintf(place, sizeof place, "%s/%s.crt", way->folder, name);
	found(context, place);
}

static bool is_valid_anchor(struct place_world *world, const char *name, const char *place)
{
	(void)world;
	return way_of(name, place);
}

// In effect: the command has run since.
static bool has_anchor(struct place_world *world, const char *name, const char *place)
{
	const struct way *way = way_of(name, place);
	struct stat file, bundle;
	char path[4096];

	if (!way || !place_path(world, place, path, sizeof path) || lstat(path, &file) ||
	    !place_path(world, way->bundle, path, sizeof path) || stat(path, &bundle))
		return false;
	return bundle.st_mtim.tv_sec > file.st_mtim.tv_sec ||
	       (bundle.st_mtim.tv_sec == file.st_mtim.tv_sec && bundle.st_mtim.tv_nsec >= file.st_mtim.tv_nsec);
}

static int write_file(const char *path, const char *pem, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), error = 0;

	if (fd < 0)
		return -errno;
	// Whatever the umask is: it is everybody's to read.
	if (fchmod(fd, 0644) || write(fd, pem, size) != (ssize_t)size)
		error = errno ? -errno : -ENOSPC;
	close(fd);
	if (error)
		unlink(path);
	return error;
}

static bool link_stays(const struct place_world *world, const char *name)
{
	char place[512], path[4096];
	struct stat status;

	snprintf(place, sizeof place, "%s/%s.pem", debian_links, name);
	return place_path(world, place, path, sizeof path) && !lstat(path, &status);
}

// A copy of Debian's list with one more line, in memory.
static int make_list(const struct place_world *world, const char *name)
{
	int fd = memfd_create("apptap", MFD_CLOEXEC), from;
	char path[4096], bytes[8192];
	ssize_t n;

	if (fd < 0 || !place_path(world, debian_list, path, sizeof path))
		return fd;
	from = open(path, O_RDONLY | O_CLOEXEC);
	while (from >= 0 && (n = read(from, bytes, sizeof bytes)) > 0)
		if (write(fd, bytes, (size_t)n) != n)
			break;
	if (from >= 0)
		close(from);
	n = snprintf(bytes, sizeof bytes, "\n!%s.crt\n", name);
	if (write(fd, bytes, (size_t)n) != n) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int update_without(struct place_world *world, const struct way *way, const char *name)
{
	char path[64], text[ERRAND_TEXT];
	int fd, error = -EIO;

	if (!way->by_list)
		return run(world, way, NULL, NULL, text);
	fd = make_list(world, name);
	if (fd >= 0) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
		error = run(world, way, "--certsconf", path, text);
		close(fd);
	}
	if (error || link_stays(world, name)) {
		world->sentence[0] = '\0';
		error = run(world, way, "--fresh", NULL, text);
	}
	if (!error)
		note_hook(world, way, text);
	return error;
}

static int add_anchor(struct place_world *world, const char *name, const char *place, const char *pem, size_t size)
{
	const struct way *way = way_of(name, place);
	char path[4096], text[ERRAND_TEXT], kept[sizeof world->sentence];
	int error;

	world->sentence[0] = '\0';
	if (!way || !place_path(world, place, path, sizeof path))
		return -EINVAL;
	error = write_file(path, pem, size);
	if (error)
		return error;
	error = run(world, way, NULL, NULL, text);
	if (!error) {
		note_hook(world, way, text);
		return 0;
	}
	memcpy(kept, world->sentence, sizeof kept);
	unlink(path);
	update_without(world, way, name);
	memcpy(world->sentence, kept, sizeof kept);
	return error;
}

static int remove_anchor(struct place_world *world, const char *name, const char *place)
{
	const struct way *way = way_of(name, place);
	bool was_there;
	char path[4096];
	int error;

	world->sentence[0] = '\0';
	if (!way || !place_path(world, place, path, sizeof path))
		return -EINVAL;
	was_there = !unlink(path);
	if (!was_there && errno != ENOENT)
		return -errno;
	// The file may have gone without the command having run.
	if (!was_there && !(way->by_list && link_stays(world, name)))
		return 0;
	error = update_without(world, way, name);
	return error ? error : 1;
}

const struct place_kind place_anchor = {
	.word = "system", .noun = "the system's store", .is_system = true, .find = find_anchor,
	.is_valid = is_valid_anchor, .has = has_anchor, .add = add_anchor, .remove = remove_anchor,
};
