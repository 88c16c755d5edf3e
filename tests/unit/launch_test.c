// SPDX-License-Identifier: GPL-3.0-or-later
// launch_test - a command in its namespace: what it sees, and what is left of it.

#include "tests/unit/inside.h"

#include <setjmp.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <cmocka.h>

static char home[] = "/tmp/apptap-launch-self-XXXXXX", self[128];	// this program, which also plays the command

// --- the dump: PROGRAM dump ------------------------------------------------------

static void dump_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		char link[32], what[256];
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n = readlink(link, what, sizeof what - 1);
		printf("fd %d flags %d %.*s\n", fd, fcntl(fd, F_GETFD), (int)(n > 0 ? n : 0), what);
	}
}

static void dump_status(void)
{
	static const char *const kept[] = {"Umask", "Uid", "Gid", "Groups", "SigPnd", "ShdPnd", "SigBlk",
		"SigIgn", "SigCgt", "Cap", "NoNewPrivs", "Seccomp", "Cpus_allowed_list", "Threads"};
	char line[512];
	FILE *file = fopen("/proc/self/status", "re");

	while (fgets(line, sizeof line, file))
		for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
			if (!strncmp(line, kept[i], strlen(kept[i])))
				printf("%s", line);
	fclose(file);
}

static int dump(void)
{
	char folder[4096], oom[16] = "";
	int fd;

	dump_descriptors();
	dump_status();
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit limit;

		getrlimit(i, &limit);
		printf("limit %d %llu %llu\n", i, (unsigned long long)limit.rlim_cur,
		       (unsigned long long)limit.rlim_max);
	}
	fd = open("/proc/self/oom_score_adj", O_RDONLY);
	CHECK(read(fd, oom, sizeof oom - 1) > 0);
	printf("group %d session %d nice %d oom %s", getpgrp(), getsid(0), getpriority(PRIO_PROCESS, 0), oom);
	printf("cwd %s dumpable %d\n", getcwd(folder, sizeof folder), prctl(PR_GET_DUMPABLE));
	for (char **variable = environ; *variable; variable++)
		printf("%s\n", *variable);
	return 0;
}

// Runs self's dump into a new file, launched or plainly; the text.
static char *take_dump(bool launched)
{
	char *argv[] = {self, "dump", NULL};
	char *text = calloc(1, 65536);
	int file = memfd_create("dump", MFD_CLOEXEC), saved = fcntl(1, F_DUPFD_CLOEXEC, 100);

	fflush(stdout);
	dup2(file, 1);
	if (launched) {
		struct launch *launch = inside_open(argv);

		CHECK(inside_run(launch) == 0);
		launch_close(launch, false);
	} else {
		pid_t pid = fork();

		if (pid == 0) {
			execv(self, argv);
			_exit(1);
		}
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	dup2(saved, 1);
	close(saved);
	CHECK(pread(file, text, 65535, 0) > 100);
	close(file);
	return text;
}

static void body_surroundings(void)
{
	struct rlimit limit = {100 << 20, 100 << 20};
	sigset_t blocked;
	char *plain, *launched;
	int odd = open("/dev/null", O_RDONLY);

	dup2(odd, 77);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGRTMIN + 2, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	umask(0137);
	CHECK(!chdir("/usr/lib"));
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK(nice(3) == 3);
	prctl(PR_CAPBSET_DROP, 25);
	setenv("APPTAP_TEST", "a b\nc", 1);
	plain = take_dump(false);
	launched = take_dump(true);
	if (strcmp(plain, launched))
		fprintf(stderr, "--- plain\n%s--- launched\n%s", plain, launched);
	CHECK(!strcmp(plain, launched));
	CHECK(strstr(plain, "fd 77 flags 0 /dev/null"));
	free(plain);
	free(launched);
}

// --- how it ends -----------------------------------------------------------------

static int status_of(const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct launch *launch = inside_open(argv);
	int status = inside_run(launch);
	struct launch_news news = inside_pump(launch, NULL);

	CHECK(news.event == LAUNCH_EMPTY);
	launch_close(launch, false);
	return status;
}

static void body_status(void)
{
	int status;

	CHECK(status_of("exit 0") == 0);
	status = status_of("exit 3");
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	status = status_of("kill -9 $$");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == 9);
}

static void body_exec_fails(void)
{
	char *none[] = {"no-such-command-here", NULL}, *folder[] = {"/usr", NULL};
	struct launch *launch;

	// A folder in PATH that may not be searched would make it EACCES: execvp(3).
	setenv("PATH", "/usr/bin:/bin", 1);
	launch = inside_open(none);
	CHECK(launch_start(launch) == -ENOENT);
	launch_close(launch, false);
	launch = inside_open(folder);
	CHECK(launch_start(launch) == -EACCES);
	launch_close(launch, false);
}

static void body_daemon(void)
{
	int gate[2];
	char script[64];
	char *argv[] = {"sh", "-c", script, NULL};
	struct launch *launch;
	struct launch_news news;

	// The daemon reads a pipe that ends when we say so.
	CHECK(!pipe(gate));
	fcntl(gate[1], F_SETFD, FD_CLOEXEC);
	snprintf(script, sizeof script, "(setsid cat <&%d >/dev/null &) ; exit 7", gate[0]);
	launch = inside_open(argv);
	CHECK(launch_start(launch) == 0);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_ENDED && WEXITSTATUS(news.status) == 7);
	CHECK(news.left >= 1 && news.left_name[0]);
	CHECK(launch_signal(launch, SIGTERM) == -ESRCH);
	CHECK(launch_read(launch, &news) == 0 && news.event == LAUNCH_NOTHING);
	close(gate[1]);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_EMPTY);
	launch_close(launch, false);
}

static void body_signal(void)
{
	char *argv[] = {"sleep", "100", NULL};
	struct launch *launch = inside_open(argv);
	struct launch_news news;

	CHECK(launch_start(launch) == 0);
	CHECK(launch_signal(launch, SIGTERM) == 0);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_ENDED && WIFSIGNALED(news.status) && WTERMSIG(news.status) == SIGTERM);
	launch_close(launch, false);
}

// A pipe's reader sees its end when the command ends: nobody else holds it.
static void body_pipe_ends(void)
{
	char *argv[] = {"sh", "-c", "exec 1>&-; exec sleep 100", NULL}, byte;
	int ends[2], saved = fcntl(1, F_DUPFD_CLOEXEC, 100);
	struct launch *launch;

	CHECK(!pipe2(ends, O_CLOEXEC));
	fflush(stdout);
	dup2(ends[1], 1);
	launch = inside_open(argv);
	CHECK(launch_start(launch) == 0);
	dup2(saved, 1);
	close(saved);
	close(ends[1]);
	CHECK(read(ends[0], &byte, 1) == 0);
	launch_close(launch, false);
}

// --- nothing is left ---------------------------------------------------------------

// Those in the namespace, after a signal to each; 0: none is sent.
static int signal_in(ino_t namespace, int signal)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(proc))) {
		struct stat status;
		char path[300];

		snprintf(path, sizeof path, "/proc/%s/ns/net", entry->d_name);
		if (atoi(entry->d_name) <= 0 || stat(path, &status) || status.st_ino != namespace)
			continue;
		kill(atoi(entry->d_name), signal);
		count++;
	}
	closedir(proc);
	return count;
}

static int count_in(ino_t namespace)
{
	return signal_in(namespace, 0);
}

static ino_t namespace_of(pid_t pid)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	CHECK(!stat(path, &status));
	return status.st_ino;
}

static bool comes_to(ino_t namespace, int wanted)
{
	for (int i = 0; i < 3000; i++) {
		if (count_in(namespace) == wanted)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

static size_t count_mounts(void)
{
	char text[4096];
	size_t lines = 0;
	ssize_t n;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	while ((n = read(fd, text, sizeof text)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(fd);
	return lines;
}

static char *tree[] = {"sh", "-c", "sleep 100 & (setsid sh -c 'trap \"\" TERM HUP; sleep 100; true' &)"
				   " ; sleep 100 ; true", NULL};
enum { TREE = 6 };	// with the keeper; two of the shells wait for a sleep

static void body_parent_killed(void)
{
	size_t mounts = count_mounts();
	int report[2];
	ino_t namespace;
	pid_t pid;

	CHECK(!pipe2(report, O_CLOEXEC));
	pid = fork();
	if (pid == 0) {
		struct launch *launch = inside_open(tree);

		CHECK(launch_start(launch) == 0);
		namespace = namespace_of(launch_keeper(launch));
		CHECK(write(report[1], &namespace, sizeof namespace) == sizeof namespace);
		pause();
	}
	CHECK(read(report[0], &namespace, sizeof namespace) == sizeof namespace);
	CHECK(comes_to(namespace, TREE));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(comes_to(namespace, 0));
	CHECK(count_mounts() == mounts);
}

static void body_keeper_killed(void)
{
	struct launch *launch = inside_open(tree);
	ino_t namespace = namespace_of(launch_keeper(launch));
	struct launch_news news;

	CHECK(launch_start(launch) == 0);
	CHECK(comes_to(namespace, TREE));
	kill(launch_keeper(launch), SIGKILL);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_LOST);
	CHECK(launch_read(launch, &news) == 0 && news.event == LAUNCH_NOTHING);
	launch_close(launch, false);
	CHECK(count_in(namespace) == 0);
}

static void body_closed(void)
{
	struct launch *launch = inside_open(tree);
	ino_t namespace = namespace_of(launch_keeper(launch));

	CHECK(launch_start(launch) == 0);
	CHECK(comes_to(namespace, TREE));
	launch_close(launch, false);
	CHECK(count_in(namespace) == 0);
	launch_close(NULL, false);
}

static void body_never_started(void)
{
	struct launch *launch = inside_open(tree);
	ino_t namespace = namespace_of(launch_keeper(launch));

	launch_close(launch, false);
	CHECK(count_in(namespace) == 0);
}

static void body_left(void)
{
	char *argv[] = {"sh", "-c", "sleep 100 & exit 0", NULL};
	struct launch *launch = inside_open(argv);
	ino_t namespace = namespace_of(launch_keeper(launch));
	struct launch_news news;

	CHECK(launch_start(launch) == 0);
	news = inside_pump(launch, NULL);
	CHECK(news.event == LAUNCH_ENDED && news.left == 1 && news.left_name[0]);
	launch_close(launch, true);
	CHECK(count_in(namespace) == 1);
	// It is ours by now, as we are a subreaper.
	CHECK(signal_in(namespace, SIGKILL) == 1);
	CHECK(wait(NULL) > 0);
}

// --- overlays ----------------------------------------------------------------------

static char folder[] = "/tmp/apptap-launch-test-XXXXXX";

static void body_overlay(void)
{
	char script[512], link[64];
	char *argv[] = {"sh", "-c", script, NULL};
	struct launch_overlay overlays[] = {{"/etc/hostname", "over\n", 5},
					    {"/no/such/file", "x", 1},
					    {link, "linked\n", 7}};
	struct launch_overlay file = {"one.pem", "file\n", 5};
	struct launch_options options = {.argv = argv, .environment = environ, .mtu = 1500,
		.overlays = overlays, .overlay_count = 3, .folder = folder, .files = &file, .file_count = 1};
	struct launch *launch;
	char why[512];

	snprintf(link, sizeof link, "/tmp/apptap-launch-test-link-%d", getpid());
	CHECK(!symlink("/etc/nsswitch.conf", link));
	snprintf(script, sizeof script,
		 "[ \"$(cat /etc/hostname)\" = over ] && [ \"$(cat %s/one.pem)\" = file ] && "
		 "[ \"$(cat /etc/nsswitch.conf)\" = linked ] && [ -L %s ] && ! [ -e /no ] && "
		 "! sh -c ': >> /etc/hostname' 2>/dev/null && ! sh -c ': > %s/new' 2>/dev/null && "
		 ": > %s-new && rm %s-new", folder, link, folder, link, link);
	CHECK(!launch_open(&launch, &options, why, sizeof why));
	CHECK(inside_run(launch) == 0);
	launch_close(launch, false);
	unlink(link);
}

// --- the tunnel ----------------------------------------------------------------------

static int packets;
static void count_packet(struct launch *launch, const uint8_t *ip, size_t size)
{
	(void)launch;
	(void)ip;
	CHECK(size > 20);
	packets++;
}

static void talk(const char *kind, const char *bound, const char *to)
{
	char *argv[] = {self, "talk", (char *)kind, (char *)bound, (char *)to, NULL};
	struct launch *launch = inside_open(argv);
	struct launch_news news;

	packets = 0;
	CHECK(launch_start(launch) == 0);
	news = inside_pump(launch, count_packet);
	if (news.event != LAUNCH_ENDED || news.status)
		fprintf(stderr, "%s to %s at %s: %d\n", kind, to, bound, news.status);
	CHECK(news.event == LAUNCH_ENDED && news.status == 0);
	CHECK(packets >= (!strcmp(kind, "tcp") ? 5 : 1));
	launch_close(launch, false);
}

static void body_tunnel(void)
{
	talk("tcp", "127.0.0.1", "127.0.0.1");
	talk("tcp", "0.0.0.0", "127.0.0.9");
	talk("tcp", "0.0.0.0", "0.0.0.0");
	talk("tcp", "::", "::ffff:127.0.0.1");
	talk("udp", "127.0.0.1", "127.0.0.1");
}

static void body_loopback6(void)
{
	char *argv[] = {"true", NULL};
	struct launch *launch = inside_open(argv);
	bool works = launch_loopback6(launch) >= 0;

	launch_close(launch, false);
	if (!works)
		return;
	talk("tcp", "::1", "::1");
	talk("tcp", "::", "::");
	talk("udp", "::1", "::1");
	talk("udp", "::", "::1");
}

// --- each as root and as an ordinary user ------------------------------------------------

static void both(void (*body)(void))
{
	if (getuid())
		skip();
	assert_true(inside_passes(body, false));
	assert_true(inside_passes(body, true));
}

#define BOTH(name) static void test_##name(void **state) { (void)state; both(body_##name); }
BOTH(surroundings)
BOTH(status)
BOTH(exec_fails)
BOTH(daemon)
BOTH(signal)
BOTH(pipe_ends)
BOTH(parent_killed)
BOTH(keeper_killed)
BOTH(closed)
BOTH(never_started)
BOTH(left)
BOTH(overlay)
BOTH(tunnel)
BOTH(loopback6)

static int set_up(void **state)
{
	if (!mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	return inside_copy(home, self, sizeof self) ? -1 : inside_set_up(state);
}

static int tear_down(void **state)
{
	rmdir(folder);
	unlink(self);
	rmdir(home);
	return inside_tear_down(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_surroundings),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_exec_fails),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_pipe_ends),
		cmocka_unit_test(test_parent_killed),
		cmocka_unit_test(test_keeper_killed),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_never_started),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_loopback6),
	};

	if (argc > 1 && !strcmp(argv[1], "dump"))
		return dump();
	if (argc > 4 && !strcmp(argv[1], "talk"))
		return inside_talk(argv[2], argv[3], argv[4]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
