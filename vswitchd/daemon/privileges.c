/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/privileges.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define KEPT ((1ull << CAP_NET_ADMIN) | (1ull << CAP_NET_RAW) | (1ull << CAP_BPF))

/* Of the calling thread: keep those of its capabilities that are in the mask. */
static int keep(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	if (syscall(SYS_capget, &header, d) < 0)
		return -errno;
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t m = (uint32_t)(mask >> (32 * i));

		d[i].permitted &= m;
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, d) < 0 ? -errno : 0;
}

int privileges_limit(struct errbuf *err)
{
	int r;

	if (geteuid() == 0)
		return 0;
	/* The inheritable set is empty now, and with it the ambient one. */
	r = keep(KEPT);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	return r < 0 ? err_set(err, -r, "cannot give up capabilities: %s", strerror(-r)) : 0;
}

int privileges_drop_thread(void)
{
	return geteuid() == 0 ? 0 : keep(0);
}

static const char *const worker_calls[] = {
	/* memory, time, waiting */
	"brk", "clock_gettime", "clock_nanosleep", "epoll_pwait", "epoll_wait", "futex", "getcpu", "gettimeofday",
	"madvise", "membarrier", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "poll", "ppoll", "sched_yield",
	/* descriptors that are open: eventfds of guests, packet sockets, the log */
	"close", "fstat", "lseek", "newfstatat", "pwrite64", "read", "readv", "recvfrom", "recvmmsg", "recvmsg",
	"sendmmsg", "sendmsg", "sendto", "write", "writev",
	/* NICs that the kernel shares with user space: a queue is brought back, memory registered, by the worker */
	"ioctl",
	/* life of a thread; reports of sanitizers */
	"exit", "exit_group", "getpid", "getrandom", "gettid", "restart_syscall", "rseq", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "set_robust_list", "sigaltstack", "tgkill",
};

static const char *const refused_calls[] = {
	"acct", "add_key", "chroot", "clock_adjtime", "clock_settime", "delete_module", "execve", "execveat",
	"finit_module", "fsconfig", "fsmount", "fsopen", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load",
	"kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr", "move_mount", "name_to_handle_at",
	"open_by_handle_at", "open_tree", "pidfd_getfd", "pivot_root", "process_vm_readv", "process_vm_writev",
	"ptrace", "quotactl", "reboot", "request_key", "setdomainname", "setfsgid", "setfsuid", "setgid", "setgroups",
	"sethostname", "setns", "setregid", "setresgid", "setresuid", "setreuid", "settimeofday", "setuid", "swapoff",
	"swapon", "syslog", "umount2", "unshare", "uselib", "vhangup",
};

static void filter_free(scmp_filter_ctx *f)
{
	if (*f)
		seccomp_release(*f);
}

/* Calls this architecture does not have are none to be ruled. */
static int add_rules(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		if (number >= 0)
			r = seccomp_rule_add(f, action, number, 0);
	}
	return r;
}

static int load(uint32_t otherwise, uint32_t action, const char *const *names, size_t n, bool all_threads)
{
	__attribute__((cleanup(filter_free))) scmp_filter_ctx f = seccomp_init(otherwise);
	int r;

	if (!f)
		return -ENOMEM;
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1); /* not every kernel can */
	r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, all_threads);
	if (r == 0)
		r = add_rules(f, action, names, n);
	return r == 0 ? seccomp_load(f) : r;
}

/* A sanitizer traces the process for its reports, and reads and runs what is on no list. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE 0
#endif
#endif
#ifndef CONFINE
#define CONFINE 1
#endif

int privileges_confine_worker(void)
{
	if (!CONFINE)
		return 0;
	return load(SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ALLOW, worker_calls, sizeof(worker_calls) / sizeof(worker_calls[0]),
		    false);
}

int privileges_confine_process(struct errbuf *err)
{
	int r;

	if (!CONFINE)
		return 0;
	r = load(SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), refused_calls,
		 sizeof(refused_calls) / sizeof(refused_calls[0]), true);
	return r < 0 ? err_set(err, -r, "cannot confine system calls: %s", strerror(-r)) : 0;
}
