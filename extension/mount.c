// SPDX-License-Identifier: GPL-3.0-or-later
// mount - files laid over files, in this mount namespace and nowhere else.
//
// The new content lives in a tmpfs, mounted for a moment over a folder that
// exists anyway; each file of it is bound over its target, and then the tmpfs's
// own mount is taken away: the bound files keep it alive. Targets are opened
// before, since one may lie below that folder. Nothing reaches a disk, and all
// is gone with the namespace.
//
// A file that does not exist yet is added to its folder by an overlay file system of
// two read-only layers. In a user namespace that needs Linux 5.11; where it is not
// to be had, that file is passed over.

#include "extension/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOUBLE_FILES = 16, DOUBLE_BYTES = 16 << 20 };

// The folder that is mounted over for a moment: the first that there is.
static const char *find_stage(void)
{
	static const char *const folders[] = {"/tmp", "/run", "/var", "/etc"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (!access(folders[i], X_OK))
			return folders[i];
	return "/mnt";
}

int mount_detach(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ? -errno : 0;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

// The file looks like `like`, as far as we may make it so.
static int make_file(const char *path, const void *bytes, size_t size, const struct stat *like)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int error;

	if (fd < 0)
		return -errno;
	error = write_all(fd, bytes, size);
	if (!error && fchmod(fd, like ? like->st_mode & 0777 : 0444))
		error = -errno;
	if (like && fchown(fd, like->st_uid, like->st_gid))
		errno = 0;	// in a user namespace the owner may have no number
	close(fd);
	return error;
}

static int mount_tmpfs(const char *folder)
{
	return mount("apptap", folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755") ? -errno : 0;
}

// For the whole file system, so that it holds for what is bound from it as well.
static int make_read_only(const char *folder)
{
	return mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ?
	       -errno : 0;
}

static int lay_one(const char *stage, const struct launch_overlay *overlay, int target, size_t number)
{
	char from[64], to[64];
	struct stat like;
	int error;

	if (fstat(target, &like))
		return -errno;
	snprintf(from, sizeof from, "%s/%zu", stage, number);
	snprintf(to, sizeof to, "/proc/self/fd/%d", target);
	error = make_file(from, overlay->bytes, overlay->size, &like);
	if (!error && mount(from, to, NULL, MS_BIND, NULL))
		error = -errno;
	return error;
}

static int lay_files(const struct launch_options *options, const int *targets, const char **where)
{
	const char *stage = find_stage();
	int error;

	*where = stage;
	if ((error = mount_tmpfs(stage)))
		return error;
	for (size_t i = 0; i < options->overlay_count && !error; i++) {
		*where = options->overlays[i].path;
		if (targets[i] >= 0)
			error = lay_one(stage, &options->overlays[i], targets[i], i);
	}
	if (!error)
		error = make_read_only(stage);
	if (umount2(stage, MNT_DETACH) && !error)
		error = -errno;
	return error;
}

static int lay_overlays(const struct launch_options *options, const char **where)
{
	int *targets = calloc(options->overlay_count, sizeof *targets);
	int error;

	if (!targets)
		return -ENOMEM;
	for (size_t i = 0; i < options->overlay_count; i++)
		targets[i] = open(options->overlays[i].path, O_PATH | O_CLOEXEC);
	// One that was added just now is laid over itself, which changes nothing.
	error = lay_files(options, targets, where);
	for (size_t i = 0; i < options->overlay_count; i++)
		if (targets[i] >= 0)
			close(targets[i]);
	free(targets);
	return error;
}

static int lay_layer(const char *stage, const char *name, const struct launch_overlay *overlay,
		     const char *folder)
{
	char file[512], options[128];
	int error;

	if (snprintf(file, sizeof file, "%s/%s", stage, name) >= (int)sizeof file)
		return -ENAMETOOLONG;
	if ((error = make_file(file, overlay->bytes, overlay->size, NULL)))
		return error;
	snprintf(options, sizeof options, "lowerdir=%s:%s", stage, folder);
	return mount("apptap", folder, "overlay", MS_NOSUID | MS_NODEV, options) ? -errno : 0;
}

static void add_file(const struct launch_overlay *overlay)
{
	const char *name = strrchr(overlay->path, '/'), *stage = find_stage();
	char path[4096], folder[64];
	int fd;

	if (!name || name == overlay->path || !access(overlay->path, F_OK) ||
	    snprintf(path, sizeof path, "%.*s", (int)(name - overlay->path), overlay->path) >= (int)sizeof path)
		return;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(folder, sizeof folder, "/proc/self/fd/%d", fd);
	if (!mount_tmpfs(stage)) {
		lay_layer(stage, name + 1, overlay, folder);
		umount2(stage, MNT_DETACH);
	}
	close(fd);
}

static void add_files(const struct launch_options *options)
{
	for (size_t i = 0; i < options->overlay_count; i++)
		add_file(&options->overlays[i]);
}

static int fill_folder(const struct launch_options *options, const char **where)
{
	char path[4096];
	int error;

	*where = options->folder;
	if ((error = mount_tmpfs(options->folder)))
		return error;
	for (size_t i = 0; i < options->file_count && !error; i++) {
		const struct launch_overlay *file = &options->files[i];

		*where = file->path;
		if (snprintf(path, sizeof path, "%s/%s", options->folder, file->path) >= (int)sizeof path)
			return -ENAMETOOLONG;
		error = make_file(path, file->bytes, file->size, NULL);
	}
	return error ? error : make_read_only(options->folder);
}

int mount_lay(const struct launch_options *options, const char **where)
{
	mode_t mask = umask(0);
	int error = 0;

	*where = NULL;
	add_files(options);
	if (options->overlay_count)
		error = lay_overlays(options, where);
	if (!error && options->folder)
		error = fill_folder(options, where);
	umask(mask);
	return error;
}

// --- a folder's double ----------------------------------------------------------

static int copy_file(int from_folder, int to_folder, const char *name, off_t *room)
{
	int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), to = -1, error = 0;
	struct stat status;

	if (from < 0)
		return errno == ELOOP ? 0 : -errno;
	if (fstat(from, &status) || !S_ISREG(status.st_mode))
		goto done;
	error = -EFBIG;
	if ((*room -= status.st_size) < 0)
		goto done;
	to = openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0700);
	error = to < 0 ? -errno : 0;
	for (off_t left = status.st_size; !error && left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		if (n <= 0)
			error = n < 0 ? -errno : -EIO;
		left -= n;
	}
done:
	close(from);
	if (to >= 0)
		close(to);
	return error;
}

static int copy_files(int from, const char *to_path)
{
	int to = open(to_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0, error = 0;
	int listed = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = listed < 0 ? NULL : fdopendir(listed);
	off_t room = DOUBLE_BYTES;
	struct dirent *entry;

	if (to < 0 || !list)
		error = -EIO;
	while (!error && (entry = readdir(list)))
		if (entry->d_name[0] != '.')
			error = ++count > DOUBLE_FILES ? -EFBIG : copy_file(from, to, entry->d_name, &room);
	if (list)
		closedir(list);
	else if (listed >= 0)
		close(listed);
	if (to >= 0)
		close(to);
	return error;
}

int mount_double(const char *folder)
{
	const char *stage = find_stage();
	int from = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	char target[64];

	if (from < 0)
		return -errno;
	error = mount("apptap", stage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ? -errno : 0;
	if (!error) {
		snprintf(target, sizeof target, "/proc/self/fd/%d", from);
		error = copy_files(from, stage);
		if (!error && mount(stage, target, NULL, MS_BIND, NULL))
			error = -errno;
		umount2(stage, MNT_DETACH);
	}
	close(from);
	return error;
}
