// SPDX-License-Identifier: GPL-3.0-or-later
// holder_test - which process holds a socket, whatever was guessed.

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "extension/holder.h"
#include "extension/process.h"

enum { CHILDREN = 70 };		// more than are remembered

struct child {
	pid_t pid;
	int to, from;
	struct process process;	// the mark that the caller puts on its holder
};

// Opens ('o') or closes ('c') a socket at that descriptor, and says its inode.
struct order {
	char what;
	int fd;
};

static void obey(int in, int out)
{
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(in, &order, sizeof order) == sizeof order) {
		struct stat status = {0};
		int fd;

		if (order.what == 'c') {
			close(order.fd);
		} else {
			fd = socket(AF_INET, SOCK_STREAM, 0);
			if (fd != order.fd) {
				dup2(fd, order.fd);
				close(fd);
			}
			fstat(order.fd, &status);
		}
		uint32_t inode = (uint32_t)status.st_ino;
		if (write(out, &inode, sizeof inode) != sizeof inode)
			break;
	}
	_exit(0);
}

static void begin(struct child *child)
{
	int down[2], up[2];

	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	*child = (struct child){.pid = fork()};
	if (!child->pid)
		obey(down[0], up[1]);
	close(down[0]);
	close(up[1]);
	child->to = down[1];
	child->from = up[0];
}

static void end(struct child *child)
{
	close(child->to);
	close(child->from);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

static uint32_t ask(struct child *child, char what, int fd)
{
	struct order order = {what, fd};
	uint32_t inode;

	assert_int_equal(write(child->to, &order, sizeof order), sizeof order);
	assert_int_equal(read(child->from, &inode, sizeof inode), sizeof inode);
	return inode;
}

static void expect(struct holders *all, uint32_t inode, struct child *child, int fd)
{
	struct holder *holder = holders_find(all, inode);

	assert_non_null(holder);
	assert_int_equal(holder->pid, child->pid);
	assert_int_equal(holder->last, fd);
	holder->process = &child->process;
}

static void one_is_found_wherever_it_opens(void **state)
{
	struct holders *all = holders_open(getpid());
	struct child child;

	(void)state;
	begin(&child);
	uint32_t first = ask(&child, 'o', 300), second = ask(&child, 'o', 900);
	expect(all, first, &child, 300);
	expect(all, second, &child, 900);
	expect(all, first, &child, 300);
	ask(&child, 'c', 300);
	assert_null(holders_find(all, first));
	holders_closed(all, &child.process, 300);
	expect(all, ask(&child, 'o', 300), &child, 300);
	// What was said to be closed is not, or is nothing that is counted.
	holders_closed(all, &child.process, 300);
	holders_closed(all, &child.process, 100000);
	holders_closed(all, &child.process, -1);
	expect(all, ask(&child, 'o', 20), &child, 20);
	expect(all, second, &child, 900);
	end(&child);
	assert_null(holders_find(all, second));
	holders_close(all);
}

static void many_take_turns(void **state)
{
	struct holders *all = holders_open(getpid());
	struct child child[CHILDREN];
	uint32_t inode[CHILDREN];

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		begin(&child[i]);
		inode[i] = ask(&child[i], 'o', 200);
	}
	for (int i = 0; i < CHILDREN; i++)
		expect(all, inode[i], &child[i], 200);
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < CHILDREN; i += 1 + turn) {
			ask(&child[i], 'c', 200);
			holders_closed(all, &child[(i + turn) % CHILDREN].process, 200);
			expect(all, ask(&child[i], 'o', 200 - turn), &child[i], 200 - turn);
			ask(&child[i], 'o', 200);
		}
	}
	for (int i = 0; i < CHILDREN; i++)
		end(&child[i]);
	assert_null(holders_find(all, inode[0]));
	holders_close(all);
}

static void a_new_one_is_found_among_the_gone(void **state)
{
	struct holders *all = holders_open(getpid());
	struct child child;

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		begin(&child);
		expect(all, ask(&child, 'o', 200), &child, 200);
		holders_closed(all, &child.process, 200);
		end(&child);
	}
	holders_close(all);
}

static void only_descendants_count(void **state)
{
	struct child one, other;
	struct holders *all;

	(void)state;
	begin(&one);
	begin(&other);
	all = holders_open(one.pid);
	assert_null(holders_find(all, ask(&other, 'o', 200)));
	end(&one);
	end(&other);
	holders_close(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_is_found_wherever_it_opens),
		cmocka_unit_test(many_take_turns),
		cmocka_unit_test(a_new_one_is_found_among_the_gone),
		cmocka_unit_test(only_descendants_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
