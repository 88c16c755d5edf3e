// SPDX-License-Identifier: GPL-3.0-or-later
// store_world - a tree that looks like a distribution's, with commands that note what
// they were asked, and the authority put into its stores and taken out.

#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include "tests/unit/inside.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mount.h>
#include <cmocka.h>

#include "extension/store.h"

#define PRINT "AB:CD:EF:01:23:45"
#define NAME "apptap-abcdef01"
#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static char root[64];		// of the tree; the authority's folder is in it
static char told[8192];		// a letter, the place and the sentence of each news
static char why[512];

// --- a tree ---------------------------------------------------------------------

__attribute__((format(printf, 1, 2)))
static const char *text_of(const char *format, ...)
{
	static char texts[64][4096];
	static int next;
	char *text = texts[next++ % 64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof texts[0], format, arguments);
	va_end(arguments);
	return text;
}

static bool shell(const char *script)
{
	return system(text_of("cd '%s' && { %s; } >/dev/null 2>&1", root, script)) == 0;
}

static char *read_text(const char *command)
{
	static char texts[2][65536];
	static int next;
	char *text = texts[next++ % 2];
	FILE *file = popen(text_of("cd '%s' && { %s; } 2>/dev/null", root, command), "r");
	size_t n = file ? fread(text, 1, sizeof texts[0] - 1, file) : 0;

	if (file)
		pclose(file);
	text[n] = '\0';
	return text;
}

static void make_stub(const char *path, const char *script)
{
	const char *real = text_of("%s/%s", root, path);
	FILE *file;

	CHECK(shell(text_of("mkdir -p \"$(dirname %s)\"", path)));
	file = fopen(real, "w");
	CHECK(file);
	fprintf(file, "#!/bin/sh\nr='%s'; n=$(basename \"$0\"); echo \"$n $*\" >> $r/calls\n"
		      "if [ -e $r/fail-$n ]; then echo \"$n: it is broken\"; exit 3; fi\n%s\n", root, script);
	CHECK(!fclose(file) && !chmod(real, 0755));
}

// Debian's, in what we rest on: links for what is there, "!NAME" of a list taken away.
static const char debian_command[] =
	"c=$r/etc/ssl/certs; l=$r/usr/local/share/ca-certificates\n"
	"if [ \"$1\" = --certsconf ]; then echo \"without $(sed -n 's/^!//p' $2)\" >> $r/calls\n"
	"  for f in $(sed -n 's/^!//p' $2); do rm -f $c/${f%.crt}.pem; done; fi\n"
	"if [ \"$1\" = --fresh ]; then rm -f $c/*.pem; fi\n"
	"for f in $l/*.crt; do if [ -f $f ]; then ln -sf $f $c/$(basename $f .crt).pem; fi; done\n"
	"touch $c/ca-certificates.crt\n"
	"if [ -e $r/fail-hook ]; then echo \"E: $r/etc/ca-certificates/update.d/jks-keystore exited with code 1.\"; fi\n";

// A file in the database's folder for each certificate.
static const char certutil_command[] =
	"d=${2#sql:}; echo \"uid $(id -u)\" >> $r/calls\n"
	"case $3 in -A) cat > $d/$6;; -D) rm $d/$5;; -L) [ -z \"$5\" ] || [ -f $d/$5 ];; esac\n";

static const char keytool_command[] =
	"for last; do k=$p; p=$last; done\n"
	"case $1 in -importcert) cat > $7-$5;; -delete) rm $5-$3;; -list) [ $2 != -alias ] || [ -f $5-$3 ];; esac\n";

static void make_tree(void)
{
	strcpy(root, "/tmp/apptap-store.XXXXXX");
	CHECK(mkdtemp(root) && !chmod(root, 0755));
	CHECK(shell("mkdir -p folder home && chmod 700 folder && : > calls && chmod 666 calls"));
}

static void make_debian(void)
{
	make_tree();
	CHECK(shell("mkdir -p etc/ssl/certs usr/local/share/ca-certificates && echo mozilla/x.crt > etc/ca-certificates.conf"));
	make_stub("usr/sbin/update-ca-certificates", debian_command);
}

static void drop_tree(void)
{
	CHECK(!strncmp(root, "/tmp/apptap-store.", 18));
	CHECK(!system(text_of("rm -rf '%s'", root)));
}

// What the tree holds but for what our stubs themselves write.
static char *snapshot(void)
{
	return read_text("find . ! -name calls ! -name ca-certificates.crt -printf '%p %y %m %U %l\\n' | sort; "
			 "find . -type f ! -name calls ! -name ca-certificates.crt | sort | xargs -d '\\n' cksum");
}

// --- doing ----------------------------------------------------------------------

static void report(void *context, const struct store_news *news)
{
	static const char letters[] = {[STORE_ADDED] = 'A', [STORE_KEPT] = 'K', [STORE_REMOVED] = 'R', [STORE_GONE] = 'G',
				       [STORE_HELD] = 'H', [STORE_SKIPPED] = 'S', [STORE_FAILED] = 'F'};
	size_t used = strlen(told);

	(void)context;
	CHECK(news->noun[0] && news->place && news->sentence);
	snprintf(told + used, sizeof told - used, "%c %s %s\n", letters[news->done], news->place, news->sentence);
}

static struct store_options options(void)
{
	told[0] = why[0] = '\0';
	return (struct store_options){.folder = text_of("%s/folder", root), .home = text_of("%s/home", root),
				      .uid = getuid(), .gid = getgid(), .system = true, .root = root, .report = report};
}

static int install(pid_t run)
{
	struct store_options asked = options();

	asked.run = run;
	return store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why);
}

static int uninstall(pid_t run)
{
	struct store_options asked = options();

	asked.run = run;
	return store_uninstall(&asked, why, sizeof why);
}

static inline int sweep(void)
{
	struct store_options asked = options();

	return store_sweep(&asked, why, sizeof why);
}

static bool is_there(const char *path)
{
	struct stat status;

	return !lstat(text_of("%s/%s", root, path), &status);
}

static bool was_told(const char *text)
{
	bool found = strstr(told, text);

	if (!found)
		fprintf(stderr, "not told \"%s\" but:\n%s", text, told);
	return found;
}

#define CALLS(text) \
	do { \
		const char *calls_ = read_text("cat calls; : > calls"); \
		if (strcmp(calls_, text)) \
			fprintf(stderr, "called:\n%s", calls_); \
		CHECK(!strcmp(calls_, text)); \
	} while (0)

#endif
