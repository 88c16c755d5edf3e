// SPDX-License-Identifier: GPL-3.0-or-later
// store - the authority put into the stores that programs on this machine read.
//
// This file knows the order of things and no store: first the line in the record,
// then the store; first out of the store, then the line.

#include "extension/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extension/place.h"
#include "extension/record.h"

enum { NAME_DIGITS = 8, NAME_SIZE = 32 };

#define NAME_BEGINS "apptap-"

static const struct place_kind *const kinds[] = {&place_folder, &place_anchor, &place_truststore, &place_database};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct work {
	const struct store_options *options;
	struct place_world world;
	struct record record;
	const struct place_kind *kind;
	const char *pem;
	size_t size;
	char name[NAME_SIZE];
	int failed;
	int error;		// of the record: it ends the work
};

static void tell(const struct work *work, enum store_done done, const char *place, const char *sentence)
{
	const struct store_news news = {.done = done, .noun = work->kind->noun, .place = place, .sentence = sentence};

	if (!work->kind->is_silent && work->options->report)
		work->options->report(work->options->context, &news);
}

static void tell_failure(struct work *work, const char *place, int error)
{
	char sentence[sizeof work->world.sentence];

	work->failed++;
	snprintf(sentence, sizeof sentence, "%s", work->world.sentence[0] ? work->world.sentence : strerror(-error));
	tell(work, STORE_FAILED, place, sentence);
}

// What the system's command did for Java along with its own.
static void tell_java(struct work *work, enum store_done done, const char *anchor)
{
	struct store_news news = {.noun = place_truststore.noun};
	bool failed;
	const char *java;

	if (work->kind != &place_anchor)
		return;
	java = place_java_beside(&work->world, anchor, &failed);
	if (!java || !work->options->report)
		return;
	work->failed += failed;
	news.done = failed ? STORE_FAILED : done;
	news.place = java;
	news.sentence = failed ? work->world.sentence : "by the system's command";
	work->options->report(work->options->context, &news);
}

static int begin(struct work *work, const struct store_options *options, char *why, size_t why_size)
{
	int error;

	*work = (struct work){.options = options,
			      .world = {.root = options->root ? options->root : "", .home = options->home,
					.uid = options->uid, .gid = options->gid, .system = options->system}};
	error = record_open(&work->record, options->folder, options->uid, options->gid);
	if (error == -EPERM)
		snprintf(why, why_size, "%s is not the folder of the user that the authority is for", options->folder);
	else if (error)
		snprintf(why, why_size, "cannot read %s/installed: %s", options->folder, strerror(-error));
	return error;
}

static int end(struct work *work, char *why, size_t why_size)
{
	if (work->error)
		snprintf(why, why_size, "cannot write %s/installed: %s", work->options->folder, strerror(-work->error));
	record_close(&work->record);
	return work->error ? work->error : work->failed;
}

// --- putting in -----------------------------------------------------------------

static bool make_name(char out[NAME_SIZE], const char *fingerprint)
{
	size_t used = sizeof NAME_BEGINS - 1;

	memcpy(out, NAME_BEGINS, sizeof NAME_BEGINS);
	for (; *fingerprint && used < sizeof NAME_BEGINS - 1 + NAME_DIGITS; fingerprint++)
		if (isxdigit((unsigned char)*fingerprint))
			out[used++] = (char)tolower((unsigned char)*fingerprint);
	out[used] = '\0';
	return used == sizeof NAME_BEGINS - 1 + NAME_DIGITS;
}

static void forget(struct work *work, const char *place)
{
	for (size_t i = work->record.count; i-- > 0;) {
		const struct record_line *line = &work->record.lines[i];

		if (!strcmp(line->kind, work->kind->word) && !strcmp(line->name, work->name) && !strcmp(line->place, place))
			record_remove(&work->record, i);
	}
	work->error = record_write(&work->record);
}

// The line is written also for what is in already, if an install of ours put it in;
// what somebody else put in is not ours to take out.
static void add_place(struct work *work, const char *place)
{
	const struct place_kind *kind = work->kind;
	bool ours = record_names(&work->record, kind->word, work->name, place, SIZE_MAX);
	bool there = kind->has(&work->world, work->name, place);
	int error;

	if (there && !ours) {
		tell(work, STORE_KEPT, place, "not by apptap; uninstall will leave it");
		return;
	}
	error = record_add(&work->record, work->options->run, kind->word, work->name, place);
	if (error == -EINVAL) {
		tell_failure(work, place, error);
		return;
	}
	work->error = error ? error : record_write(&work->record);
	if (work->error)
		return;
	work->world.sentence[0] = '\0';
	error = there ? 0 : kind->add(&work->world, work->name, place, work->pem, work->size);
	if (error) {
		tell_failure(work, place, error);
		forget(work, place);
		return;
	}
	tell(work, there ? STORE_KEPT : STORE_ADDED, place, "");
	tell_java(work, there ? STORE_KEPT : STORE_ADDED, place);
}

static void add_found(void *context, const char *place)
{
	struct work *work = context;

	if (work->error)
		return;
	if (place && work->kind->is_system && !work->options->system)
		tell(work, STORE_SKIPPED, place, "only root may change it");
	else if (place)
		add_place(work, place);
	else
		tell(work, STORE_SKIPPED, "", work->world.sentence);
}

int store_install(const struct store_options *options, const char *pem, size_t size, const char *fingerprint,
		  char *why, size_t why_size)
{
	struct work work;
	int error = begin(&work, options, why, why_size);

	if (error)
		return error;
	work.pem = pem;
	work.size = size;
	if (!make_name(work.name, fingerprint)) {
		snprintf(why, why_size, "\"%s\" is no fingerprint", fingerprint);
		record_close(&work.record);
		return -EINVAL;
	}
	for (int i = 0; i < KINDS && !work.error; i++) {
		work.kind = kinds[i];
		if (options->users_only && work.kind->is_system)
			continue;
		kinds[i]->find(&work.world, work.name, add_found, &work);
	}
	return end(&work, why, why_size);
}

// --- taking out -----------------------------------------------------------------

static bool is_name(const char *name)
{
	size_t begins = sizeof NAME_BEGINS - 1;

	return !strncmp(name, NAME_BEGINS, begins) && strlen(name) == begins + NAME_DIGITS &&
	       strspn(name + begins, "0123456789abcdef") == NAME_DIGITS;
}

static const struct place_kind *kind_of(struct place_world *world, const struct record_line *line)
{
	for (int i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i]->word, line->kind))
			return is_name(line->name) && kinds[i]->is_valid(world, line->name, line->place) ? kinds[i] : NULL;
	return NULL;
}

// True when the line is done with.
static bool remove_place(struct work *work, const struct record_line *line)
{
	int removed;

	if (work->kind->is_system && !work->options->system) {
		work->failed++;
		tell(work, STORE_SKIPPED, line->place, "only root may change it");
		return false;
	}
	work->world.sentence[0] = '\0';
	removed = work->kind->remove(&work->world, line->name, line->place);
	if (removed < 0) {
		tell_failure(work, line->place, removed);
		return false;
	}
	tell(work, removed ? STORE_REMOVED : STORE_GONE, line->place, "");
	tell_java(work, removed ? STORE_REMOVED : STORE_GONE, line->place);
	return true;
}

// A line that is no place of ours is dropped, as is one whose Java has been
// uninstalled meanwhile.
static void let_go(struct work *work, size_t index)
{
	const struct record_line *line = &work->record.lines[index];

	work->kind = kind_of(&work->world, line);
	if (work->kind && record_names(&work->record, line->kind, line->name, line->place, index)) {
		tell(work, STORE_HELD, line->place, "");
	} else if (work->kind && !remove_place(work, line)) {
		return;
	}
	record_remove(&work->record, index);
	work->error = record_write(&work->record);
}

// Who takes out what is there for good also ends what another PID namespace's runs
// hold: they may be over, and nobody else would.
static bool is_meant(const struct store_options *options, const struct record_line *line)
{
	return record_is_of(line, options->run) || (!options->run && record_is_elsewhere(line));
}

// The last that was added goes first.
static int take_out(const struct store_options *options, bool own, char *why, size_t why_size)
{
	struct work work;
	int error = begin(&work, options, why, why_size);

	if (error)
		return error == -ENOENT ? 0 : error;
	for (size_t i = work.record.count; i-- > 0 && !work.error;) {
		const struct record_line *line = &work.record.lines[i];

		if ((own && is_meant(options, line)) || record_is_over(line))
			let_go(&work, i);
	}
	return end(&work, why, why_size);
}

int store_uninstall(const struct store_options *options, char *why, size_t why_size)
{
	return take_out(options, true, why, why_size);
}

int store_sweep(const struct store_options *options, char *why, size_t why_size)
{
	return take_out(options, false, why, why_size);
}
