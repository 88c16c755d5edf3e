// SPDX-License-Identifier: GPL-3.0-or-later
// processes - `apptap processes`: what can be tapped, as a table or as JSON.
//
// On a terminal the table fits its width: columns that say nothing of anybody are
// left out, what is long is cut. In a pipe nothing is left out or cut, and no column but
// the last holds a space, so that awk(1) can count them. What another program chose
// as its name or arguments is printed only after it was made harmless.

#include <cjson/cJSON.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "extension/list.h"
#include "tools/commands.h"
#include "tools/harmless.h"
#include "tools/options.h"
#include "tools/usage.h"
#include "tunnel/hall.h"

struct asked {
	bool json, help;
};

static const struct option_row rows[] = {
	{0, "json", NULL, "a JSON array, an object for each process",
	 OPTION_FLAG(struct asked, json, true)},
	{'h', "help", NULL, "this",
	 OPTION_FLAG(struct asked, help, true)},
	{0},
};
static const struct option_row *const tables[] = {rows, NULL};

// --- JSON -----------------------------------------------------------------------

// JSON is UTF-8; what processes call themselves need not be.
static void add_text(cJSON *object, const char *key, const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *valid = malloc(3 * strlen(text) + 1), *end = valid;

	while (valid && *text) {
		size_t size = harmless_character((const unsigned char *)text);

		memcpy(end, size ? text : replacement, size ? size : 3);
		end += size ? size : 3;
		text += size ? size : 1;
	}
	if (end)
		*end = '\0';
	if (valid && *valid)
		cJSON_AddStringToObject(object, key, valid);
	else
		cJSON_AddNullToObject(object, key);
	free(valid);
}

static void add_time(cJSON *object, const char *key, uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000);
	char text[48] = "";
	struct tm tm;

	if (gmtime_r(&s, &tm)) {
		size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);

		snprintf(text + n, sizeof text - n, ".%06uZ", (unsigned)(ns % 1000000000 / 1000));
	}
	add_text(object, key, text);
}

static cJSON *describe(const struct list_row *row)
{
	static const char *const networks[] = {[LIST_UNSEEN] = "", [LIST_HERE] = "here", [LIST_ELSEWHERE] = "elsewhere"};
	const struct process *process = row->process;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "pid", process->pid);
	cJSON_AddNumberToObject(object, "parent", process->parent);
	add_text(object, "name", process->name);
	add_text(object, "path", process->path);
	add_text(object, "arguments", process->arguments);
	cJSON_AddNumberToObject(object, "uid", process->uid);
	add_text(object, "user", process->user);
	add_time(object, "start", process->start);
	add_text(object, "cgroup", row->cgroup);
	add_text(object, "container", row->container);
	if (row->connections < 0)
		cJSON_AddNullToObject(object, "connections");
	else
		cJSON_AddNumberToObject(object, "connections", row->connections);
	add_text(object, "network", networks[row->network]);
	return object;
}

static int print_json(const struct list *list)
{
	puts("[");
	for (size_t i = 0; i < list_count(list); i++) {
		cJSON *object = describe(list_row(list, i));
		char *text = cJSON_PrintUnformatted(object);

		cJSON_Delete(object);
		if (!text)
			return -1;
		printf("%s%s\n", text, i + 1 < list_count(list) ? "," : "");
		cJSON_free(text);
	}
	puts("]");
	return 0;
}

// --- the table ------------------------------------------------------------------

enum { PID, USER, CONNECTIONS, NETWORK, CONTAINER, NAME, PATH, ARGUMENTS, COLUMNS };
enum { NARROW = 70 };	// a terminal without room for paths

// `most`: characters on a terminal; 0: as many as there are. A path's end tells
// more than its beginning.
static const struct {
	const char *head;
	int most;
	bool right, optional, cut_front;
} columns[COLUMNS] = {
	[PID] = {.head = "PID", .right = true},
	[USER] = {.head = "USER", .most = 12},
	[CONNECTIONS] = {.head = "CONN", .right = true},
	[NETWORK] = {.head = "NETWORK", .optional = true},
	[CONTAINER] = {.head = "CONTAINER", .most = 16, .optional = true},
	[NAME] = {.head = "NAME", .most = 16},
	[PATH] = {.head = "PATH", .most = 24, .cut_front = true},
	[ARGUMENTS] = {.head = "ARGUMENTS"},
};

struct cell {
	wchar_t *text;
	int width;		// columns of the terminal
};

// Does it change the direction of what follows (Unicode annex 9)?
static bool turns(wchar_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

// Bytes that are no character here, or one that could steer a terminal, as \xNN.
static wchar_t *make_harmless(const char *text, bool spaces)
{
	wchar_t *out = calloc(4 * strlen(text) + 1, sizeof *out), *end = out;
	mbstate_t state = {0};

	while (out && *text) {
		wchar_t c;
		size_t size = mbrtowc(&c, text, strlen(text), &state);

		if (size == 0 || size > strlen(text)) {
			size = 1;
			c = 0;
			state = (mbstate_t){0};
		}
		if (c && iswprint((wint_t)c) && !turns(c) && (spaces || !iswspace((wint_t)c)))
			*end++ = c;
		else
			for (size_t i = 0; i < size; i++)
				end += swprintf(end, 5, L"\\x%02x", (unsigned)(unsigned char)text[i]);
		text += size;
	}
	return out;
}

static int width_of(const wchar_t *text)
{
	int width = wcswidth(text, wcslen(text));

	return width < 0 ? (int)wcslen(text) : width;
}

static void fill_cell(struct cell *cell, const struct list_row *row, int column, bool spaces)
{
	static const char *const networks[] = {[LIST_UNSEEN] = "", [LIST_HERE] = "here", [LIST_ELSEWHERE] = "elsewhere"};
	const char *text = "";
	char number[16];

	snprintf(number, sizeof number, "%d", column == PID ? row->process->pid : row->connections);
	switch (column) {
	case PID: text = number; break;
	case USER: text = row->process->user; break;
	case CONNECTIONS: text = row->connections < 0 ? "" : number; break;
	case NETWORK: text = networks[row->network]; break;
	case CONTAINER: text = row->container; break;
	case NAME: text = row->process->name; break;
	case PATH: text = row->process->path; break;
	case ARGUMENTS: text = row->process->arguments; break;
	}
	cell->text = make_harmless(*text ? text : "-", spaces || column == ARGUMENTS);
	cell->width = cell->text ? width_of(cell->text) : 0;
}

static void cut(struct cell *cell, int most, bool front)
{
	const wchar_t *mark = MB_CUR_MAX > 1 ? L"\u2026" : L"+";
	size_t size = wcslen(cell->text);

	if (cell->width <= most || most < 2)
		return;
	while (size && cell->width > most - 1) {
		int width = wcwidth(cell->text[front ? 0 : size - 1]);

		cell->width -= width > 0 ? width : 0;
		size--;
		if (front)
			wmemmove(cell->text, cell->text + 1, size);
	}
	if (front)
		wmemmove(cell->text + 1, cell->text, size);
	cell->text[front ? 0 : size] = *mark;
	cell->text[size + 1] = L'\0';
	cell->width++;
}

struct table {
	struct cell (*cells)[COLUMNS];
	size_t count;
	int width[COLUMNS];	// 0: left out
};

static bool says_something(const struct list *list, int column)
{
	for (size_t i = 0; i < list_count(list); i++) {
		const struct list_row *row = list_row(list, i);

		if (column == NETWORK ? row->network == LIST_ELSEWHERE : row->container[0] != '\0')
			return true;
	}
	return false;
}

// `screen`: the terminal's width, 0 for a pipe. The first row is the heads.
static int make_table(struct table *table, const struct list *list, int screen)
{
	int used = 0;

	table->count = list_count(list) + 1;
	table->cells = calloc(table->count, sizeof *table->cells);
	if (!table->cells)
		return -1;
	for (int c = 0; c < COLUMNS; c++) {
		if (screen && columns[c].optional && !says_something(list, c))
			continue;
		if (screen && screen < NARROW && c == PATH)
			continue;
		for (size_t r = 0; r < table->count; r++) {
			struct cell *cell = &table->cells[r][c];

			if (r)
				fill_cell(cell, list_row(list, r - 1), c, screen);
			else
				*cell = (struct cell){make_harmless(columns[c].head, false), (int)strlen(columns[c].head)};
			if (!cell->text)
				return -1;
			if (screen && columns[c].most)
				cut(cell, columns[c].most, columns[c].cut_front);
			// An overwide terminal shows the arguments as they are.
			if (screen && c == ARGUMENTS)
				cut(cell, screen - used > 8 ? screen - used : 8, false);
			if (cell->width > table->width[c])
				table->width[c] = cell->width;
		}
		used += table->width[c] + 1;
	}
	return 0;
}

static void print_table(const struct table *table)
{
	for (size_t r = 0; r < table->count; r++)
		for (int c = 0; c < COLUMNS; c++) {
			const struct cell *cell = &table->cells[r][c];
			int space = table->width[c] - cell->width;

			if (!table->width[c])
				continue;
			if (c == ARGUMENTS)
				printf("%ls\n", cell->text);
			else
				printf("%*s%ls%*s", columns[c].right ? space : 0, "", cell->text,
				       columns[c].right ? 1 : space + 1, "");
		}
}

static void free_table(struct table *table)
{
	for (size_t r = 0; table->cells && r < table->count; r++)
		for (int c = 0; c < COLUMNS; c++)
			free(table->cells[r][c].text);
	free(table->cells);
}

static int screen_width(void)
{
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

static int show_table(const struct list *list)
{
	struct table table = {0};
	int error;

	setlocale(LC_CTYPE, "");
	error = make_table(&table, list, screen_width());
	if (!error)
		print_table(&table);
	free_table(&table);
	return error;
}

// --- the command ----------------------------------------------------------------

int command_processes(int argc, char **argv)
{
	struct asked asked = {0};
	struct list *list;
	char why[256];
	int at = options_read(tables, &asked, argc, argv, why, sizeof why), error;

	if (at < 0)
		return usage_error("processes", why);
	if (asked.help) {
		puts("usage: apptap processes [--json]\n");
		options_help(tables, stdout);
		return 0;
	}
	if (at < argc)
		return usage_error("processes", "processes takes no names; apptap local does");
	error = list_open(&list, getpid());
	if (error) {
		fprintf(stderr, "apptap: cannot read /proc: %s\n", strerror(-error));
		return HALL_UNAVAILABLE;
	}
	error = asked.json ? print_json(list) : show_table(list);
	list_close(list);
	if (error || fflush(stdout) || ferror(stdout)) {
		perror("apptap: standard output");
		return HALL_INCOMPLETE;
	}
	return 0;
}
