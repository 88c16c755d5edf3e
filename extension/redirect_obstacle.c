// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_obstacle - what a kernel or a caller lacks for eBPF, and what to do.
//
// What can be asked beforehand is asked beforehand, since the kernel's own answer to a
// load is a number. Afterwards the helpers are tried one by one, to name the one that
// is missing.

#include "extension/redirect_obstacle.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static const struct { int number; const char *name; } capabilities[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"},
};

// The newest that we need, and the kernel that brought them.
static const struct { enum bpf_func_id helper; const char *name, *since; } helpers[] = {
	{BPF_FUNC_loop, "bpf_loop", "5.17"},
	{BPF_FUNC_get_netns_cookie, "bpf_get_netns_cookie", "5.7"},
	{BPF_FUNC_sk_storage_get, "bpf_sk_storage_get", "5.10"},
	{BPF_FUNC_setsockopt, "bpf_setsockopt", "5.8"},
	{BPF_FUNC_probe_read_kernel, "bpf_probe_read_kernel", "5.8"},
};

static bool is_missing(uint64_t effective, int capability)
{
	// CAP_SYS_ADMIN stands for the two that were once part of it.
	return !(effective >> capability & 1) && !(capability != CAP_NET_ADMIN && effective >> CAP_SYS_ADMIN & 1);
}

static int foresee_capabilities(char *why, size_t why_size)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint64_t effective;
	size_t used = 0;
	char lacking[64] = "";

	if (syscall(SYS_capget, &header, data))
		return 0;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
		if (is_missing(effective, capabilities[i].number))
			used += (size_t)snprintf(lacking + used, sizeof lacking - used, "%s%s", used ? ", " : "",
						 capabilities[i].name);
	if (!used)
		return 0;
	snprintf(why, why_size, "tapping programs that already run needs root, or %s besides what you have. Say \"sudo apptap local\"",
		 lacking);
	return -EPERM;
}

// "none integrity [confidentiality]": the word in brackets holds.
static bool is_confidential(void)
{
	char line[128] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	if (!file)
		return false;
	if (!fgets(line, sizeof line, file))
		line[0] = '\0';
	fclose(file);
	return strstr(line, "[confidentiality]");
}

int redirect_obstacle_foresee(char *why, size_t why_size)
{
	int error = foresee_capabilities(why, why_size);

	if (error)
		return error;
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		snprintf(why, why_size, "this kernel does not describe its types (there is no /sys/kernel/btf/vmlinux): "
			 "it was built without CONFIG_DEBUG_INFO_BTF, and apptap's eBPF programs need that");
		return -ENOTSUP;
	}
	if (is_confidential()) {
		snprintf(why, why_size, "the kernel is locked down (\"confidentiality\" in /sys/kernel/security/lockdown), "
			 "so no eBPF program may see whose a socket is. Boot with lockdown=integrity or none");
		return -EPERM;
	}
	return 0;
}

static char heard[256];		// the first line that says what is wrong

__attribute__((format(printf, 2, 0)))
static int listen_to(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[256];
	size_t end;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof line, format, arguments);
	end = strcspn(line, "\n");
	line[end] = '\0';
	if (!*heard)
		memcpy(heard, line, sizeof heard);
	return 0;
}

void redirect_obstacle_listen(void)
{
	heard[0] = '\0';
	libbpf_set_print(listen_to);
}

static bool name_helper(const char *kernel, char *why, size_t why_size)
{
	for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++) {
		if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, helpers[i].helper, NULL) != 0)
			continue;
		snprintf(why, why_size, "this kernel (%s) is too old: its sockets' eBPF programs lack %s, which is there from Linux %s on",
			 kernel, helpers[i].name, helpers[i].since);
		return true;
	}
	return false;
}

int redirect_obstacle(enum redirect_obstacle_step step, int error, char *why, size_t why_size)
{
	static const char *const whats[] = {
		[REDIRECT_AT_CGROUP] = "find or mount the control groups, version 2 (the kernel needs CONFIG_CGROUPS and CONFIG_CGROUP_BPF)",
		[REDIRECT_AT_LOAD] = "load the eBPF programs",
		[REDIRECT_AT_DEVICE] = "attach an eBPF program to the tunnel device (the kernel needs CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF)",
		[REDIRECT_AT_ATTACH] = "attach the eBPF programs",
	};
	struct utsname kernel = {0};

	uname(&kernel);
	if (step == REDIRECT_AT_LOAD && name_helper(kernel.release, why, why_size))
		return error;
	snprintf(why, why_size, "cannot %s: %s%s%s%s", whats[step], strerror(-error), *heard ? " (" : "", heard, *heard ? ")" : "");
	return error;
}
