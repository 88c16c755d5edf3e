// SPDX-License-Identifier: GPL-3.0-or-later
// thread - a thread of the capture's own: signals do not reach it, and it goes on only
// once it has been prepared.

#ifndef PCAP_THREAD_H
#define PCAP_THREAD_H

#include <pthread.h>

// Starts `run(context)` in a thread of that name (15 bytes), and returns when
// `in_thread(of)`, unless that is NULL, was called in it and is over. 0, or -errno: also
// what `in_thread` answered, and then there is no thread.
int thread_start(pthread_t *out, const char *name, int (*in_thread)(void *of), void *of,
		 void *(*run)(void *context), void *context);

#endif
