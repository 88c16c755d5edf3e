// SPDX-License-Identifier: GPL-3.0-or-later
// database - the authority in a user's NSS databases: Firefox's, Chromium's and
// Thunderbird's.
//
// certutil(1) does it, as that user: files in a home are never touched as root.

#include "extension/place.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "extension/errand.h"

// Below the home; what has a cert9.db is one.
static const char *const folders[] = {
	".pki/nssdb",
	".local/share/pki/nssdb",
	".mozilla/firefox/*",
	".config/mozilla/firefox/*",
	".thunderbird/*",
	"snap/firefox/common/.mozilla/firefox/*",
	"snap/chromium/current/.pki/nssdb",
	"snap/thunderbird/common/.thunderbird/*",
	".var/app/org.mozilla.firefox/.mozilla/firefox/*",
	".var/app/org.mozilla.firefox/config/mozilla/firefox/*",
	".var/app/org.mozilla.Thunderbird/.thunderbird/*",
	".var/app/org.chromium.Chromium/.pki/nssdb",
	".var/app/com.google.Chrome/.pki/nssdb",
};

static void find_below(const char *pattern, place_found *found, void *context)
{
	static const char file[] = "/cert9.db";
	glob_t all;

	if (glob(pattern, 0, NULL, &all))
		return;
	for (size_t i = 0; i < all.gl_pathc; i++) {
		all.gl_pathv[i][strlen(all.gl_pathv[i]) - (sizeof file - 1)] = '\0';
		found(context, all.gl_pathv[i]);
	}
	globfree(&all);
}

// A home's name is not to be read as a pattern.
static bool quote(const char *text, char *out, size_t size)
{
	for (; *text && size > 2; size--) {
		if (strchr("*?[\\", *text)) {
			*out++ = '\\';
			size--;
		}
		*out++ = *text++;
	}
	*out = '\0';
	return !*text;
}

static void find(struct place_world *world, const char *name, place_found *found, void *context)
{
	char home[4096], pattern[4096 + 128];

	(void)name;
	if (!world->home || !quote(world->home, home, sizeof home))
		return;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(pattern, sizeof pattern, "%s/%s/cert9.db", home, folders[i]);
		find_below(pattern, found, context);
	}
}

// Whatever it is, it is touched as the user alone.
static bool is_valid(struct place_world *world, const char *name, const char *place)
{
	(void)world;
	(void)name;
	return place[0] == '/';
}

static int run(struct place_world *world, const char *place, const char *const *words, const char *pem, size_t size)
{
	char program[ERRAND_PROGRAM], where[4096 + 4], text[ERRAND_TEXT];
	const char *argv[16] = {program, "-d", where};
	const struct errand errand = {.argv = argv, .uid = world->uid, .gid = world->gid, .home = world->home,
				      .input = pem, .input_size = size};
	int status;

	for (int i = 0; words[i]; i++)
		argv[3 + i] = words[i];
	if (snprintf(where, sizeof where, "sql:%s", place) >= (int)sizeof where)
		return -ENAMETOOLONG;
	if (errand_find(program, world->root, "certutil")) {
		snprintf(world->sentence, sizeof world->sentence, "certutil is not there: install %s",
			 place_certutil_package(world));
		return -ENOENT;
	}
	status = errand_run(&errand, text);
	if (status)
		snprintf(world->sentence, sizeof world->sentence, "certutil says: %.300s",
			 status < 0 ? strerror(-status) : errand_sentence(text));
	return status;
}

static bool has(struct place_world *world, const char *name, const char *place)
{
	return !run(world, place, (const char *[]){"-L", "-n", name, NULL}, NULL, 0);
}

// Trusted to name servers ("C"), and for nothing else.
static int add(struct place_world *world, const char *name, const char *place, const char *pem, size_t size)
{
	int status;

	world->sentence[0] = '\0';
	status = run(world, place, (const char *[]){"-A", "-a", "-n", name, "-t", "C,,", NULL}, pem, size);
	return status > 0 ? -EIO : status;
}

static int remove_from(struct place_world *world, const char *name, const char *place)
{
	char file[4096];
	int status;

	world->sentence[0] = '\0';
	if (snprintf(file, sizeof file, "%s/cert9.db", place) < (int)sizeof file && access(file, F_OK))
		return 0;
	status = run(world, place, (const char *[]){"-D", "-n", name, NULL}, NULL, 0);
	if (status > 0 && !has(world, name, place)) {
		// Not to be found, unless nothing is to be found there.
		status = run(world, place, (const char *[]){"-L", NULL}, NULL, 0);
		return status > 0 ? -EIO : status;
	}
	return status > 0 ? -EIO : status < 0 ? status : 1;
}

const struct place_kind place_database = {
	.word = "nss", .noun = "NSS database", .find = find, .is_valid = is_valid, .has = has, .add = add,
	.remove = remove_from,
};
