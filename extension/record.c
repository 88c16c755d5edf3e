// SPDX-License-Identifier: GPL-3.0-or-later
// record - which stores hold an authority, and for whom: FOLDER/installed.

#include "extension/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/tree.h"

#define FILE_NAME "installed"
#define NEW_NAME "installed.new"

enum { SIZE_MAX_BYTES = 1 << 20 };

// --- lines ----------------------------------------------------------------------

static bool same(const struct record_line *line, const char *kind, const char *name, const char *place)
{
	return !strcmp(line->kind, kind) && !strcmp(line->name, name) && !strcmp(line->place, place);
}

bool record_names(const struct record *record, const char *kind, const char *name, const char *place, size_t except)
{
	for (size_t i = 0; i < record->count; i++)
		if (i != except && same(&record->lines[i], kind, name, place))
			return true;
	return false;
}

static uint64_t own_space(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) ? 0 : status.st_ino;
}

bool record_is_elsewhere(const struct record_line *line)
{
	return line->run && line->space && line->space != own_space();
}

bool record_is_of(const struct record_line *line, pid_t run)
{
	return line->run == run && !record_is_elsewhere(line);
}

bool record_is_over(const struct record_line *line)
{
	struct tree_process process;

	if (!line->run || record_is_elsewhere(line))
		return false;
	return tree_read_process(line->run, &process) != 0 || process.start != line->start || process.state == 'Z';
}

static int append(struct record *record, const struct record_line *line, const char *place)
{
	struct record_line *bigger;

	if (record->count == RECORD_LINES_MAX)
		return -E2BIG;
	bigger = reallocarray(record->lines, record->count + 1, sizeof *bigger);
	if (!bigger)
		return -ENOMEM;
	record->lines = bigger;
	bigger[record->count] = *line;
	bigger[record->count].place = strdup(place);
	if (!bigger[record->count].place)
		return -ENOMEM;
	record->count++;
	return 0;
}

int record_add(struct record *record, pid_t run, const char *kind, const char *name, const char *place)
{
	struct record_line line = {.run = run};
	struct tree_process process;
	int error;

	if (strchr(place, '\n') || strlen(kind) >= RECORD_WORD || strlen(name) >= RECORD_WORD)
		return -EINVAL;
	if (run) {
		error = tree_read_process(run, &process);
		if (error)
			return error;
		line.start = process.start;
		line.space = own_space();
	}
	for (size_t i = 0; i < record->count; i++)
		if (record_is_of(&record->lines[i], run) && record->lines[i].start == line.start &&
		    same(&record->lines[i], kind, name, place))
			return 0;
	snprintf(line.kind, sizeof line.kind, "%s", kind);
	snprintf(line.name, sizeof line.name, "%s", name);
	return append(record, &line, place);
}

void record_remove(struct record *record, size_t index)
{
	free(record->lines[index].place);
	record->count--;
	memmove(&record->lines[index], &record->lines[index + 1],
		(record->count - index) * sizeof *record->lines);
}

// --- the file -------------------------------------------------------------------

// A line that is not understood is another apptap's: passed over, and lost at the
// next write.
static int read_line(struct record *record, const char *text)
{
	struct record_line line = {0};
	unsigned long long start = 0, space = 0;
	int run = 0, at = 0;

	if (!strncmp(text, "- ", 2))
		at = 2;
	else if (sscanf(text, "%d:%llu:%llu %n", &run, &start, &space, &at) < 3 || run <= 0)
		return 0;
	line.run = run;
	line.start = start;
	line.space = space;
	text += at;
	at = 0;
	if (sscanf(text, "%63s %63s %n", line.kind, line.name, &at) != 2 || !at || !text[at])
		return 0;
	return append(record, &line, text + at);
}

int record_take(struct record *record, char *text)
{
	char *rest = text;
	int error = 0;

	for (char *line; !error && (line = strsep(&rest, "\n"));)
		error = read_line(record, line);
	return error;
}

static int read_lines(struct record *record)
{
	int fd = openat(record->folder, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), error = 0;
	struct stat status;
	char *text;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > SIZE_MAX_BYTES) {
		close(fd);
		return -EINVAL;
	}
	text = calloc(1, (size_t)status.st_size + 1);
	n = text ? read(fd, text, (size_t)status.st_size) : -1;
	error = !text ? -ENOMEM : n < 0 ? -errno : 0;
	close(fd);
	if (!error)
		error = record_take(record, text);
	free(text);
	return error;
}

int record_open(struct record *record, const char *folder, uid_t uid, gid_t gid)
{
	struct stat status;
	int error = 0;

	*record = (struct record){.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .uid = uid, .gid = gid};
	if (record->folder < 0)
		return -errno;
	if (fstat(record->folder, &status) || status.st_uid != uid)
		error = -EPERM;
	while (!error && flock(record->folder, LOCK_EX))
		if (errno != EINTR)
			error = -errno;
	if (!error)
		error = read_lines(record);
	if (error)
		record_close(record);
	return error;
}

void record_close(struct record *record)
{
	while (record->count)
		record_remove(record, record->count - 1);
	free(record->lines);
	if (record->folder >= 0)
		close(record->folder);
	*record = (struct record){.folder = -1};
}

static int write_lines(const struct record *record, int fd)
{
	FILE *file = fdopen(fd, "w");
	int error = 0;

	if (!file) {
		close(fd);
		return -errno;
	}
	for (size_t i = 0; i < record->count; i++) {
		const struct record_line *line = &record->lines[i];

		if (line->run)
			fprintf(file, "%d:%llu:%llu", line->run, (unsigned long long)line->start,
				(unsigned long long)line->space);
		else
			fputc('-', file);
		fprintf(file, " %s %s %s\n", line->kind, line->name, line->place);
	}
	if (fflush(file) || ferror(file) || fsync(fileno(file)))
		error = errno ? -errno : -EIO;
	fclose(file);
	return error;
}

int record_write(const struct record *record)
{
	int fd, error;

	if (!record->count)
		return unlinkat(record->folder, FILE_NAME, 0) && errno != ENOENT ? -errno : 0;
	unlinkat(record->folder, NEW_NAME, 0);
	fd = openat(record->folder, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, record->uid, record->gid)) {
		close(fd);
		return -EPERM;
	}
	error = write_lines(record, fd);
	if (!error && renameat(record->folder, NEW_NAME, record->folder, FILE_NAME))
		error = -errno;
	if (error)
		unlinkat(record->folder, NEW_NAME, 0);
	else
		fsync(record->folder);
	return error;
}
