// SPDX-License-Identifier: GPL-3.0-or-later
// dialog_test - the lines that Wireshark reads: their form, what they may not hold, the toolbar's messages.

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/dialog.h"
#include "tools/harmless.h"
#include "tools/toolbar.h"

// Every line is "word {key=value}..." and no value has a brace.
static int check_lines(char *text)
{
	regex_t form;
	int count = 0;

	assert_int_equal(regcomp(&form, "^(extcap|interface|control|dlt|arg|value) (\\{[a-z]+=[^{}]*\\})+$",
				 REG_EXTENDED | REG_NOSUB), 0);
	assert_true(*text && text[strlen(text) - 1] == '\n');
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), count++) {
		if (regexec(&form, line, 0, NULL, 0))
			fail_msg("\"%s\"", line);
		for (const unsigned char *c = (unsigned char *)line; *c; c += harmless_character(c))
			assert_int_not_equal(harmless_character(c), 0);
	}
	regfree(&form);
	return count;
}

static void sentences(void **state)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	(void)state;

	dialog_print_interfaces(to);
	dialog_print_link_type(to);
	for (int i = 0; i < DIALOG_INTERFACES; i++)
		dialog_print_fields((enum dialog_interface)i, to);
	fclose(to);
	assert_non_null(strstr(text, "interface {value=apptap-run}{display=apptap: run a program}\n"));
	assert_non_null(strstr(text, "interface {value=apptap-local}{display=apptap: a running program}\n"));
	assert_non_null(strstr(text, "{type=button}{role=logger}"));
	assert_non_null(strstr(text, "dlt {number=276}"));
	assert_non_null(strstr(text, "{call=--command}"));
	assert_non_null(strstr(text, "{call=--process}"));
	assert_non_null(strstr(text, "{type=unsigned}"));
	assert_true(check_lines(text) > 20);
	free(text);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(dialog_interface("apptap-run"), DIALOG_RUN);
	assert_int_equal(dialog_interface("apptap-local"), DIALOG_LOCAL);
	assert_int_equal(dialog_interface("apptap"), -1);
	assert_int_equal(dialog_interface(""), -1);
}

static char *list(const char *search)
{
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_int_equal(dialog_print_processes(search, to), 0);
	fclose(to);
	return text;
}

// A process whose arguments would end a line, a value, and the text's direction.
static void a_hostile_process(void **state)
{
	char child[64], name[] = "zq}{value=0}{arg=0}\n\xe2\x80\xae\xff\x1b[31m \xc3\xa4";
	int fds[2];
	(void)state;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[0], 0);
		close(fds[1]);
		execl("/bin/cat", name, NULL);
		_exit(1);
	}
	snprintf(child, sizeof child, "/proc/%d/cmdline", pid);
	for (;;) {
		FILE *file = fopen(child, "r");
		char first[3] = "";

		assert_non_null(file);
		if (fread(first, 1, 2, file) == 2 && !strcmp(first, "zq")) {
			fclose(file);
			break;
		}
		fclose(file);
		usleep(1000);
	}
	snprintf(child, sizeof child, "{value=%d}", pid);
	char *all = list(NULL), *found = list("ZQ)("), *none = list("no process has this in its row");

	close(fds[1]);
	waitpid(pid, NULL, 0);
	assert_non_null(strstr(all, child));
	assert_non_null(strstr(all, "zq)(value=0)(arg=0)????[31m \xc3\xa4}{default=false}\n"));
	assert_null(strstr(found, child));	// looked for as it is, not as it is shown
	assert_true(check_lines(all) > 1);
	assert_int_equal(check_lines(none), 1);
	free(all);
	free(found);
	free(none);
}

static void searched(void **state)
{
	char self[64];
	(void)state;

	snprintf(self, sizeof self, "{value=%d}", getppid());
	char number[16];

	snprintf(number, sizeof number, "(%d)", getppid());
	char *found = list(number), *empty = list("");

	assert_non_null(strstr(found, self));
	assert_int_equal(check_lines(found), 2);
	assert_true(check_lines(empty) > 1);
	free(found);
	free(empty);
}

static void cut(void **state)
{
	char out[16];
	(void)state;

	strcpy(out, "a");
	harmless_append(out, sizeof out, "bcd", 3);
	assert_string_equal(out, "abcd");
	harmless_append(out, sizeof out, "efgh", 3);
	assert_string_equal(out, "abcdefg...");
	strcpy(out, "");
	harmless_append(out, sizeof out, "\xc3\xa4\xc3\xa4", 3);	// no half characters
	assert_string_equal(out, "\xc3\xa4...");
	strcpy(out, "123456789012345");
	harmless_append(out, sizeof out, "more", 4);
	assert_string_equal(out, "123456789012345");
	strcpy(out, "");
	harmless_append(out, sizeof out, "12345678901234567890", 100);
	assert_string_equal(out, "123456789012...");
}

static void messages(void **state)
{
	uint8_t out[TOOLBAR_MESSAGE];
	char large[2 * TOOLBAR_MESSAGE];
	(void)state;

	assert_int_equal(toolbar_message(out, 3, TOOLBAR_ADD, "hello", 5), 11);
	assert_memory_equal(out, "T\0\0\7\3\2hello", 11);
	memset(large, 'x', sizeof large);
	assert_int_equal(toolbar_message(out, 0, TOOLBAR_SET, large, sizeof large), TOOLBAR_MESSAGE);
	assert_memory_equal(out, "T\0\x0f\xfc\0\1x", 7);	// 4092: number and command are counted
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences), cmocka_unit_test(names), cmocka_unit_test(a_hostile_process),
		cmocka_unit_test(searched), cmocka_unit_test(cut), cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
