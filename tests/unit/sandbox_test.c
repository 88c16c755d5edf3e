// SPDX-License-Identifier: GPL-3.0-or-later
// sandbox_test - what is left to a process that has confined itself, and to its threads.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tunnel/sandbox.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

// In a child: it ends with the line of the first thing that is not so.
#define IS(condition)                                                                              \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static int in_child(void (*work)(void *), void *of)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		work(of);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool has_landlock(void)
{
	return !SANITIZED && syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void be_nobody(void)
{
	char why[256];

	IS(!sandbox_become(65534, 65534, why, sizeof(why)));
}

// --- the user ---------------------------------------------------------------

static void as_nobody(void *of)
{
	(void)of;
	be_nobody();
	IS(geteuid() == 65534 && getuid() == 65534 && getegid() == 65534);
	IS(setresuid(0, 0, 0) == -1 && setgroups(0, NULL) == -1);
}

static void root_is_given_up(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_int_equal(in_child(as_nobody, NULL), 0);
}

// --- files ------------------------------------------------------------------

struct places { char top[64], readable[96], writable[96], closed[96]; };

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	assert_true(fd >= 0 && write(fd, "x", 1) == 1 && !fchmod(fd, 0666) && !close(fd));
}

static void make_places(struct places *p)
{
	char file[128];

	snprintf(p->top, sizeof(p->top), "/tmp/apptap-sandbox.XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->readable, sizeof(p->readable), "%s/readable", p->top);
	snprintf(p->writable, sizeof(p->writable), "%s/writable", p->top);
	snprintf(p->closed, sizeof(p->closed), "%s/closed", p->top);
	for (char *folder = p->readable; folder <= p->closed; folder += sizeof(p->readable)) {
		assert_true(!mkdir(folder, 0777) && !chmod(folder, 0777));
		snprintf(file, sizeof(file), "%s/file", folder);
		write_file(file);
	}
	assert_int_equal(chmod(p->top, 0777), 0);
}

static void remove_places(const struct places *p)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", p->top);
	assert_int_equal(system(command), 0);
}

static int try_open(const char *folder, const char *name, int flags)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void within_its_files(void *of)
{
	const struct places *p = of;
	const struct sandbox_path paths[] = {
		{p->readable, SANDBOX_READ}, {p->writable, SANDBOX_WRITE}, {"/there/is/none", SANDBOX_READ},
	};
	char why[256], from[160], to[160];
	int before = open("/etc/passwd", O_RDONLY), tcp, rules;
	struct sockaddr_in any = {.sin_family = AF_INET};

	be_nobody();
	rules = sandbox_rules(paths, 3, why, sizeof(why));
	IS(rules >= 0 && !sandbox_files(rules));
	IS(!try_open(p->readable, "file", O_RDONLY));
	IS(try_open(p->readable, "file", O_WRONLY) == EACCES);
	IS(try_open(p->readable, "new", O_WRONLY | O_CREAT) == EACCES);
	IS(!try_open(p->writable, "file", O_RDWR | O_TRUNC));
	IS(!try_open(p->writable, "new", O_WRONLY | O_CREAT));
	snprintf(from, sizeof(from), "%s/new", p->writable);
	snprintf(to, sizeof(to), "%s/newer", p->writable);
	IS(!rename(from, to) && !unlink(to));
	IS(try_open(p->closed, "file", O_RDONLY) == EACCES);
	IS(try_open("/etc", "passwd", O_RDONLY) == EACCES);
	IS(try_open("/proc/self", "mem", O_RDWR) == EACCES);
	// What was open stays so; connections are not the files' matter.
	IS(read(before, from, 4) == 4);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	IS(tcp >= 0 && (!bind(tcp, (struct sockaddr *)&any, sizeof(any)) || errno == EACCES));
}

static void files_are_those_named(void **state)
{
	struct places places;

	(void)state;
	if (!has_landlock() || getuid())
		skip();
	make_places(&places);
	int status = in_child(within_its_files, &places);
	remove_places(&places);
	assert_int_equal(status, 0);
}

// --- calls ------------------------------------------------------------------

static int go[2];

// A thread that was there before.
static void *other_thread(void *of)
{
	char byte;

	(void)of;
	IS(read(go[0], &byte, 1) == 1);
	return (void *)(intptr_t)(socket(AF_PACKET, SOCK_RAW, 0) == -1 ? errno : 0);
}

static int note(void *of)
{
	*(int *)of = 7;
	return 0;
}

static pid_t make(int flags, int *noted)
{
	static char stack[64 << 10] __attribute__((aligned(16)));

	return clone(note, stack + sizeof stack, flags, noted);
}

// A process that shares its memory, and no other.
static void with_a_vfork(void *of)
{
	char why[256];
	int noted = 0, status;
	pid_t child;

	be_nobody();
	IS(!sandbox_calls(of != NULL, why, sizeof(why)));
	IS(make(SIGCHLD, &noted) == -1 && errno == ENOSYS);
	IS(make(CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, &noted) == -1 && errno == ENOSYS);
	child = make(CLONE_VM | CLONE_VFORK | SIGCHLD, &noted);
	if (!of)
		IS(child == -1 && errno == ENOSYS);
	else
		IS(child > 0 && waitpid(child, &status, 0) == child && status == 0 && noted == 7);
}

static void a_vfork_is_allowed_alone(void **state)
{
	(void)state;
	if (SANITIZED || getuid())
		skip();
	assert_int_equal(in_child(with_a_vfork, NULL), 0);
	assert_int_equal(in_child(with_a_vfork, state), 0);
}

static void within_its_calls(void *of)
{
	pthread_t thread;
	char why[256];
	void *answer, *page;
	int pair[2];

	(void)of;
	IS(!pipe(go) && !pthread_create(&thread, NULL, other_thread, NULL));
	be_nobody();
	IS(!sandbox_calls(false, why, sizeof(why)));
	IS(socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
	IS(!pipe2(pair, O_CLOEXEC) && open("/etc/passwd", O_RDONLY) >= 0);
	IS((page = malloc(1 << 22)) != NULL);
	memset(page, 1, 1 << 22);
	free(page);
	IS(getpwuid(0) != NULL);
	IS(write(go[1], "", 1) == 1 && !pthread_join(thread, &answer));
	if (SANITIZED)
		return;
	IS((intptr_t)answer == ENOSYS);
	IS(socket(AF_NETLINK, SOCK_RAW, 0) == -1 && errno == ENOSYS);
	IS(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	IS(syscall(SYS_inotify_init1, 0) == -1 && errno == ENOSYS);
}

static void calls_are_those_needed(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_int_equal(in_child(within_its_calls, NULL), 0);
}

static void starts_a_program(void *of)
{
	char why[256];

	(void)of;
	be_nobody();
	IS(!sandbox_calls(false, why, sizeof(why)));
	execl("/bin/true", "true", (char *)NULL);
}

static void becomes_root(void *of)
{
	char why[256];

	(void)of;
	be_nobody();
	IS(!sandbox_calls(false, why, sizeof(why)));
	IS(!setresuid(0, 0, 0));
}

static void the_wicked_end(void **state)
{
	void (*const works[])(void *) = {starts_a_program, becomes_root};

	(void)state;
	if (SANITIZED || getuid())
		skip();
	for (size_t i = 0; i < 2; i++) {
		int status = in_child(works[i], NULL);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_given_up),
		cmocka_unit_test(files_are_those_named),
		cmocka_unit_test(calls_are_those_needed),
		cmocka_unit_test(a_vfork_is_allowed_alone),
		cmocka_unit_test(the_wicked_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
