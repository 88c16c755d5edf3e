// SPDX-License-Identifier: GPL-3.0-or-later
// truststore - the authority in Java's own stores, where the system's command does
// not fill them.
//
// keytool(1) does it, the one that came with that Java if it did. Most of a
// distribution's Javas lead by a link to the system's store: these need nothing.

#include "extension/place.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/errand.h"

enum { STORES_MAX = 64 };

static const char *const patterns[] = {
	"/etc/ssl/certs/java/cacerts",
	"/usr/lib/jvm/*/lib/security/cacerts",
	"/usr/lib/jvm/*/jre/lib/security/cacerts",
	"/usr/lib64/jvm/*/lib/security/cacerts",
	"/usr/java/*/lib/security/cacerts",
	"/opt/*/lib/security/cacerts",
	"/opt/java/*/lib/security/cacerts",
	"/opt/*/jbr/lib/security/cacerts",
};

struct stores {
	char *paths[STORES_MAX];	// without the root
	size_t count;
};

// Links lead out of a test's root: only what is below it counts.
static void add_store(const struct place_world *world, struct stores *stores, const char *found)
{
	size_t root = strlen(world->root);
	char real[PATH_MAX];
	struct stat status;

	if (!realpath(found, real) || strncmp(real, world->root, root) != 0 || stat(real, &status) ||
	    !S_ISREG(status.st_mode) || place_is_managed(world, real) || stores->count == STORES_MAX)
		return;
	for (size_t i = 0; i < stores->count; i++)
		if (!strcmp(stores->paths[i], real + root))
			return;
	stores->paths[stores->count] = strdup(real + root);
	if (stores->paths[stores->count])
		stores->count++;
}

static void find_stores(const struct place_world *world, struct stores *stores)
{
	stores->count = 0;
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		char pattern[PATH_MAX];
		glob_t all;

		if (!place_path(world, patterns[i], pattern, sizeof pattern) || glob(pattern, 0, NULL, &all))
			continue;
		for (size_t at = 0; at < all.gl_pathc; at++)
			add_store(world, stores, all.gl_pathv[at]);
		globfree(&all);
	}
}

static void free_stores(struct stores *stores)
{
	while (stores->count)
		free(stores->paths[--stores->count]);
}

static void find(struct place_world *world, const char *name, place_found *found, void *context)
{
	struct stores stores;

	(void)name;
	find_stores(world, &stores);
	for (size_t i = 0; i < stores.count; i++)
		found(context, stores.paths[i]);
	free_stores(&stores);
}

static bool is_valid(struct place_world *world, const char *name, const char *place)
{
	struct stores stores;
	bool valid = false;

	(void)name;
	find_stores(world, &stores);
	for (size_t i = 0; i < stores.count; i++)
		valid = valid || !strcmp(stores.paths[i], place);
	free_stores(&stores);
	return valid;
}

// HOME/bin/keytool of HOME/lib/security/cacerts, or the system's.
static int find_keytool(const struct place_world *world, const char *place, char out[ERRAND_PROGRAM])
{
	static const char below[] = "/lib/security/cacerts";
	size_t size = strlen(place), tail = sizeof below - 1;

	if (size > tail && !strcmp(place + size - tail, below) &&
	    snprintf(out, ERRAND_PROGRAM, "%s%.*s/bin/keytool", world->root, (int)(size - tail), place) < ERRAND_PROGRAM &&
	    !access(out, X_OK))
		return 0;
	return errand_find(out, world->root, "keytool");
}

static int run(struct place_world *world, const char *place, const char *const *words, const char *pem, size_t size)
{
	char program[ERRAND_PROGRAM], path[PATH_MAX], text[ERRAND_TEXT];
	const char *argv[16] = {program};
	const struct errand errand = {.argv = argv, .home = "/root", .input = pem, .input_size = size};
	int status, count = 1;

	while (*words)
		argv[count++] = *words++;
	argv[count++] = "-keystore";
	argv[count++] = path;
	// As every Java is delivered.
	argv[count++] = "-storepass";
	argv[count] = "changeit";
	if (!place_path(world, place, path, sizeof path))
		return -ENAMETOOLONG;
	if (find_keytool(world, place, program)) {
		snprintf(world->sentence, sizeof world->sentence, "keytool is not there: it comes with a JDK or JRE");
		return -ENOENT;
	}
	status = errand_run(&errand, text);
	if (status)
		snprintf(world->sentence, sizeof world->sentence, "keytool says: %.300s",
			 status < 0 ? strerror(-status) : errand_sentence(text));
	return status;
}

static bool has(struct place_world *world, const char *name, const char *place)
{
	return !run(world, place, (const char *[]){"-list", "-alias", name, NULL}, NULL, 0);
}

static int add(struct place_world *world, const char *name, const char *place, const char *pem, size_t size)
{
	int status;

	world->sentence[0] = '\0';
	status = run(world, place, (const char *[]){"-importcert", "-noprompt", "-trustcacerts", "-alias", name, NULL}, pem, size);
	return status > 0 ? -EIO : status;
}

static int remove_from(struct place_world *world, const char *name, const char *place)
{
	int status;

	world->sentence[0] = '\0';
	status = run(world, place, (const char *[]){"-delete", "-alias", name, NULL}, NULL, 0);
	if (status > 0 && !has(world, name, place)) {
		status = run(world, place, (const char *[]){"-list", NULL}, NULL, 0);
		return status > 0 ? -EIO : status;
	}
	return status > 0 ? -EIO : status < 0 ? status : 1;
}

const struct place_kind place_truststore = {
	.word = "java", .noun = "Java's store", .is_system = true, .find = find, .is_valid = is_valid, .has = has, .add = add,
	.remove = remove_from,
};
