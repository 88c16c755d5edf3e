// SPDX-License-Identifier: GPL-3.0-or-later
// obstacle - which locked door stopped a launch, and who has the key.

#include "extension/obstacle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_number(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return atoi(text);
}

static bool inside_container(void)
{
	return !access("/.dockerenv", F_OK) || !access("/run/.containerenv", F_OK) ||
	       getenv("container") != NULL;
}

void obstacle_read(struct obstacle_facts *facts)
{
	*facts = (struct obstacle_facts){
		.root = geteuid() == 0,
		.container = inside_container(),
		.max_user_namespaces = read_number("/proc/sys/user/max_user_namespaces"),
		.max_net_namespaces = read_number("/proc/sys/user/max_net_namespaces"),
		.userns_clone = read_number("/proc/sys/kernel/unprivileged_userns_clone"),
		.apparmor_restricts =
			read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
	};
}

// A row applies when its step and its condition do; the first that applies speaks.
static const char *namespaces(const struct obstacle_facts *f, int error)
{
	if (!f->root && f->apparmor_restricts == 1)
		return "AppArmor keeps user namespaces from ordinary users "
		       "(kernel.apparmor_restrict_unprivileged_userns=1); allow them with "
		       "'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0', or run as root";
	if (!f->root && f->userns_clone == 0)
		return "user namespaces are off for ordinary users (kernel.unprivileged_userns_clone=0); "
		       "allow them with 'sudo sysctl kernel.unprivileged_userns_clone=1', or run as root";
	if (f->max_user_namespaces == 0)
		return "user namespaces are off (user.max_user_namespaces=0); allow them with "
		       "'sudo sysctl user.max_user_namespaces=10000', or run as root outside a container";
	if (f->max_net_namespaces == 0)
		return "network namespaces are off (user.max_net_namespaces=0); allow them with "
		       "'sudo sysctl user.max_net_namespaces=10000'";
	if (error == ENOSPC || error == EUSERS)
		return "there are too many namespaces already; see user.max_user_namespaces and "
		       "user.max_net_namespaces in sysctl, or end what holds them";
	if (error == EINVAL)
		return "this kernel has no user or network namespaces; one with CONFIG_USER_NS and "
		       "CONFIG_NET_NS is needed";
	if (f->container)
		return "this container may not make namespaces; start it with '--cap-add SYS_ADMIN "
		       "--device /dev/net/tun' and a seccomp profile that allows unshare "
		       "('--security-opt seccomp=unconfined')";
	if (error == EPERM)
		return "a security policy (seccomp or a security module) forbids new namespaces here; "
		       "run outside that sandbox, or as root";
	return NULL;
}

static const char *tun_open(const struct obstacle_facts *f, int error)
{
	if ((error == ENOENT || error == ENODEV || error == ENXIO) && f->container)
		return "there is no /dev/net/tun in this container; start it with '--device /dev/net/tun'";
	if (error == ENOENT || error == ENODEV || error == ENXIO)
		return "there is no /dev/net/tun; load the driver with 'sudo modprobe tun'";
	if (error == EACCES)
		return "cannot open /dev/net/tun: Permission denied; let this user at it with "
		       "'sudo chmod 666 /dev/net/tun', or run as root";
	if (error == EPERM)
		return "cannot open /dev/net/tun: a device policy forbids it; start the container "
		       "with '--device /dev/net/tun'";
	return NULL;
}

static const char *find(const struct obstacle_facts *f, enum obstacle_step step, int error)
{
	bool denied = error == EPERM || error == EACCES;

	if (step == OBSTACLE_NAMESPACES)
		return namespaces(f, error);
	if (step == OBSTACLE_TUN_OPEN)
		return tun_open(f, error);
	// AppArmor's restriction lets the namespace be made and takes its powers away.
	if (denied && !f->root && f->apparmor_restricts == 1)
		return namespaces(f, error);
	if (denied && f->container && step != OBSTACLE_OVERLAY)
		return namespaces(f, error);
	return NULL;
}

void obstacle_sentence(const struct obstacle_facts *facts, enum obstacle_step step, int error,
		       const char *what, char *out, size_t size)
{
	static const char *const doing[] = {
		[OBSTACLE_NAMESPACES] = "make namespaces",
		[OBSTACLE_MAPPING] = "map the user into its namespace",
		[OBSTACLE_MOUNT] = "set up the mount namespace",
		[OBSTACLE_TUN_OPEN] = "open /dev/net/tun",
		[OBSTACLE_TUN_CREATE] = "make a tunnel device",
		[OBSTACLE_NETWORK] = "set up the network",
		[OBSTACLE_OVERLAY] = "lay a file over",
		[OBSTACLE_OTHER] = "launch",
	};
	const char *known = find(facts, step, error);

	if (known)
		snprintf(out, size, "%s", known);
	else if (what && step == OBSTACLE_OVERLAY)
		snprintf(out, size, "cannot lay a file over %s: %s", what, strerror(error));
	else if (what)
		snprintf(out, size, "cannot %s: %s", what, strerror(error));
	else
		snprintf(out, size, "cannot %s: %s", doing[step], strerror(error));
}
