// SPDX-License-Identifier: GPL-3.0-or-later
// pcapng_written_test - capinfos, too, reads what any sequence of calls has written.
//
// The fuzz target plays programs of random bytes, the same each time, or those in a folder
// that is named (a corpus), and checks by itself what libpcap reads; capinfos is a program
// and reads all the files at once.

#include <dirent.h>

#include "tests/fuzz/pcapng_fuzz.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { PROGRAMS = 300, PROGRAM_MOST = 4000, FILES_MOST = 100000 };

static char folder[] = "/tmp/pcapng_written_test.XXXXXX";
static const char *corpus;
static uint64_t expected[FILES_MOST];
static int files;

static void name_of(char *name, size_t size, int number)
{
	snprintf(name, size, "%s/%05d", folder, number);
}

static void keep(const uint8_t *bytes, size_t size, uint64_t packets)
{
	char name[64];

	name_of(name, sizeof(name), files);
	FILE *file = fopen(name, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	assert_true(files < FILES_MOST);
	expected[files++] = packets;
}

static void play_random(void)
{
	static uint8_t program[PROGRAM_MOST];
	uint64_t x = 88172645463325252u;	// xorshift

	for (int i = 0; i < PROGRAMS; i++) {
		size_t size = (size_t)(i + 1) * PROGRAM_MOST / PROGRAMS;

		for (size_t at = 0; at < size; at++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			program[at] = x >> 32;
		}
		LLVMFuzzerTestOneInput(program, size);
	}
}

static void play_corpus(void)
{
	static uint8_t program[1 << 20];
	DIR *all = opendir(corpus);
	char name[4096];

	assert_non_null(all);
	for (struct dirent *entry; (entry = readdir(all));) {
		snprintf(name, sizeof(name), "%s/%s", corpus, entry->d_name);
		FILE *file = *entry->d_name == '.' ? NULL : fopen(name, "rb");
		if (!file)
			continue;
		size_t size = fread(program, 1, sizeof(program), file);
		fclose(file);
		LLVMFuzzerTestOneInput(program, size);
	}
	closedir(all);
}

// A line for each file: its name and how many packets.
static void expect_capinfos(void)
{
	char command[256], line[512], name[64];
	int number = 0;

	snprintf(command, sizeof(command), "cd %s && find . -type f | sort | xargs capinfos -T -m -r -c 2>&1", folder);
	FILE *told = popen(command, "r");
	assert_non_null(told);
	while (fgets(line, sizeof(line), told)) {
		unsigned long long packets;

		snprintf(name, sizeof(name), "./%05d,%%llu", number);
		if (sscanf(line, name, &packets) != 1 || packets != expected[number])
			fail_msg("file %d of %llu packets: %s", number, (unsigned long long)expected[number], line);
		number++;
	}
	assert_int_equal(pclose(told), 0);
	assert_int_equal(number, files);
}

static void capinfos_reads_them_all(void **state)
{
	(void)state;
	if (system("command -v capinfos >/dev/null"))
		skip();
	written = keep;
	if (corpus)
		play_corpus();
	else
		play_random();
	assert_true(files > 0);
	expect_capinfos();
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(capinfos_reads_them_all) };

	corpus = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
