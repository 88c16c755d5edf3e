// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_owner - reads what the kernel's half announces.
//
// The ring is memory shared with the kernel (Documentation/bpf/ringbuf.rst): a page
// with our position, one with the kernel's, then the data twice in a row, so that a
// record is never in two pieces. A record begins with its size, whose highest
// bits say that it is still being written, or was given up. libbpf reads it by
// calling back for all there is; a caller who asks for one at a time needs this.

#include "extension/redirect_owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "extension/process.h"
#include "extension/redirect.h"
#include "extension/redirect_shared.h"

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int redirect_ring_open(struct redirect_ring *ring, int fd)
{
	void *ours = mmap(NULL, page(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *theirs = mmap(NULL, page() + 2UL * REDIRECT_RING, PROT_READ, MAP_SHARED, fd, (off_t)page());

	*ring = (struct redirect_ring){.fd = fd};
	if (ours != MAP_FAILED)
		ring->consumer = ours;
	if (theirs != MAP_FAILED) {
		ring->producer = theirs;
		ring->data = (const char *)theirs + page();
	}
	return ring->consumer && ring->producer ? 0 : -ENOMEM;
}

void redirect_ring_close(struct redirect_ring *ring)
{
	if (ring->consumer)
		munmap(ring->consumer, page());
	if (ring->producer)
		munmap((void *)ring->producer, page() + 2UL * REDIRECT_RING);
	*ring = (struct redirect_ring){.fd = -1};
}

static void write_address(struct sockaddr_storage *out, uint32_t family, const uint8_t *bytes, uint16_t port)
{
	memset(out, 0, sizeof *out);
	if (family == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;

		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, bytes, 4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		memcpy(&v6->sin6_addr, bytes, 16);
	}
}

// Arguments stand one behind the other, each with its end.
static void write_arguments(struct redirect_owner *owner, const struct redirect_record *record)
{
	size_t size = record->arguments_size < REDIRECT_TEXT ? record->arguments_size : REDIRECT_TEXT - 1;

	memcpy(owner->arguments, record->arguments, size);
	while (size && owner->arguments[size - 1] == '\0')
		size--;
	owner->arguments[size] = '\0';
	for (size_t i = 0; i < size; i++)
		if (owner->arguments[i] == '\0')
			owner->arguments[i] = ' ';
}

static void write_owner(struct redirect_owner *owner, const struct redirect_record *record)
{
	const char *last;

	memset(owner, 0, offsetof(struct redirect_owner, path));
	owner->out_of_reach = !record->family;
	owner->protocol = (int)record->protocol;
	if (record->family) {
		write_address(&owner->app, record->family, record->app, record->app_port);
		write_address(&owner->peer, record->family, record->peer, record->peer_port);
	}
	if (record->any)
		memset(&owner->peer, 0, sizeof owner->peer);
	owner->pid = (pid_t)record->pid;
	owner->parent = (pid_t)record->parent;
	owner->uid = record->uid;
	owner->start = process_boot() + record->start;
	snprintf(owner->path, sizeof owner->path, "%.255s", record->path);
	snprintf(owner->cgroup, sizeof owner->cgroup, "%.255s", record->cgroup);
	write_arguments(owner, record);
	last = strrchr(owner->path, '/');
	if (last && last[1])
		snprintf(owner->name, sizeof owner->name, "%.63s", last + 1);
	else
		snprintf(owner->name, sizeof owner->name, "%.16s", record->name);
}

int redirect_ring_read(struct redirect_ring *ring, struct redirect_owner *owner)
{
	unsigned long at = *ring->consumer;

	while (at < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE)) {
		const char *record = ring->data + (at & (REDIRECT_RING - 1));
		uint32_t size = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		bool given_up = size & BPF_RINGBUF_DISCARD_BIT;

		if (size & BPF_RINGBUF_BUSY_BIT)
			return 0;
		if (!given_up)
			write_owner(owner, (const void *)(record + BPF_RINGBUF_HDR_SZ));
		size &= ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		at += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		__atomic_store_n(ring->consumer, at, __ATOMIC_RELEASE);
		if (!given_up)
			return 1;
	}
	return 0;
}
