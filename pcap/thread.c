// SPDX-License-Identifier: GPL-3.0-or-later
// thread - a thread of the capture's own.

#include "pcap/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>

// Lives in the starter's frame, until the thread has posted.
struct beginning {
	const char *name;
	int (*in_thread)(void *of);
	void *of;
	void *(*run)(void *context);
	void *context;
	int error;
	sem_t over;
};

static void *begin(void *argument)
{
	struct beginning *beginning = argument;
	void *(*run)(void *context) = beginning->run;
	void *context = beginning->context;

	pthread_setname_np(pthread_self(), beginning->name);
	int error = beginning->in_thread ? beginning->in_thread(beginning->of) : 0;
	beginning->error = error;
	sem_post(&beginning->over);
	return error ? NULL : run(context);
}

// The thread takes its mask from its starter: a signal must reach that one, and SIGPIPE
// nobody.
int thread_start(pthread_t *out, const char *name, int (*in_thread)(void *of), void *of,
		 void *(*run)(void *context), void *context)
{
	struct beginning beginning = {.name = name, .in_thread = in_thread, .of = of, .run = run, .context = context};
	sigset_t all, old;

	if (sem_init(&beginning.over, 0, 0))
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(out, NULL, begin, &beginning);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!error) {
		while (sem_wait(&beginning.over))
			;
		error = -beginning.error;
		if (error)
			pthread_join(*out, NULL);
	}
	sem_destroy(&beginning.over);
	return -error;
}
