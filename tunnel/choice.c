// SPDX-License-Identifier: GPL-3.0-or-later
// choice - what is to be tapped, and how it comes to be something else.

#include "tunnel/choice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/spec.h"
#include "tunnel/log.h"

// More than the longest spec there can be, with its blanks.
enum { TEXT_MAX = SPEC_ITEMS_MAX * (SPEC_TEXT_MAX + 32) };

struct choice {
	struct spec *spec;
	char *words;
	const char *path;	// NULL: not from a file
	char *line;		// TEXT_MAX bytes: a line that is still coming
	size_t line_size;
	bool line_lost;		// it is longer than that
};

// --- a spec's text ----------------------------------------------------------

// A line of which the place that is wrong is in the middle.
static void mark(const char *text, size_t at)
{
	enum { BEFORE = 40, AFTER = 30 };
	size_t from = at > BEFORE ? at - BEFORE : 0;

	log_error("  %s%.*s", from ? "..." : "", BEFORE + AFTER, text + from);
	log_error("  %*s^", (int)(at - from + (from ? 3 : 0)), "");
}

// Another spec, if it is a good one.
static int take(struct choice *c, const char *text)
{
	struct spec *spec;
	char why[256];
	size_t at = 0;
	char *words = strdup(*text ? text : "every program");
	int error = words ? spec_open(&spec, text, &at, why, sizeof(why)) : -ENOMEM;

	if (error) {
		log_error("%s", words ? why : strerror(ENOMEM));
		if (error == -EINVAL)
			mark(text, at);
		free(words);
		return error;
	}
	spec_close(c->spec);
	free(c->words);
	c->spec = spec;
	c->words = words;
	return 0;
}

static char *trimmed(char *line)
{
	size_t size;

	line += strspn(line, " \t\r\n");
	size = strlen(line);
	while (size && strchr(" \t\r\n", line[size - 1]))
		line[--size] = '\0';
	return line;
}

// --- the file ---------------------------------------------------------------

// Lines joined by commas into one text.
static int join(FILE *file, char *text)
{
	char *line = NULL;
	size_t room = 0, n = 0;
	int error = 0;

	while (!error && getline(&line, &room, file) >= 0) {
		const char *items = trimmed(line);
		size_t size = strlen(items);

		if (!size || *items == '#')
			continue;
		if (n + size + 2 > TEXT_MAX) {
			error = -E2BIG;
			continue;
		}
		// A comma at a line's end is what people write too.
		if (n && text[n - 1] != ',')
			text[n++] = ',';
		memcpy(text + n, items, size);
		n += size;
	}
	if (n && text[n - 1] == ',')
		n--;
	text[n] = '\0';
	free(line);
	return error || !ferror(file) ? error : -EIO;
}

static int read_file(struct choice *c)
{
	FILE *file = fopen(c->path, "re");
	char *text = calloc(1, TEXT_MAX);
	int error = !file ? -errno : !text ? -ENOMEM : join(file, text);

	if (file)
		(void)fclose(file);
	if (error)
		log_error("cannot read the spec in %s: %s", c->path, strerror(-error));
	else if (!*text)
		log_error("there is no spec in %s: an empty one would mean every program", c->path);
	if (!error)
		error = *text ? take(c, text) : -EINVAL;
	free(text);
	return error;
}

enum choice_news choice_reread(struct choice *c)
{
	return read_file(c) ? CHOICE_SAME : CHOICE_CHANGED;
}

// --- lines ------------------------------------------------------------------

static enum choice_news end_line(struct choice *c)
{
	bool lost = c->line_lost;
	char *text;

	c->line[c->line_size] = '\0';
	c->line_size = 0;
	c->line_lost = false;
	if (lost) {
		log_error("a line of more than %d bytes is no spec", TEXT_MAX - 1);
		return CHOICE_SAME;
	}
	text = trimmed(c->line);
	return !*text || take(c, text) ? CHOICE_SAME : CHOICE_CHANGED;
}

static enum choice_news add(struct choice *c, const char *bytes, size_t size)
{
	enum choice_news news = CHOICE_SAME;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n' || !bytes[i]) {
			if (end_line(c) == CHOICE_CHANGED)
				news = CHOICE_CHANGED;
		} else if (c->line_size < TEXT_MAX - 1) {
			c->line[c->line_size++] = bytes[i];
		} else {
			c->line_lost = true;
		}
	}
	return news;
}

enum choice_news choice_read(struct choice *c, int fd)
{
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n > 0)
		return add(c, bytes, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? CHOICE_SAME : CHOICE_ENDED;
}

// --- the whole --------------------------------------------------------------

int choice_open(struct choice **out, const char *text, const char *path)
{
	struct choice *c = calloc(1, sizeof(*c));
	int error;

	*out = NULL;
	if (c)
		c->line = malloc(TEXT_MAX);
	if (!c || !c->line) {
		free(c);
		log_error("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	c->path = path;
	error = path ? read_file(c) : take(c, text ? text : "");
	if (error)
		choice_close(c);
	else
		*out = c;
	return error;
}

void choice_close(struct choice *c)
{
	if (!c)
		return;
	spec_close(c->spec);
	free(c->words);
	free(c->line);
	free(c);
}

const struct spec *choice_spec(const struct choice *c)
{
	return c->spec;
}

const char *choice_words(const struct choice *c)
{
	return c->words;
}
