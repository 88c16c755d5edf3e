// SPDX-License-Identifier: GPL-3.0-or-later
// memory - which executable is to be treated otherwise at which host, from now on.

#include "tunnel/memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tunnel/log.h"

enum { BUCKETS = 1024 };

struct pair {
	struct pair *next;		// in its bucket
	struct pair *newer;		// in the order of their coming
	char *executable, *host;
};

struct memory {
	struct pair *bucket[BUCKETS];
	struct pair *oldest, *newest;
	size_t count;
	FILE *file;
	const char *path;
};

// FNV-1a, 32 bits.
static uint32_t hash(const char *executable, const char *host)
{
	uint32_t h = 2166136261u;

	for (const char *c = executable; *c; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	for (const char *c = host; *c; c++)
		h = (h ^ (uint8_t)tolower((unsigned char)*c)) * 16777619u;
	return h % BUCKETS;
}

bool memory_has(const struct memory *m, const char *executable, const char *host)
{
	const char *who = executable ? executable : "";

	for (const struct pair *p = m->bucket[hash(who, host)]; p; p = p->next)
		if (!strcmp(p->executable, who) && !strcasecmp(p->host, host))
			return true;
	return false;
}

static void pair_free(struct pair *p)
{
	free(p->executable);
	free(p->host);
	free(p);
}

static void forget_oldest(struct memory *m)
{
	struct pair *p = m->oldest, **at = &m->bucket[hash(p->executable, p->host)];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	m->oldest = p->newer;
	if (m->newest == p)
		m->newest = NULL;
	m->count--;
	pair_free(p);
}

static bool keep(struct memory *m, const char *executable, const char *host)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (!p)
		return false;
	p->executable = strdup(executable);
	p->host = strdup(host);
	if (!p->executable || !p->host) {
		pair_free(p);
		return false;
	}
	if (m->count == MEMORY_MOST)
		forget_oldest(m);
	struct pair **at = &m->bucket[hash(executable, host)];
	p->next = *at;
	*at = p;
	if (m->newest)
		m->newest->newer = p;
	else
		m->oldest = p;
	m->newest = p;
	m->count++;
	return true;
}

static void write_line(struct memory *m, const char *executable, const char *host)
{
	if (!m->file || strpbrk(executable, "\t\n") || strpbrk(host, "\t\n") ||
	    strlen(executable) + strlen(host) + 2 > MEMORY_TEXT)
		return;
	if (fprintf(m->file, "%s\t%s\n", executable, host) >= 0 && !fflush(m->file))
		return;
	log_error("cannot write to %s: %s; it is kept for this run only", m->path, strerror(errno));
	(void)fclose(m->file);
	m->file = NULL;
}

bool memory_add(struct memory *m, const char *executable, const char *host)
{
	const char *who = executable ? executable : "";

	if (memory_has(m, who, host) || !keep(m, who, host))
		return false;
	write_line(m, who, host);
	return true;
}

// --- the file ---------------------------------------------------------------

static int read_lines(struct memory *m)
{
	char line[MEMORY_TEXT + 2];
	unsigned long number = 0;

	while (fgets(line, sizeof(line), m->file)) {
		char *end = strchr(line, '\n'), *tab = strchr(line, '\t');

		number++;
		if (*line == '#' || *line == '\n')
			continue;
		if (!end || !tab || !tab[1] || tab + 1 == end)
			return (int)number;
		*end = *tab = '\0';
		if (!memory_has(m, line, tab + 1))
			keep(m, line, tab + 1);
	}
	return 0;
}

static int open_file(struct memory *m, const char *path, char *why, size_t why_size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600), line;

	m->path = path;
	m->file = fd < 0 ? NULL : fdopen(fd, "a+");
	if (!m->file) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		snprintf(why, why_size, "cannot open %s: %s", path, strerror(error));
		return -error;
	}
	rewind(m->file);
	line = read_lines(m);
	if (line) {
		snprintf(why, why_size, "%s, line %d: not an executable, a tab and a host", path, line);
		return -EINVAL;
	}
	return 0;
}

int memory_open(struct memory **out, const char *path, char *why, size_t why_size)
{
	struct memory *m = calloc(1, sizeof(*m));
	int error;

	*out = NULL;
	if (!m) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	error = path ? open_file(m, path, why, why_size) : 0;
	if (error)
		memory_close(m);
	else
		*out = m;
	return error;
}

void memory_close(struct memory *m)
{
	if (!m)
		return;
	while (m->count)
		forget_oldest(m);
	if (m->file)
		(void)fclose(m->file);
	free(m);
}
