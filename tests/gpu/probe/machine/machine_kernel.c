/* SPDX-License-Identifier: MIT */
/* The kernel, the driver's module, limits, and the machine's size as this process sees it. */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/gpu/probe/machine/machine.h"

#define KLOG_READ_ALL 3

/* A file as one line, or "absent". */
static void say_file(const char *key, const char *path)
{
	char text[1024];

	if (!proc_read(path, text, sizeof(text))) {
		say_text(key, "absent");
		return;
	}
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	say_text(key, "%s", text);
}

/* gVisor names itself only in its kernel log; /proc/version shows a fixed old Linux. */
static void say_sandbox(const struct utsname *u)
{
	static char log[1 << 16];
	const int n = klogctl(KLOG_READ_ALL, log, sizeof(log) - 1);
	char version[256] = "";
	const bool logged = n > 0 && strcasestr(log, "gvisor");
	bool claimed;

	proc_read("/proc/version", version, sizeof(version));
	claimed = strstr(version, "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016");
	say_text("kernel", "%s %s", u->sysname, u->release);
	say_text("sandbox", "%s", logged || claimed ? "gvisor" : "none seen");
	say_text("sandbox_by", "kernel log: %s; /proc/version: %s",
		 n < 0 ? "not readable" : (logged ? "names gVisor" : "does not name it"),
		 claimed ? "the one that gVisor shows" : "another");
	say_int("hypervisor",
		proc_read("/proc/cpuinfo", log, sizeof(log)) && strstr(log, " hypervisor"));
}

static void say_driver(void)
{
	char text[1024];

	say_file("module_version", "/proc/driver/nvidia/version");
	if (proc_read("/proc/driver/nvidia/version", text, sizeof(text)))
		say_text("module_kind", "%s",
			 strstr(text, "Open Kernel Module") ? "open" : "proprietary");
	say_file("uvm_disable_hmm", "/sys/module/nvidia_uvm/parameters/uvm_disable_hmm");
	say_file("module_parameters", "/proc/driver/nvidia/params");
}

static void say_devices(void)
{
	DIR *d = opendir("/dev");
	struct dirent *e;
	char names[512] = "";
	size_t n = 0;

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "nvidia", 6) && n < sizeof(names) - 260)
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s ", e->d_name);
	if (d)
		closedir(d);
	say_text("device_files", "%s", names);
}

static void say_limit(const char *key, int what)
{
	struct rlimit l;
	char name[64];

	if (getrlimit((__rlimit_resource_t)what, &l))
		return;
	snprintf(name, sizeof(name), "rlimit_%s", key);
	if (l.rlim_cur == RLIM_INFINITY)
		say_text(name, "unlimited");
	else
		say_int(name, (int64_t)l.rlim_cur);
	snprintf(name, sizeof(name), "rlimit_%s_hard", key);
	if (l.rlim_max == RLIM_INFINITY)
		say_text(name, "unlimited");
	else
		say_int(name, (int64_t)l.rlim_max);
}

static void say_resources(void)
{
	struct statvfs shm;
	struct sysinfo si;
	cpu_set_t cpus;

	say_limit("nofile", RLIMIT_NOFILE);
	say_limit("memlock", RLIMIT_MEMLOCK);
	say_limit("nproc", RLIMIT_NPROC);
	say_limit("as", RLIMIT_AS);
	if (!statvfs("/dev/shm", &shm)) {
		say_int("shm_bytes", (int64_t)(shm.f_blocks * shm.f_frsize));
		say_int("shm_free_bytes", (int64_t)(shm.f_bavail * shm.f_frsize));
	}
	if (!sysinfo(&si)) {
		say_int("memory_bytes", (int64_t)si.totalram * si.mem_unit);
		say_int("memory_free_bytes", (int64_t)si.freeram * si.mem_unit);
	}
	say_int("cores", sysconf(_SC_NPROCESSORS_ONLN));
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		say_int("cores_usable", CPU_COUNT(&cpus));
	say_file("memory_max", "/sys/fs/cgroup/memory.max");
	say_file("pids_max", "/sys/fs/cgroup/pids.max");
	say_file("cpu_max", "/sys/fs/cgroup/cpu.max");
	say_file("max_map_count", "/proc/sys/vm/max_map_count");
	say_file("overcommit", "/proc/sys/vm/overcommit_memory");
}

static void say_identity(void)
{
	char text[4096], field[128] = "", *at;

	proc_read("/proc/self/status", text, sizeof(text));
	at = strstr(text, "\nNSpid:");
	if (at)
		sscanf(at + 7, " %127[^\n]", field);
	for (char *p = field; *p; p++)
		if (*p == '\t')
			*p = ' ';
	say_text("ns_pids", "%s", at ? field : "absent");
	say_int("pid", getpid());
	/* The outermost is on the left; alone, it cannot be told whether there are others. */
	verdict(ASSUME_one_pid_namespace, at && atoi(field) == getpid() && !strchr(field, ' '),
		"NSpid is %s", at ? field : "absent");
	say_int("uid", geteuid());
	at = strstr(text, "\nCapEff:");
	field[0] = '\0';
	if (at)
		sscanf(at + 8, " %127s", field);
	say_text("capabilities", "%s", field);
	say_int("seccomp_mode", proc_status("Seccomp"));
	say_int("no_new_privs", proc_status("NoNewPrivs"));
}

void machine_kernel(void)
{
	struct utsname u;

	if (uname(&u))
		memset(&u, 0, sizeof(u));
	say_sandbox(&u);
	say_driver();
	say_devices();
	say_identity();
	say_resources();
}
