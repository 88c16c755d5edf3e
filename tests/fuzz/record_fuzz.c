// SPDX-License-Identifier: GPL-3.0-or-later
// record_fuzz - any text as the record of what is installed; what is kept of it is
// read the same after it was written.

#include "extension/record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define CHECK(condition) do { if (!(condition)) __builtin_trap(); } while (0)

static char folder[] = "/dev/shm/apptap-record.XXXXXX";

static void drop_folder(void)
{
	rmdir(folder);
}

static void check_line(const struct record_line *line)
{
	CHECK(line->run >= 0 && (line->run || (!line->start && !line->space)));
	CHECK(line->kind[0] && line->name[0] && line->place[0]);
	CHECK(memchr(line->kind, '\0', RECORD_WORD) && memchr(line->name, '\0', RECORD_WORD));
	CHECK(!strpbrk(line->kind, " \t\n") && !strpbrk(line->name, " \t\n") && !strchr(line->place, '\n'));
	record_is_over(line);
}

static void compare(const struct record *one, const struct record *other)
{
	CHECK(one->count == other->count);
	for (size_t i = 0; i < one->count; i++) {
		const struct record_line *a = &one->lines[i], *b = &other->lines[i];

		CHECK(a->run == b->run && a->start == b->start && a->space == b->space && !strcmp(a->kind, b->kind) && !strcmp(a->name, b->name) &&
		      !strcmp(a->place, b->place));
		CHECK(record_names(one, b->kind, b->name, b->place, SIZE_MAX));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool made;
	struct record record = {.folder = -1}, again;
	char *text = strndup((const char *)bytes, size);

	CHECK(text);
	if (!made) {
		CHECK(mkdtemp(folder) && !atexit(drop_folder));
		made = true;
	}
	CHECK(!record_open(&record, folder, geteuid(), getegid()) && !record.count);
	if (!record_take(&record, text)) {
		for (size_t i = 0; i < record.count; i++)
			check_line(&record.lines[i]);
		CHECK(!record_write(&record));
		// The lock is the description's: given back for the second opening.
		close(record.folder);
		CHECK(!record_open(&again, folder, geteuid(), getegid()));
		compare(&record, &again);
		record.folder = dup(again.folder);
		record_close(&again);
	}
	while (record.count)
		record_remove(&record, record.count - 1);
	CHECK(!record_write(&record));
	record_close(&record);
	free(text);
	return 0;
}
