// SPDX-License-Identifier: GPL-3.0-or-later
// log - what apptap says, on standard error.
//
// A line is one write: the program taps on the same terminal, and half lines
// would mix with its own.

#include "tunnel/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level level = LOG_USUAL;

void log_open(enum log_level l)
{
	level = l;
}

// A pipe that has room for a page takes a line whole.
static bool has_room(void)
{
	struct pollfd to = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&to, 1, 0) > 0;
}

static unsigned long lines_in(const char *text, size_t size)
{
	unsigned long n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

// Nowhere is left to say that standard error is gone.
static void put(const char *line, size_t size)
{
	static unsigned long left_out;
	char more[96];

	if (left_out && has_room()) {
		int n = snprintf(more, sizeof(more), "apptap: %lu lines were left out here: nobody read them\n", left_out);
		left_out = write(STDERR_FILENO, more, (size_t)n) < 0 ? left_out : 0;
	}
	if (!has_room() || write(STDERR_FILENO, line, size) < 0)
		left_out += lines_in(line, size);
}

static void say(const char *format, va_list list)
{
	char line[2048] = "apptap: ";
	size_t head = strlen(line);

	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): each caller started it
	vsnprintf(line + head, sizeof(line) - head - 1, format, list);
	size_t size = strlen(line);
	// Names are a program's to choose; a terminal is to see no control character.
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	line[size++] = '\n';
	put(line, size);
}

void log_error(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(format, list);
	va_end(list);
}

void log_detail(const char *format, ...)
{
	va_list list;

	if (level < LOG_VERBOSE)
		return;
	va_start(list, format);
	say(format, list);
	va_end(list);
}

void log_note(const char *format, ...)
{
	va_list list;

	if (level < LOG_USUAL)
		return;
	va_start(list, format);
	say(format, list);
	va_end(list);
}

void log_show(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(format, list);
	va_end(list);
}

void log_text(const char *lines, size_t size)
{
	put(lines, size);
}
