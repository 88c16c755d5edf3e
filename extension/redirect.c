// SPDX-License-Identifier: GPL-3.0-or-later
// redirect - programs already on this machine: their sockets onto a tunnel.
//
// The order matters: the device is made, the kernel's half is told of it and
// loaded, the programs of the device stand before it comes up, those that follow
// processes before the first socket is bound, and the hooks come last. From then on
// nothing asks for a privilege: a spec is written to memory that the kernel reads,
// owners are read from memory that it writes.
//
// All of it hangs on descriptors of this process, and is gone with them. What is left is
// sockets bound to a device that is no more: those are the guard's.

#include "extension/redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "extension/process.h"
#include "extension/redirect_cgroup.h"
#include "extension/redirect_device.h"
#include "extension/redirect_guard.h"
#include "extension/redirect_obstacle.h"
#include "extension/redirect_owner.h"
#include "extension/redirect_shared.h"
#include "extension/spec.h"

#include <redirect.skel.h>	// speaks of redirect_shared.h

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum {
	LINKS = 16,
	TCX_INGRESS = 46, TCX_EGRESS = 47,	// bpf_attach_type, Linux 6.6
};

struct redirect {
	struct redirect_guard guard;
	struct redirect_device device;
	struct redirect_bpf *bpf;
	struct bpf_link *links[LINKS];
	int link_count;
	int tcx[2];			// link descriptors, -1: none
	struct redirect_item *items;	// both banks, shared with the kernel
	size_t items_size;
	struct redirect_ring ring;
};

// --- the spec -------------------------------------------------------------------

static void write_item(struct redirect_item *out, const struct spec_item *item)
{
	static const enum redirect_kind kinds[] = {
		[SPEC_PID] = REDIRECT_PID, [SPEC_TEXT] = REDIRECT_WORD, [SPEC_EXE] = REDIRECT_EXE,
		[SPEC_USER] = REDIRECT_USER, [SPEC_CGROUP] = REDIRECT_CGROUP, [SPEC_CHILD_OF] = REDIRECT_CHILD_OF,
	};
	const char *text = item->text ? item->text : "";

	memset(out, 0, sizeof *out);
	out->kind = kinds[item->kind];
	out->exclude = item->exclude;
	out->number = item->number;
	if (item->kind == SPEC_CGROUP)
		text += strspn(text, "/");
	out->size = (uint32_t)snprintf(out->text, sizeof out->text, "%.255s", text);
	while (item->kind == SPEC_CGROUP && out->size && out->text[out->size - 1] == '/')
		out->text[--out->size] = '\0';
}

// The idle bank first, then the word that it is the one.
int redirect_change(struct redirect *redirect, const struct spec *spec)
{
	volatile struct redirect_spec *in_force = &redirect->bpf->bss->spec;
	uint32_t next = in_force->generation + 1, bank = next & 1;
	size_t count = spec_count(spec);

	if (count > REDIRECT_ITEMS)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		write_item(&redirect->items[bank * REDIRECT_ITEMS + i], spec_item(spec, i));
	in_force->count[bank] = (uint32_t)count;
	in_force->otherwise[bank] = spec_default(spec);
	__atomic_store_n(&in_force->generation, next, __ATOMIC_RELEASE);
	return 0;
}

static int map_items(struct redirect *redirect)
{
	redirect->items_size = 2UL * REDIRECT_ITEMS * sizeof *redirect->items;
	redirect->items = mmap(NULL, redirect->items_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			       bpf_map__fd(redirect->bpf->maps.items), 0);
	if (redirect->items != MAP_FAILED)
		return 0;
	redirect->items = NULL;
	return -errno;
}

// --- what the kernel's half is told -----------------------------------------------

static void copy_address(volatile uint8_t *out, const struct host_address *address)
{
	for (size_t i = 0; i < host_address_size(address); i++)
		out[i] = address->bytes[i];
}

static int read_netns(uint64_t *cookie)
{
	socklen_t size = sizeof *cookie;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &size) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return error;
}

static int configure(struct redirect *redirect, const struct redirect_options *options)
{
	volatile struct redirect_config *config = &redirect->bpf->bss->config;
	const struct redirect_device *device = &redirect->device;
	struct stat status;
	uint64_t netns;
	int error = read_netns(&netns);

	if (!error && stat("/proc/self/ns/pid", &status))
		error = -errno;
	if (error)
		return error;
	config->netns = netns;
	config->device = (uint32_t)device->index;
	config->pid_namespace = (uint32_t)status.st_ino;
	for (size_t i = 0; i < sizeof device->name; i++)
		config->name[i] = device->name[i];
	config->own[0] = (uint32_t)getpid();
	config->ipv6 = device->ipv6;
	config->no_loopback = options->no_loopback;
	copy_address(config->own4, &device->own4);
	copy_address(config->own6, &device->own6);
	copy_address(config->entry4, &device->entry4);
	copy_address(config->entry6, &device->entry6);
	copy_address(config->local6, &device->local6);
	copy_address(config->main4, device->host.main4.family ? &device->host.main4 : &device->own4);
	copy_address(config->main6, device->host.main6.family ? &device->host.main6 : &device->own6);
	return 0;
}

static int add_prefix(const struct bpf_map *map4, const struct bpf_map *map6, const struct redirect_cidr *cidr)
{
	struct redirect_prefix4 key4 = {.size = cidr->prefix};
	struct redirect_prefix6 key6 = {.size = cidr->prefix};
	uint32_t there = 1;
	bool v4 = cidr->family == AF_INET;

	if (cidr->prefix > (v4 ? 32 : 128))
		return -EINVAL;
	memcpy(key4.bytes, cidr->bytes, sizeof key4.bytes);
	memcpy(key6.bytes, cidr->bytes, sizeof key6.bytes);
	return bpf_map_update_elem(bpf_map__fd(v4 ? map4 : map6), v4 ? (void *)&key4 : (void *)&key6, &there, BPF_ANY)
		? -errno : 0;
}

static int add_prefixes(struct redirect *redirect, const struct redirect_options *options)
{
	volatile struct redirect_config *config = &redirect->bpf->bss->config;
	int error = 0;

	for (size_t i = 0; i < options->only_count && !error; i++)
		error = add_prefix(redirect->bpf->maps.only4, redirect->bpf->maps.only6, &options->only[i]);
	for (size_t i = 0; i < options->except_count && !error; i++)
		error = add_prefix(redirect->bpf->maps.except4, redirect->bpf->maps.except6, &options->except[i]);
	config->only = options->only_count > 0;
	config->except = options->except_count > 0;
	return error;
}

// --- attach ---------------------------------------------------------------------

// By tcx where the kernel has it, which is a link; else by the device's clsact, which
// goes with the device.
static int attach_to_device(struct redirect *redirect, const struct bpf_program *program, bool egress)
{
	struct bpf_tc_hook hook = {.sz = sizeof hook, .ifindex = redirect->device.index,
				   .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS};
	struct bpf_tc_opts tc = {.sz = sizeof tc, .prog_fd = bpf_program__fd(program)};
	int fd = bpf_link_create(bpf_program__fd(program), redirect->device.index,
				 (enum bpf_attach_type)(egress ? TCX_EGRESS : TCX_INGRESS), NULL);
	int error;

	redirect->tcx[egress] = fd < 0 ? -1 : fd;
	if (fd >= 0)
		return 0;
	error = bpf_tc_hook_create(&hook);
	if (error && error != -EEXIST)
		return error;
	return bpf_tc_attach(&hook, &tc);
}

static int keep(struct redirect *redirect, struct bpf_link *link)
{
	if (!link)
		return -errno;
	redirect->links[redirect->link_count++] = link;
	return 0;
}

static int attach_hooks(struct redirect *redirect, int cgroup)
{
	struct bpf_program *program;
	int error = 0;

	bpf_object__for_each_program(program, redirect->bpf->obj) {
		if (bpf_program__type(program) == BPF_PROG_TYPE_TRACING)
			error = keep(redirect, bpf_program__attach(program));
		if (error)
			return error;
	}
	bpf_object__for_each_program(program, redirect->bpf->obj) {
		if (bpf_program__type(program) == BPF_PROG_TYPE_CGROUP_SOCK_ADDR)
			error = keep(redirect, bpf_program__attach_cgroup(program, cgroup));
		if (error)
			return error;
	}
	return 0;
}

static int attach(struct redirect *redirect, char *why, size_t why_size)
{
	int cgroup = redirect_cgroup_open(), error;

	if (cgroup < 0)
		return redirect_obstacle(REDIRECT_AT_CGROUP, cgroup, why, why_size);
	error = attach_hooks(redirect, cgroup);
	close(cgroup);
	return error ? redirect_obstacle(REDIRECT_AT_ATTACH, error, why, why_size) : 0;
}

// --- open -----------------------------------------------------------------------

static int load(struct redirect *redirect, const struct redirect_options *options, char *why, size_t why_size)
{
	int error;

	redirect_obstacle_listen();
	redirect->bpf = redirect_bpf__open();
	if (!redirect->bpf)
		return redirect_obstacle(REDIRECT_AT_LOAD, -errno, why, why_size);
	error = configure(redirect, options);
	if (!error)
		error = redirect_bpf__load(redirect->bpf);
	if (!error)
		error = map_items(redirect);
	if (!error)
		error = redirect_ring_open(&redirect->ring, bpf_map__fd(redirect->bpf->maps.owners));
	if (!error)
		error = add_prefixes(redirect, options);
	if (!error)
		error = redirect_change(redirect, options->spec);
	return error ? redirect_obstacle(REDIRECT_AT_LOAD, error, why, why_size) : 0;
}

static int open_here(struct redirect *redirect, const struct redirect_options *options, char *why, size_t why_size)
{
	int error = redirect_guard_open(&redirect->guard);

	if (error) {
		snprintf(why, why_size, "cannot start the guard processes: %s", strerror(-error));
		return error;
	}
	error = redirect_device_open(&redirect->device, why, why_size);
	if (error)
		return error;
	redirect_guard_tell(&redirect->guard, redirect->device.index);
	error = load(redirect, options, why, why_size);
	if (error)
		return error;
	error = attach_to_device(redirect, redirect->bpf->progs.leave, true);
	if (!error)
		error = attach_to_device(redirect, redirect->bpf->progs.enter, false);
	if (error)
		return redirect_obstacle(REDIRECT_AT_DEVICE, error, why, why_size);
	error = redirect_device_up(&redirect->device, options->mtu, why, why_size);
	return error ? error : attach(redirect, why, why_size);
}

static int open_netns(const char *name)
{
	char path[512];
	bool number = *name && name[strspn(name, "0123456789")] == '\0';
	int fd;

	snprintf(path, sizeof path, number ? "/proc/%s/ns/net" : "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int redirect_enter(const char *netns, char *why, size_t why_size)
{
	int there = open_netns(netns);
	int error = there < 0 ? there : setns(there, CLONE_NEWNET) ? -errno : 0;

	if (there >= 0)
		close(there);
	if (error)
		snprintf(why, why_size, "cannot enter the network namespace %s: %s%s", netns, strerror(-error),
			 error == -EPERM ? " (it takes CAP_SYS_ADMIN)" :
			 error == -ENOENT ? " (a PID, or a name that `ip netns list` knows)" : "");
	return error;
}

int redirect_open(struct redirect **out, const struct redirect_options *options, char *why, size_t why_size)
{
	struct redirect *redirect = calloc(1, sizeof *redirect);
	int error;

	*out = NULL;
	if (!redirect) {
		snprintf(why, why_size, "there is no memory for this");
		return -ENOMEM;
	}
	redirect_guard_init(&redirect->guard);
	redirect->device.tunnel = redirect->device.shadow = -1;
	redirect->tcx[0] = redirect->tcx[1] = -1;
	process_boot();		// while it can still be read
	error = redirect_obstacle_foresee(why, why_size);
	if (!error)
		error = open_here(redirect, options, why, why_size);
	if (error) {
		redirect_close(redirect);
		return error;
	}
	*out = redirect;
	return 0;
}

// The hooks first, that nothing new is bound to a device on its way out.
void redirect_close(struct redirect *redirect)
{
	if (!redirect)
		return;
	while (redirect->link_count)
		bpf_link__destroy(redirect->links[--redirect->link_count]);
	redirect_guard_close(&redirect->guard);
	for (int i = 0; i < 2; i++)
		if (redirect->tcx[i] >= 0)
			close(redirect->tcx[i]);
	redirect_ring_close(&redirect->ring);
	if (redirect->items)
		munmap(redirect->items, redirect->items_size);
	redirect_bpf__destroy(redirect->bpf);
	redirect_device_close(&redirect->device);
	free(redirect);
}

// --- the rest of the door -----------------------------------------------------------

int redirect_tunnel(const struct redirect *redirect)
{
	return redirect->device.tunnel;
}

// The way for all others: the device's programs put another address in ::1's place.
int redirect_write_loopback6(const struct redirect *redirect, const struct iovec *parts, int count)
{
	return writev(redirect->device.tunnel, parts, count) < 0 ? -errno : 0;
}

const char *redirect_device(const struct redirect *redirect)
{
	return redirect->device.name;
}

int redirect_fd(const struct redirect *redirect)
{
	return redirect->ring.fd;
}

int redirect_read(struct redirect *redirect, struct redirect_owner *owner)
{
	return redirect_ring_read(&redirect->ring, owner);
}

int redirect_guard_fd(const struct redirect *redirect, int number)
{
	return redirect->guard.sockets[number];
}
