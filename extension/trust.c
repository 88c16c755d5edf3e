// SPDX-License-Identifier: GPL-3.0-or-later
// trust - the command, and only it, trusts our authority beside its own roots.
//
// Three ways, because programs find their roots in three ways. The system's
// bundle is laid over with itself and ours, wherever the distribution keeps it,
// and so are Java's truststores. A library that brings roots of its own is
// pointed at that bundle by its variable. OpenSSL also looks in a folder for a
// file named by the authority's hash, and on Debian looks nowhere else: one is
// added there, and as not every kernel can do that, OpenSSL's variable is set as
// well. A file that the user has named in such a variable stays where it is and is
// laid over as well. Chromium and its kin have a database of the user's in a folder
// of its own: inside, it is a copy with ours in it. (Firefox has its own among all
// else in its profile, of which no copy can be made.)
//
// Whatever cannot be read, or does not look like what it should be, is left alone:
// the program then says what it would say of any unknown authority.

#include "extension/trust.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extension/bundle.h"
#include "extension/errand.h"
#include "extension/keystore.h"
#include "extension/place.h"
#include "extension/subject.h"

enum { OVERLAYS_MAX = 128, DATABASES_MAX = 8 };

// The first that exists is what variables point at.
static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",			// Debian, Arch, Gentoo
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",	// Fedora
	"/etc/pki/tls/certs/ca-bundle.crt",			// RHEL
	"/etc/ssl/ca-bundle.pem",				// openSUSE
	"/var/lib/ca-certificates/ca-bundle.pem",
	"/etc/ssl/cert.pem",					// Alpine
	"/etc/pki/tls/cert.pem",
	"/usr/local/share/certs/ca-root-nss.crt",
	"/usr/lib/ssl/cert.pem",
};

#define SYSTEM_FOLDERS "/etc/ssl/certs:/etc/pki/tls/certs"

static const char *const java_stores[] = {
	"/etc/ssl/certs/java/cacerts",
	"/etc/pki/ca-trust/extracted/java/cacerts",
	"/etc/pki/java/cacerts",
	"/var/lib/ca-certificates/java-cacerts",
	"/usr/lib/jvm/*/lib/security/cacerts",
	"/usr/lib/jvm/*/jre/lib/security/cacerts",
};

// `always`: set where the user has not. The others' programs read the system's bundle
// or one of these too, and are only followed where the user has set them.
static const struct variable {
	const char *name;
	bool always;
} variables[] = {
	{"SSL_CERT_FILE", true},		// OpenSSL, so Python, Ruby; Go; Rust
	{"CURL_CA_BUNDLE", true},
	{"REQUESTS_CA_BUNDLE", true},		// Python requests, pip
	{"NODE_EXTRA_CA_CERTS", true},
	{"DENO_CERT", true},
	{"GIT_SSL_CAINFO", true},
	{"CARGO_HTTP_CAINFO", true},
	{"AWS_CA_BUNDLE", true},
	{"PERL_LWP_SSL_CA_FILE", true},
	{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", true},
	{"HTTPLIB2_CA_CERTS", true},
	{"PIP_CERT", false},
	{"NIX_SSL_CERT_FILE", false},
	{"HTTPS_CA_FILE", false},		// Perl's Crypt::SSLeay
	{"BUNDLE_SSL_CA_CERT", false},
	{"HEX_CACERTS_PATH", false},
	{"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", false},
	{"ELECTRON_EXTRA_CA_CERTS", false},
};
enum { VARIABLES = sizeof variables / sizeof *variables };

struct trust {
	struct launch_overlay overlays[OVERLAYS_MAX];
	dev_t devices[OVERLAYS_MAX];
	ino_t inodes[OVERLAYS_MAX];
	size_t overlay_count;
	struct launch_overlay file;	// where there is no system bundle
	size_t file_count;
	char *databases[DATABASES_MAX];
	size_t database_count;
	char *authority;	// a copy of `pem`
	char lacks[256];
	char *folder;
	char **environment;		// the strings added[] are ours
	char *added[VARIABLES];
	size_t added_count;
	const char *bundle;		// what variables point at
	char own_bundle[PATH_MAX];
	struct bundle roots;		// the system's, without ours
	const char *pem;
	size_t pem_size;
	const void *der;
	size_t der_size;
};

static const char *value_of(char *const *environment, const char *name)
{
	size_t size = strlen(name);

	for (; *environment; environment++)
		if (!strncmp(*environment, name, size) && (*environment)[size] == '=')
			return *environment + size + 1;
	return NULL;
}

// --- overlays -------------------------------------------------------------------

// New: a regular file that no overlay covers yet, under whatever name.
static bool is_new(const struct trust *trust, const char *path, struct stat *status)
{
	if (stat(path, status) || !S_ISREG(status->st_mode))
		return false;
	for (size_t i = 0; i < trust->overlay_count; i++)
		if (trust->inodes[i] == status->st_ino && trust->devices[i] == status->st_dev)
			return false;
	return trust->overlay_count < OVERLAYS_MAX;
}

// Takes the bytes, also when it fails.
static int add_overlay(struct trust *trust, const char *path, const struct stat *status, struct bundle *bytes)
{
	struct launch_overlay *overlay = &trust->overlays[trust->overlay_count];

	overlay->path = strdup(path);
	if (!overlay->path) {
		bundle_free(bytes);
		return -ENOMEM;
	}
	overlay->bytes = bytes->bytes;
	overlay->size = bytes->size;
	trust->devices[trust->overlay_count] = status->st_dev;
	trust->inodes[trust->overlay_count++] = status->st_ino;
	return 0;
}

static int overlay_bundle(struct trust *trust, const char *path)
{
	struct bundle bundle;
	struct stat status;
	int error;

	if (!is_new(trust, path, &status) || bundle_read(&bundle, path))
		return 0;
	if (!bundle_is_pem(&bundle)) {
		bundle_free(&bundle);
		return 0;
	}
	if (!trust->roots.size && (error = bundle_append(&trust->roots, bundle.bytes, bundle.size))) {
		bundle_free(&bundle);
		return error;
	}
	error = bundle_append_pem(&bundle, trust->pem, trust->pem_size);
	if (error) {
		bundle_free(&bundle);
		return error;
	}
	return add_overlay(trust, path, &status, &bundle);
}

static int overlay_system(struct trust *trust)
{
	for (size_t i = 0; i < sizeof system_bundles / sizeof *system_bundles; i++) {
		size_t before = trust->overlay_count;
		int error = overlay_bundle(trust, system_bundles[i]);

		if (error)
			return error;
		if (!trust->bundle && trust->overlay_count > before)
			trust->bundle = system_bundles[i];
	}
	return 0;
}

static int overlay_store(struct trust *trust, const char *path)
{
	struct bundle store, extended;
	struct stat status;
	int error;

	if (!is_new(trust, path, &status) || bundle_read(&store, path))
		return 0;
	error = keystore_extend(&extended, &store, &trust->roots, trust->der, trust->der_size);
	bundle_free(&store);
	if (error)
		return error == -ENOMEM ? error : 0;
	return add_overlay(trust, path, &status, &extended);
}

static int overlay_stores(struct trust *trust, const char *pattern)
{
	glob_t found;
	int error = 0;

	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !error; i++)
		error = overlay_store(trust, found.gl_pathv[i]);
	globfree(&found);
	return error;
}

static int overlay_java_home(struct trust *trust, const char *home)
{
	static const char *const below[] = {"lib/security/cacerts", "jre/lib/security/cacerts"};
	char path[PATH_MAX];
	int error = 0;

	for (size_t i = 0; i < 2 && !error; i++)
		if (snprintf(path, sizeof path, "%s/%s", home, below[i]) < (int)sizeof path)
			error = overlay_store(trust, path);
	return error;
}

// The home of the `java` in PATH: two up from where its links lead.
static int overlay_java_in_path(struct trust *trust, const char *search)
{
	while (search && *search) {
		size_t size = strcspn(search, ":");
		char path[PATH_MAX], real[PATH_MAX];

		if (snprintf(path, sizeof path, "%.*s/java", (int)size, search) < (int)sizeof path &&
		    size && !access(path, X_OK) && realpath(path, real)) {
			for (int up = 0; up < 2; up++)
				if (strrchr(real, '/'))
					*strrchr(real, '/') = '\0';
			return overlay_java_home(trust, real);
		}
		search += size;
		search += *search == ':';
	}
	return 0;
}

static int overlay_java(struct trust *trust, char *const *environment)
{
	const char *home = value_of(environment, "JAVA_HOME");
	int error = 0;

	for (size_t i = 0; i < sizeof java_stores / sizeof *java_stores && !error; i++)
		error = overlay_stores(trust, java_stores[i]);
	if (!error && home && *home)
		error = overlay_java_home(trust, home);
	return error ? error : overlay_java_in_path(trust, value_of(environment, "PATH"));
}

// --- folders ----------------------------------------------------------------------

// The first free of HASH.0, HASH.1, ...: subjects may collide.
static bool name_hashed(char *path, size_t size, const char *folder, size_t folder_size, uint32_t hash)
{
	for (int i = 0; i < 10; i++) {
		int n = snprintf(path, size, "%.*s/%08x.%d", (int)folder_size, folder, hash, i);

		if (n >= (int)size)
			return false;
		if (access(path, F_OK))
			return true;
	}
	return false;
}

// Only a folder that holds such files is looked at by anyone.
static bool is_hashed(const char *folder, size_t size)
{
	char pattern[PATH_MAX];
	glob_t found;

	if (!size || snprintf(pattern, sizeof pattern, "%.*s/????????.0", (int)size, folder) >=
		     (int)sizeof pattern || glob(pattern, GLOB_NOSORT, NULL, &found))
		return false;
	globfree(&found);
	return true;
}

static int add_to_folders(struct trust *trust, const char *folders)
{
	const struct stat nothing = {0};
	char path[PATH_MAX];
	uint32_t hash;

	if (subject_hash(trust->der, trust->der_size, &hash))
		return 0;
	while (*folders) {
		size_t size = strcspn(folders, ":");
		struct bundle file = {0};
		int error;

		if (is_hashed(folders, size) && name_hashed(path, sizeof path, folders, size, hash) &&
		    trust->overlay_count < OVERLAYS_MAX) {
			error = bundle_append(&file, trust->pem, trust->pem_size);
			if (error || (error = add_overlay(trust, path, &nothing, &file)))
				return error;
		}
		folders += size;
		folders += *folders == ':';
	}
	return 0;
}

static int overlay_folders(struct trust *trust, char *const *environment)
{
	const char *users = value_of(environment, "SSL_CERT_DIR");
	int error = add_to_folders(trust, SYSTEM_FOLDERS);

	if (!error && users && !strstr(SYSTEM_FOLDERS, users))
		error = add_to_folders(trust, users);
	return error;
}

// --- environment ----------------------------------------------------------------

// Without a system bundle, a bundle of ours alone in the folder.
static int make_own_bundle(struct trust *trust)
{
	if (snprintf(trust->own_bundle, sizeof trust->own_bundle, "%s/ca.pem", trust->folder) >=
	    (int)sizeof trust->own_bundle)
		return -ENAMETOOLONG;
	trust->file.path = strdup("ca.pem");
	trust->file.bytes = malloc(trust->pem_size);
	if (!trust->file.path || !trust->file.bytes)
		return -ENOMEM;
	memcpy(trust->file.bytes, trust->pem, trust->pem_size);
	trust->file.size = trust->pem_size;
	trust->file_count = 1;
	trust->bundle = trust->own_bundle;
	return 0;
}

static int set_variable(struct trust *trust, const char *name, size_t at)
{
	char *text;

	if (asprintf(&text, "%s=%s", name, trust->bundle) < 0)
		return -ENOMEM;
	trust->added[trust->added_count++] = text;
	trust->environment[at] = text;
	return 0;
}

static int set_environment(struct trust *trust, char *const *environment)
{
	size_t count = 0;
	int error = 0;

	while (environment[count])
		count++;
	trust->environment = calloc(count + VARIABLES + 1, sizeof *trust->environment);
	if (!trust->environment)
		return -ENOMEM;
	memcpy(trust->environment, environment, count * sizeof *environment);
	for (int i = 0; i < VARIABLES && !error; i++) {
		const char *value = value_of(environment, variables[i].name);

		if (value && *value)
			error = overlay_bundle(trust, value);
		else if (!value && variables[i].always)
			error = set_variable(trust, variables[i].name, count++);
	}
	return error;
}

// --- databases ------------------------------------------------------------------

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && !strcmp(text + size - end_size, end);
}

static void found_database(void *context, const char *place)
{
	struct trust *trust = context;

	if (ends_with(place, "/nssdb") && trust->database_count < DATABASES_MAX &&
	    (trust->databases[trust->database_count] = strdup(place)))
		trust->database_count++;
}

static int double_databases(struct trust *trust, char *const *environment)
{
	struct place_world world = {.root = "", .home = value_of(environment, "HOME")};
	char program[ERRAND_PROGRAM];

	place_database.find(&world, NULL, found_database, trust);
	if (trust->database_count && errand_find(program, "", "certutil")) {
		snprintf(trust->lacks, sizeof trust->lacks, "%.100s is left as it is, so that Chromium trusts what it did: "
			 "certutil is not there (install %s)", trust->databases[0], place_certutil_package(&world));
		while (trust->database_count)
			free(trust->databases[--trust->database_count]);
	}
	trust->authority = malloc(trust->pem_size);
	if (!trust->authority)
		return -ENOMEM;
	memcpy(trust->authority, trust->pem, trust->pem_size);
	return 0;
}

// --- the door -------------------------------------------------------------------

static int set_up(struct trust *trust, const char *folder, char *const *environment)
{
	int error;

	trust->folder = strdup(folder);
	if (!trust->folder)
		return -ENOMEM;
	error = overlay_system(trust);
	if (!error && !trust->bundle)
		error = make_own_bundle(trust);
	if (!error)
		error = overlay_folders(trust, environment);
	if (!error)
		error = overlay_java(trust, environment);
	if (!error)
		error = double_databases(trust, environment);
	return error ? error : set_environment(trust, environment);
}

int trust_open(struct trust **out, const char *pem, size_t pem_size, const void *der, size_t der_size,
	       const char *folder, char *const *environment, char *why, size_t why_size)
{
	struct trust *trust = calloc(1, sizeof *trust);
	int error = -ENOMEM;

	*out = NULL;
	if (trust) {
		trust->pem = pem;
		trust->pem_size = pem_size;
		trust->der = der;
		trust->der_size = der_size;
		error = set_up(trust, folder, environment);
	}
	if (error) {
		snprintf(why, why_size, "cannot prepare the command's trust: %s", strerror(-error));
		trust_close(trust);
		return error;
	}
	// The caller's; not for later.
	trust->pem = NULL;
	trust->der = NULL;
	*out = trust;
	return 0;
}

void trust_apply(const struct trust *trust, struct launch_options *options)
{
	options->overlays = trust->overlays;
	options->overlay_count = trust->overlay_count;
	options->folder = trust->file_count ? trust->folder : NULL;
	options->files = &trust->file;
	options->file_count = trust->file_count;
	options->environment = trust->environment;
	options->databases = trust->databases;
	options->database_count = trust->database_count;
	options->authority = trust->authority;
	options->authority_size = trust->pem_size;
}

const char *trust_lacks(const struct trust *trust)
{
	return trust->lacks[0] ? trust->lacks : NULL;
}

void trust_close(struct trust *trust)
{
	if (!trust)
		return;
	for (size_t i = 0; i < trust->overlay_count; i++) {
		free(trust->overlays[i].path);
		free(trust->overlays[i].bytes);
	}
	for (size_t i = 0; i < trust->added_count; i++)
		free(trust->added[i]);
	for (size_t i = 0; i < trust->database_count; i++)
		free(trust->databases[i]);
	free(trust->authority);
	free(trust->file.path);
	free(trust->file.bytes);
	free(trust->environment);
	free(trust->folder);
	bundle_free(&trust->roots);
	free(trust);
}
