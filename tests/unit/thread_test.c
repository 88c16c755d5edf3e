// SPDX-License-Identifier: GPL-3.0-or-later
// thread_test - a thread is prepared before anything else goes on, or is not there.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcap/thread.h"

struct work { int answer; atomic_int prepared, run; pthread_t in; };

static int prepare(void *of)
{
	struct work *work = of;

	work->in = pthread_self();
	// Long enough for a starter that does not wait to be gone.
	usleep(20000);
	work->prepared = 1;
	return work->answer;
}

static void *run(void *of)
{
	struct work *work = of;
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	work->run = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGPIPE) &&
		    pthread_equal(work->in, pthread_self());
	return NULL;
}

static void it_is_prepared_first(void **state)
{
	struct work work = {0};
	pthread_t thread;
	sigset_t blocked;

	(void)state;
	assert_int_equal(thread_start(&thread, "test", prepare, &work, run, &work), 0);
	assert_int_equal(work.prepared, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(work.run, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

static void what_cannot_be_prepared_does_not_run(void **state)
{
	struct work work = {.answer = -EACCES};
	pthread_t thread;

	(void)state;
	assert_int_equal(thread_start(&thread, "test", prepare, &work, run, &work), -EACCES);
	assert_int_equal(work.prepared, 1);
	assert_int_equal(work.run, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_prepared_first),
		cmocka_unit_test(what_cannot_be_prepared_does_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
