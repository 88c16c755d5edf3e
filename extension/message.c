// SPDX-License-Identifier: GPL-3.0-or-later
// message - what the launch and its keeper tell each other.

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/keeper.h"

enum { FDS_MAX = 4 };

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int keeper_send(int socket, const struct keeper_message *message, const int *fds, int fd_count)
{
	union control control = {0};
	struct iovec bytes = {(void *)message, sizeof *message};
	struct msghdr envelope = {.msg_iov = &bytes, .msg_iovlen = 1};

	if (fd_count) {
		struct cmsghdr *header;

		envelope.msg_control = &control;
		envelope.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
		header = CMSG_FIRSTHDR(&envelope);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, (size_t)fd_count * sizeof(int));
	}
	while (sendmsg(socket, &envelope, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int keeper_receive(int socket, struct keeper_message *message, int *fds, int *fd_count, int flags)
{
	union control control = {0};
	// cppcheck-suppress ctuuninitvar ; recvmsg fills it
	struct iovec bytes = {message, sizeof *message};
	struct msghdr envelope = {.msg_iov = &bytes, .msg_iovlen = 1,
				  .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(socket, &envelope, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	header = CMSG_FIRSTHDR(&envelope);
	if (header && header->cmsg_type == SCM_RIGHTS && fds) {
		int came = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		*fd_count = came < *fd_count ? came : *fd_count;
		memcpy(fds, CMSG_DATA(header), (size_t)*fd_count * sizeof(int));
	} else if (fd_count) {
		*fd_count = 0;
	}
	if (n != sizeof *message)
		return -EPROTO;
	message->text[sizeof message->text - 1] = '\0';
	return 0;
}
