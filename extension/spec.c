// SPDX-License-Identifier: GPL-3.0-or-later
// spec - which programs: "curl,!4123", read once, asked for each process.
//
// The text is copied once; an item's text is a piece of that copy, ended where the
// item was trimmed. Only user:NAME asks anything of the machine, and only while
// the spec is read.

#include "extension/spec.h"

#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct spec {
	char *text;
	size_t count;
	struct spec_item items[];
};

// Where reading stands, and who is told of a fault.
struct reader {
	char *text;
	size_t *at;
	char *why;
	size_t why_size;
};

static const struct {
	const char *word;
	enum spec_kind kind;
	const char *wants;
} kinds[] = {
	{"exe:", SPEC_EXE, "a pattern for the executable's path, as exe:/usr/bin/*"},
	{"user:", SPEC_USER, "a user's name or number, as user:www-data"},
	{"cgroup:", SPEC_CGROUP, "a control group's path, as cgroup:/system.slice/nginx.service"},
	{"child-of:", SPEC_CHILD_OF, "a PID, as child-of:4123"},
};

__attribute__((format(printf, 3, 4)))
static int refuse(const struct reader *reader, const char *place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started on the line above
	vsnprintf(reader->why, reader->why_size, format, arguments);
	va_end(arguments);
	if (reader->at)
		*reader->at = (size_t)(place - reader->text);
	return -EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && is_space(end[-1]))
		end--;
	*end = '\0';
	while (is_space(*text))
		text++;
	return text;
}

// As mitmproxy's u32::from_str reads: digits behind at most one plus sign.
static bool read_number(const char *text, uint32_t *out)
{
	uint64_t number = 0;

	if (*text == '+')
		text++;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)number;
	return true;
}

// A name that looks like a number is a name first, as for chown(1). The highest
// number is no user's: the kernel means "none" by it.
static int read_user(const struct reader *reader, struct spec_item *item)
{
	const struct passwd *known = getpwnam(item->text);

	if (known)
		item->number = known->pw_uid;
	else if (!read_number(item->text, &item->number) || item->number == UINT32_MAX)
		return refuse(reader, item->text, "there is no user \"%s\"", item->text);
	item->text = NULL;
	return 0;
}

static int read_value(const struct reader *reader, struct spec_item *item)
{
	if (item->kind == SPEC_USER)
		return read_user(reader, item);
	if (item->kind != SPEC_CHILD_OF)
		return 0;
	if (!read_number(item->text, &item->number) || !item->number)
		return refuse(reader, item->text, "child-of: wants a PID, not \"%s\"", item->text);
	item->text = NULL;
	return 0;
}

static int read_item(const struct reader *reader, char *text, struct spec_item *item)
{
	text = trim(text);
	if (*text == '!') {
		item->exclude = true;
		text = trim(text + 1);
	}
	if (!*text)
		return refuse(reader, text, item->exclude ? "nothing stands behind the \"!\""
							  : "there is nothing between two commas, or behind the last");
	if (strlen(text) > SPEC_TEXT_MAX)
		return refuse(reader, text, "this is longer than %d bytes", SPEC_TEXT_MAX);
	if (read_number(text, &item->number)) {
		item->kind = SPEC_PID;
		return 0;
	}
	item->kind = SPEC_TEXT;
	item->text = text;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strncmp(text, kinds[i].word, strlen(kinds[i].word)) != 0)
			continue;
		item->kind = kinds[i].kind;
		item->text = trim(text + strlen(kinds[i].word));
		if (!*item->text)
			return refuse(reader, item->text, "%s wants %s", kinds[i].word, kinds[i].wants);
		return read_value(reader, item);
	}
	return 0;
}

static size_t count_items(const char *text)
{
	size_t count = 1;

	for (; *text; text++)
		count += *text == ',';
	return count;
}

static int read_items(struct spec *spec, const struct reader *reader, size_t count)
{
	char *rest = spec->text;

	for (char *text; (text = strsep(&rest, ","));) {
		int error;

		if (spec->count == SPEC_ITEMS_MAX)
			return refuse(reader, text, "there are %zu items, and more than %d are not taken",
				      count, SPEC_ITEMS_MAX);
		error = read_item(reader, text, &spec->items[spec->count]);
		if (error)
			return error;
		spec->count++;
	}
	return 0;
}

int spec_open(struct spec **out, const char *text, size_t *at, char *why, size_t why_size)
{
	size_t start = 0, count;
	struct reader reader = {.at = at, .why = why, .why_size = why_size};
	struct spec *spec;
	int error = 0;

	*out = NULL;
	if (at)
		*at = 0;
	if (why_size)
		*why = '\0';
	text = text ? text : "";
	while (is_space(text[start]))
		start++;
	count = text[start] ? count_items(text) : 0;
	spec = calloc(1, sizeof *spec + (count < SPEC_ITEMS_MAX ? count : SPEC_ITEMS_MAX) * sizeof *spec->items);
	if (spec)
		spec->text = reader.text = strdup(text);
	if (!spec || !spec->text) {
		spec_close(spec);
		snprintf(why, why_size, "there is no memory for this");
		return -ENOMEM;
	}
	if (count)
		error = read_items(spec, &reader, count);
	if (error) {
		spec_close(spec);
		return error;
	}
	*out = spec;
	return 0;
}

void spec_close(struct spec *spec)
{
	if (!spec)
		return;
	free(spec->text);
	free(spec);
}

size_t spec_count(const struct spec *spec)
{
	return spec->count;
}

const struct spec_item *spec_item(const struct spec *spec, size_t index)
{
	return index < spec->count ? &spec->items[index] : NULL;
}

bool spec_default(const struct spec *spec)
{
	return !spec->count || spec->items[0].exclude;
}

// --- asked for a process --------------------------------------------------------

static bool holds(const char *text, const char *part)
{
	return text && strstr(text, part);
}

// That group, or one below it; slashes before and behind do not count.
static bool is_below(const char *cgroup, const char *path)
{
	size_t size;

	if (!cgroup)
		return false;
	cgroup += strspn(cgroup, "/");
	path += strspn(path, "/");
	size = strlen(path);
	while (size && path[size - 1] == '/')
		size--;
	return !strncmp(cgroup, path, size) && (!size || !cgroup[size] || cgroup[size] == '/');
}

static bool matches(const struct spec_item *item, const struct spec_process *process)
{
	switch (item->kind) {
	case SPEC_PID:
		return process->pid > 0 && (uint32_t)process->pid == item->number;
	case SPEC_TEXT:
		return holds(process->path, item->text) || holds(process->name, item->text) ||
		       holds(process->argv0, item->text);
	case SPEC_EXE:
		return process->path && !fnmatch(item->text, process->path, 0);
	case SPEC_USER:
		return process->uid == item->number;
	case SPEC_CGROUP:
		return is_below(process->cgroup, item->text);
	case SPEC_CHILD_OF:
		// Above INT_MAX there is no process.
		return process->is_child_of && item->number <= INT32_MAX &&
		       process->is_child_of(process->context, (pid_t)item->number);
	}
	return false;
}

bool spec_takes(const struct spec *spec, const struct spec_process *process)
{
	bool in = spec_default(spec);

	for (size_t i = 0; i < spec->count; i++) {
		const struct spec_item *item = &spec->items[i];

		// What cannot change the answer is not asked: it may cost a walk.
		if (in == item->exclude && matches(item, process))
			in = !item->exclude;
	}
	return in;
}
