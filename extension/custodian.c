// SPDX-License-Identifier: GPL-3.0-or-later
// custodian - keeps the authority in the stores for as long as one run goes on.
//
// Who takes it out again must be root, may start other programs, and must still be
// there after a kill: none of that is apptap's own once it runs. So it is the work of a
// process of its own, which puts the authority in, sleeps, and takes it out when its
// partner says so or is gone: both are the end of a socket that only these two have.
// Nothing is read from the partner, so that one gone bad can ask for nothing else.
//
// It is in a session of its own and hears no signal: neither a Ctrl-C nor a kill of the
// partner's group is meant for it. Were it killed all the same, the record tells the
// next start (store_sweep()).

#include "extension/custodian.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACE_SIZE = 4096 };

// From the custodian alone. Two of them are results: of the install, then of the
// uninstall; news come before each.
struct message {
	bool is_result;
	int result;
	enum store_done done;
	char noun[64], place[PLACE_SIZE], sentence[512];
};

// --- the custodian --------------------------------------------------------------

// The partner may be gone: then nobody hears it.
static void say(int partner, const struct message *message)
{
	while (send(partner, message, sizeof *message, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

struct teller {
	int partner;
	bool any;		// it is in some store
};

static void say_news(void *context, const struct store_news *news)
{
	struct message message = {.done = news->done};
	struct teller *teller = context;

	teller->any |= news->done == STORE_ADDED || news->done == STORE_KEPT;
	snprintf(message.noun, sizeof message.noun, "%s", news->noun);
	snprintf(message.place, sizeof message.place, "%s", news->place);
	snprintf(message.sentence, sizeof message.sentence, "%s", news->sentence);
	say(teller->partner, &message);
}

static void say_result(int partner, int result, const char *why)
{
	struct message message = {.is_result = true, .result = result};

	snprintf(message.sentence, sizeof message.sentence, "%s", result < 0 ? why : result ? "a store could not be changed" : "");
	say(partner, &message);
}

// What a store's commands need as root: anybody's files and, for a user's database,
// to become that user. An ordinary user's capabilities (a file's, say) are for none of it.
static void drop_capabilities(void)
{
	static const unsigned int kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID,
					    CAP_KILL, CAP_SETGID, CAP_SETUID};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct now[2] = {0}, data[2] = {0};

	for (size_t i = 0; geteuid() == 0 && i < sizeof kept / sizeof *kept; i++)
		data[0].permitted |= 1U << kept[i];
	for (unsigned int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (c >= 32 || !(data[0].permitted & 1U << c))
			prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	if (syscall(SYS_capget, &header, now))
		return;
	data[0].permitted &= now[0].permitted;
	data[0].effective = data[0].permitted;
	syscall(SYS_capset, &header, data);
}

// Keeps no file of the run open, and has 0, 1 and 2 for the programs it starts.
static int leave_everything(int partner)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), own = fcntl(partner, F_DUPFD_CLOEXEC, 3);

	if (null < 0 || own < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++)
		if (null != fd && dup2(null, fd) < 0)
			return -1;
	if (own > 3)
		close_range(3, (unsigned int)own - 1, 0);
	close_range((unsigned int)own + 1, ~0U, 0);
	return own;
}

static void wait_for_end(int partner)
{
	char none;

	while (recv(partner, &none, sizeof none, 0) < 0 && errno == EINTR)
		;
}

// Who ignored their children's ends could not wait for them.
static void hear_nothing(void)
{
	sigset_t all;

	signal(SIGCHLD, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
}

static _Noreturn void custodian_main(int partner, struct store_options options, const char *pem, size_t size,
				     const char *fingerprint)
{
	struct teller teller = {0};
	char why[512] = "";
	int result;

	hear_nothing();
	prctl(PR_SET_NAME, "apptap-trust");
	partner = leave_everything(partner);
	if (partner < 0 || chdir("/"))
		_exit(1);
	drop_capabilities();
	options.report = say_news;
	options.context = &teller;
	teller.partner = partner;
	result = store_install(&options, pem, size, fingerprint, why, sizeof why);
	if (result >= 0 && !teller.any) {
		snprintf(why, sizeof why, "no store here could be changed");
		result = -ENOENT;
	}
	say_result(partner, result, why);
	wait_for_end(partner);
	result = store_uninstall(&options, why, sizeof why);
	say_result(partner, result, why);
	_exit(0);
}

// --- its partner ----------------------------------------------------------------

static int hear(const struct custodian *custodian, char *why, size_t why_size)
{
	const struct store_options *options = custodian->options;
	struct message message;
	ssize_t n;

	for (;;) {
		do
			n = recv(custodian->socket, &message, sizeof message, 0);
		while (n < 0 && errno == EINTR);
		if (n != sizeof message) {
			snprintf(why, why_size, "the process that looks after the certificate was killed");
			return -ESRCH;
		}
		if (message.is_result) {
			snprintf(why, why_size, "%s", message.sentence);
			return message.result;
		}
		struct store_news news = {.done = message.done, .noun = message.noun, .place = message.place,
					  .sentence = message.sentence};
		if (options->report)
			options->report(options->context, &news);
	}
}

int custodian_open(struct custodian *custodian, const struct store_options *options, const char *pem, size_t size,
		   const char *fingerprint, char *why, size_t why_size)
{
	struct store_options its = *options;
	int pair[2], result;
	char unheard[512];

	*custodian = (struct custodian){.socket = -1, .options = options};
	its.run = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		snprintf(why, why_size, "no socket: %s", strerror(errno));
		return -errno;
	}
	custodian->pid = fork();
	if (custodian->pid == 0) {
		close(pair[0]);
		custodian_main(pair[1], its, pem, size, fingerprint);
	}
	close(pair[1]);
	if (custodian->pid < 0) {
		snprintf(why, why_size, "no process: %s", strerror(errno));
		close(pair[0]);
		return -EAGAIN;
	}
	custodian->socket = pair[0];
	result = hear(custodian, why, why_size);
	if (result < 0)
		custodian_close(custodian, unheard, sizeof unheard);
	return result;
}

int custodian_close(struct custodian *custodian, char *why, size_t why_size)
{
	int result;

	if (!custodian->pid || custodian->socket < 0)
		return 0;
	shutdown(custodian->socket, SHUT_WR);
	result = hear(custodian, why, why_size);
	close(custodian->socket);
	custodian->socket = -1;
	while (waitpid(custodian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return result;
}
