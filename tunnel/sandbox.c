// SPDX-License-Identifier: GPL-3.0-or-later
// sandbox - privileges given up, for good.
//
// What is left after it is what a fault in the reading of packets could be used for: the
// sockets and files that are open, new sockets of the network, and the few paths named.

#include "tunnel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
// A sanitizer's report needs files and calls of its own, and its leak checker looks at
// the process from another: in a build with one the sandbox is but a shape.
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

// --- the user ---------------------------------------------------------------

static int set_groups(uid_t uid, gid_t gid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? initgroups(user->pw_name, gid) : setgroups(1, &gid);
}

// The order: groups need the uid, and a uid other than 0 takes every
// capability along.
static int become(uid_t uid, gid_t gid)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};
	uid_t real, effective, saved;

	if (geteuid() == 0 && (set_groups(uid, gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
		return -errno;
	// Of whoever was given capabilities without being root.
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none))
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (getresuid(&real, &effective, &saved) || (uid && (!real || !effective || !saved)))
		return -EPERM;
	return 0;
}

int sandbox_become(uid_t uid, gid_t gid, char *why, size_t why_size)
{
	int error = become(uid, gid);

	if (error)
		snprintf(why, why_size, "cannot give up root's privileges: %s", strerror(-error));
	return error;
}

// --- files ------------------------------------------------------------------

// Later than the oldest headers that we build with (linux/landlock.h of 6.12).
#define FS_TRUNCATE (1ULL << 14)	// ABI 3
#define FS_IOCTL_DEV (1ULL << 15)	// ABI 5
#define NET_BIND_TCP (1ULL << 0)	// ABI 4
#define SCOPE_ABSTRACT (1ULL << 0)	// ABI 6
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset { uint64_t fs, net, scoped; };

// Everything that the running kernel can deny, but for connections.
static size_t all_rights(int abi, struct ruleset *out)
{
	static const uint64_t fs[] = {0, (1ULL << 13) - 1, (1ULL << 14) - 1, (1ULL << 15) - 1, (1ULL << 15) - 1};

	*out = (struct ruleset){.fs = abi < 5 ? fs[abi] : (1ULL << 16) - 1};
	if (abi >= 4)
		out->net = NET_BIND_TCP;
	if (abi >= 6)
		out->scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return abi < 4 ? sizeof(out->fs) : abi < 6 ? 2 * sizeof(out->fs) : sizeof(*out);
}

static int allow_path(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
	static const uint64_t rights[] = {
		[SANDBOX_READ] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
		[SANDBOX_WRITE] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				  LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
				  LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_TRUNCATE,
	};
	struct landlock_path_beneath_attr rule = {.allowed_access = rights[p->use] & handled};
	struct stat status;
	int error;

	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0;
	if (!fstat(rule.parent_fd, &status) && !S_ISDIR(status.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	error = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
	close(rule.parent_fd);
	return error;
}

int sandbox_rules(const struct sandbox_path *paths, size_t count, char *why, size_t why_size)
{
	long abi = SANITIZED ? -1 : syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset rights;
	int error, rules;

	if (abi < 1) {
		snprintf(why, why_size, "this kernel has no Landlock: files are guarded by the user's rights alone");
		return -ENOSYS;
	}
	size_t size = all_rights((int)abi, &rights);
	rules = (int)syscall(SYS_landlock_create_ruleset, &rights, size, 0);
	error = rules < 0 ? -errno : 0;
	for (size_t i = 0; i < count && !error; i++)
		error = allow_path(rules, &paths[i], rights.fs);
	if (!error)
		return rules;
	if (rules >= 0)
		close(rules);
	snprintf(why, why_size, "cannot confine itself to its files (Landlock): %s", strerror(-error));
	return error;
}

// It must not be able to gain by an exec what it gives up here.
int sandbox_files(int rules)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, rules, 0))
		return -errno;
	return 0;
}

// --- calls ------------------------------------------------------------------

// By name, so that a list serves every machine: what one does not have is passed over.
static const char *const allowed[] = {
	"read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "_llseek", "splice", "close",
	"close_range", "dup", "fcntl", "fcntl64", "fstat", "fstat64", "newfstatat", "fstatat64", "stat", "stat64",
	"statx", "fstatfs", "fstatfs64", "fsync", "fdatasync", "ftruncate", "ftruncate64", "fallocate",
	"open", "openat", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "getdents64",
	"rename", "renameat", "renameat2", "unlink", "unlinkat", "fchmod", "umask",
	"connect", "shutdown", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
	"setsockopt", "recv", "recvfrom", "recvmsg", "recvmmsg", "send", "sendto", "sendmsg", "sendmmsg",
	"socketcall",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64",
	"select", "_newselect", "pselect6", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_settime64",
	"pipe2", "signalfd4",
	"munmap", "mremap", "madvise", "brk", "membarrier",
	"futex", "futex_time64", "futex_waitv", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64",
	"clock_getres", "clock_getres_time64", "gettimeofday", "time", "times",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack", "restart_syscall",
	"sigreturn", "tgkill", "getpid", "gettid", "getppid", "getpgrp", "getpgid", "getuid", "geteuid", "getgid",
	"getegid", "getuid32", "geteuid32", "getgid32", "getegid32", "getresuid", "getresgid",
	"wait4", "waitid", "exit", "exit_group", "getrandom", "getrusage", "uname", "sysinfo", "ugetrlimit",
	"getrlimit",
};

// No mistake asks for these.
static const char *const wicked[] = {
	"bpf", "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
	"kcmp", "perf_event_open", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount",
	"move_mount", "open_tree", "mount_setattr", "setns", "unshare", "setuid", "setgid", "setreuid", "setregid",
	"setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset", "keyctl", "add_key", "request_key",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon",
	"swapoff", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
	"iopl", "ioperm", "userfaultfd", "mknod", "mknodat", "acct", "quotactl", "syslog", "vhangup",
	"open_by_handle_at", "io_uring_setup", "personality",
};


static int add(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]), error;

		if (number == __NR_SCMP_ERROR)
			continue;
		error = seccomp_rule_add(filter, action, number, 0);
		// -EDOM: this machine has no such call.
		if (error && error != -EDOM)
			return error;
	}
	return 0;
}

static int allow_if(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp argument)
{
	int number = seccomp_syscall_resolve_name(name);
	int error = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &argument);

	return error == -EDOM ? 0 : error;
}

// Those that are fine or not by what is asked.
static int add_by_argument(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const unsigned long ioctls[] = {0x5401 /* TCGETS */, 0x540f /* TIOCGPGRP */, 0x5413 /* TIOCGWINSZ */,
					       0x541b /* FIONREAD */, 0x5421 /* FIONBIO */};
	// Memory may be written or run, and none is to be run that is not yet.
	static const char *const memory[] = {"mmap", "mmap2", "mprotect"};
	int error = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(*families) && !error; i++)
		error = allow_if(filter, "socket", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	for (size_t i = 0; i < sizeof(ioctls) / sizeof(*ioctls) && !error; i++)
		error = allow_if(filter, "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]));
	for (size_t i = 0; i < sizeof(memory) / sizeof(*memory) && !error; i++)
		error = allow_if(filter, memory[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	// A limit is read, not set: no new value, that is.
	return error ? error : allow_if(filter, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0, 0));
}

// Where the flags are the first argument: elsewhere such a write is done by ourselves.
static int add_vfork(scmp_filter_ctx filter)
{
#ifdef __s390__
	(void)filter;
	return 0;
#else
	return allow_if(filter, "clone", SCMP_A0(SCMP_CMP_EQ, CLONE_VM | CLONE_VFORK | SIGCHLD, 0));
#endif
}

static int fill(scmp_filter_ctx filter, bool vfork)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	// What is refused stands in the kernel's log; older ones cannot.
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error && !SANITIZED)
		error = add(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(*allowed));
	if (!error && !SANITIZED)
		error = add_by_argument(filter);
	if (!error && !SANITIZED && vfork)
		error = add_vfork(filter);
	if (!error)
		error = add(filter, SCMP_ACT_KILL_PROCESS, wicked, SANITIZED ? 1 : sizeof(wicked) / sizeof(*wicked));
	return error ? error : seccomp_load(filter);
}

int sandbox_calls(bool vfork, char *why, size_t why_size)
{
	scmp_filter_ctx filter = seccomp_init(SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int error = filter ? fill(filter, vfork) : -ENOMEM;

	if (filter)
		seccomp_release(filter);
	if (error)
		snprintf(why, why_size, "cannot confine itself to its system calls (seccomp): %s", strerror(-error));
	return error;
}
