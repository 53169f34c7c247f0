/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl doctor: looks at this machine and its pvgpud, and says of each thing that is wrong what
 * to do. Status 1: something is bad.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"
#include "xen-pvgpu-back/ctl/local/try_open.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define PCI          "/sys/bus/pci/devices"
#define NVIDIA       "0x10de"
#define LINE_TEXT    256
#define TEST_STEP_MS 50

enum verdict { OK, WARN, BAD, SKIP };
static const char *const words[] = {"ok", "WARN", "BAD", "skip"};

struct doctor {
	unsigned int counts[4];
	json_t *found;
};

/* advice NULL: nothing to do. */
static void __attribute__((format(printf, 5, 6)))
say(struct doctor *d, enum verdict verdict, const char *what, const char *advice, const char *fmt,
    ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->counts[verdict]++;
	json_array_append_new(d->found,
			      json_pack("{s:s, s:s, s:s, s:s}", "verdict", words[verdict], "what",
					what, "finding", text, "advice", advice ? advice : ""));
	if (ctl.json)
		return;
	printf("%-5s %s: %s\n", words[verdict], what, text);
	if (advice && (verdict == WARN || verdict == BAD))
		printf("      -> %s\n", advice);
}

/* The first line of a file; false: it cannot be read. */
static bool first_line(const char *path, char line[LINE_TEXT])
{
	FILE *f = fopen(path, "r");
	bool read = f && fgets(line, LINE_TEXT, f);

	if (f)
		fclose(f);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

/* ---- the machine ---- */

static void kernel(struct doctor *d)
{
	struct utsname u;
	unsigned int major = 0, minor = 0;

	if (uname(&u) < 0)
		return;
	sscanf(u.release, "%u.%u", &major, &minor);
	say(d, major > 5 || (major == 5 && minor >= 10) ? OK : BAD, "kernel",
	    "pvgpud needs Linux 5.10 or later, in dom0 or in a driver domain", "Linux %s",
	    u.release);
}

static void xen(struct doctor *d)
{
	char line[LINE_TEXT];

	if (!first_line("/sys/hypervisor/type", line) || strcmp(line, "xen") != 0) {
		say(d, SKIP, "Xen", NULL, "this is no Xen domain: the local link only");
		return;
	}
	say(d, access("/dev/xen/gntdev", F_OK) == 0 ? OK : BAD, "Xen", "modprobe xen-gntdev",
	    "/dev/xen/gntdev is %s", access("/dev/xen/gntdev", F_OK) == 0 ? "there" : "missing");
	say(d, access("/dev/xen/evtchn", F_OK) == 0 ? OK : BAD, "Xen", "modprobe xen-evtchn",
	    "/dev/xen/evtchn is %s", access("/dev/xen/evtchn", F_OK) == 0 ? "there" : "missing");
	if (first_line("/sys/module/xen_gntdev/parameters/limit", line))
		say(d, atol(line) >= 100000 ? OK : WARN, "Xen's grants",
		    "options xen_gntdev limit=1048576 in /etc/modprobe.d", "%s for each process",
		    line);
}

static unsigned int entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned int n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static bool pci(const char *device, const char *file, char line[LINE_TEXT])
{
	char path[160];

	snprintf(path, sizeof(path), PCI "/%.60s/%.40s", device, file);
	return first_line(path, line);
}

static void pcie(struct doctor *d, const char *device)
{
	char now[LINE_TEXT], most[LINE_TEXT], what[80];

	snprintf(what, sizeof(what), "PCIe of %.40s", device);
	if (!pci(device, "current_link_width", now) || !pci(device, "max_link_width", most))
		return;
	say(d, !strcmp(now, most) ? OK : WARN, what,
	    "seat the card and its risers anew; a slot may have fewer lanes", "%s of %s lanes", now,
	    most);
}

static void gpus(struct doctor *d)
{
	DIR *dir = opendir(PCI);
	struct dirent *e;
	char line[LINE_TEXT];
	unsigned int n = 0;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !pci(e->d_name, "vendor", line) ||
		    strcmp(line, NVIDIA) != 0 || !pci(e->d_name, "class", line) ||
		    strncmp(line, "0x03", 4) != 0)
			continue;
		n++;
		pcie(d, e->d_name);
	}
	if (dir)
		closedir(dir);
	say(d, n ? OK : WARN, "GPUs", "without one pvgpud --simulated is all there is",
	    "%u of NVIDIA on the PCI bus", n);
	if (!n)
		return;
	say(d, entries("/sys/class/iommu") ? OK : WARN, "IOMMU",
	    "switch it on in the firmware: a driver domain needs it", "%u unit%s",
	    entries("/sys/class/iommu"), entries("/sys/class/iommu") == 1 ? "" : "s");
	if (first_line("/proc/driver/nvidia/version", line))
		say(d, OK, "NVIDIA's driver", NULL, "%s", line);
	else
		say(d, BAD, "NVIDIA's driver", "install it and load the module nvidia",
		    "/proc/driver/nvidia/version is missing");
}

/* ---- pvgpud ---- */

/* An old pvgpud says neither. without: the checks that are left out. */
static void look_isolation(struct doctor *d, const char *sandbox, const char *without)
{
	say(d, strcmp(sandbox, "full") ? BAD : OK, "sandbox of workers",
	    "remove sandbox from pvgpud.conf, or make the kernel able to close it: pvgpu-worker "
	    "--sandbox-check",
	    "%s", sandbox);
	say(d, without[0] ? WARN : OK, "memory between tenants",
	    "what one leaves may be read by the next, or be wrong: remove it from pvgpud.conf",
	    "%s%s", without[0] ? "not checked at the start: " : "scrub and ECC are required",
	    without);
}

static void look_daemon(struct doctor *d, json_t *o)
{
	const char *version = local_text(o, "version"), *on = local_text(o, "test-overrides");
	const char *accounting = local_text(o, "accounting"), *cgroups = local_text(o, "cgroups");
	const char *sandbox = local_text(o, "sandbox");
	const char *waits = local_text(o, "waits-for-restart");

	say(d, strcmp(version, PVGPU_VERSION) ? WARN : OK, "versions",
	    "restart pvgpud after an update: sessions go on", "pvgpud %s, pvgpuctl " PVGPU_VERSION,
	    version);
	say(d, on[0] ? BAD : OK, "isolation", "remove these settings from pvgpud.conf", "%s%s",
	    on[0] ? "overrides for tests: " : "no override for tests", on);
	/* An old pvgpud does not say. */
	if (json_object_get(o, "waits-for-restart"))
		say(d, waits[0] ? WARN : OK, "configuration",
		    "systemctl restart pvgpud: sessions go on", "%s%s",
		    waits[0] ? "these settings wait for a restart: "
			     : "no setting waits for a restart",
		    waits);
	if (sandbox[0])
		look_isolation(d, sandbox, local_text(o, "exceptions"));
	say(d, strcmp(accounting, "on") ? WARN : OK, "the driver's accounting",
	    "see pvgpu-health(8): until it works, who ignores the gate is not found", "%s",
	    accounting);
	say(d, strncmp(cgroups, "on", 2) ? WARN : OK, "cgroups of workers",
	    "boot with cgroup v2, and start pvgpud by its unit", "%s", cgroups);
}

/* An old pvgpud does not say. */
static enum verdict on(const char *word, enum verdict off)
{
	return !strcmp(word, "on") ? OK : !strcmp(word, "off") ? off : SKIP;
}

static void look_modes(struct doctor *d, const char *what, json_t *p)
{
	const char *persistence = local_text(p, "persistence"), *ecc = local_text(p, "ecc");
	const char *runs = local_text(p, "canaries");

	say(d, on(persistence, WARN), what,
	    "nvidia-smi -pm 1, or start nvidia-persistenced: else the driver starts the GPU anew "
	    "after each time without a process on it",
	    "persistence mode is %s", persistence[0] ? persistence : "unknown");
	say(d, on(ecc, WARN), what, "nvidia-smi -e 1, then reset the GPU", "ECC is %s",
	    ecc[0] ? ecc : "unknown");
	if (!ctl.test)
		say(d, atoll(runs) > 0 ? OK : SKIP, what, NULL, "%s test kernel%s run%s", runs,
		    atoll(runs) == 1 ? " has" : "s have",
		    atoll(runs) > 0 ? "" : ": pvgpuctl doctor --test runs one");
}

/* Runs the test kernel, beside what tenants run. */
static void test(struct doctor *d, const char *name)
{
	static const char right[] = "right: ";
	const double end = await_now() + ctl_answer_s();
	char path[128], said[200], what[80];
	int status;

	snprintf(what, sizeof(what), "GPU %.60s", name);
	snprintf(path, sizeof(path), "/pool/%.60s/test", name);
	status = local_write(2, (char *[]){path, (char *)"1", NULL});
	snprintf(said, sizeof(said), "%s", status ? "not run" : "running");
	while (!status && !strcmp(said, "running") && await_now() < end) {
		json_t *answer =
			local_ask(json_pack("{s:s, s:s}", "op", "read", "path", path), &status);

		snprintf(said, sizeof(said), "%s", local_text(answer, "value"));
		json_decref(answer);
		if (!strcmp(said, "running"))
			local_pause(TEST_STEP_MS);
	}
	if (!strncmp(said, right, strlen(right)))
		say(d, OK, what, NULL, "the test kernel gave the right answer in %s",
		    said + strlen(right));
	else if (!strcmp(said, "running"))
		say(d, WARN, what, "--timeout S waits longer; pvgpuctl pools shows the GPU's load",
		    "the test kernel has not ended in %g s", ctl_answer_s());
	else
		say(d, BAD, what, "docs/operators/alerts.md#pvgpugpuunhealthy",
		    "the test kernel: %s", said);
}

/* No line where the place of the GPU is not known, such as in a guest. */
static void look_near(struct doctor *d, const char *what, json_t *p)
{
	const char *cpus = local_text(p, "cpus"), *node = local_text(p, "numa-node");

	if (!cpus[0])
		return;
	if (atoi(node) < 0)
		say(d, OK, what, NULL, "its workers run on the processors %s: no NUMA node is told",
		    cpus);
	else
		say(d, OK, what, NULL,
		    "its workers run on the processors %s and take memory of NUMA node %s, which "
		    "are near it",
		    cpus, node);
}

/* The host memory that all pools may park in, beside the machine's. */
static void look_park_memory(struct doctor *d, json_t *pools)
{
	unsigned long long park = 0, machine = 0;
	const char *name;
	json_t *p;

	json_object_foreach(pools, name, p)
	{
		park += strtoull(local_text(p, "park-memory"), NULL, 10);
		machine = strtoull(local_text(p, "host-memory"), NULL, 10);
	}
	if (park && machine)
		say(d, park <= machine / 4 * 3 ? OK : WARN, "parked memory",
		    "lower park_memory in pvgpud.conf, or give the backend domain more memory",
		    "park_memory is %llu MiB of the machine's %llu", park >> 20, machine >> 20);
}

static void look_pool(struct doctor *d, const char *name, json_t *p)
{
	const char *health = local_text(p, "health"), *failure = local_text(p, "failure");
	char what[80];

	snprintf(what, sizeof(what), "GPU %.60s", name);
	say(d, strcmp(health, "ok") ? BAD : OK, what,
	    failure[0] ? "docs/operators/alerts.md#pvgpuworkersdonotstart"
		       : "docs/operators/alerts.md#pvgpugpuunhealthy",
	    "%s", health);
	look_modes(d, what, p);
	look_near(d, what, p);
	if (atoi(local_text(p, "unknown-processes")) > 0)
		say(d, WARN, what, "docs/operators/alerts.md#pvgpuunknownprocess",
		    "processes that are no workers use it: %s", local_text(p, "unknown-processes"));
}

/* Opens a session as a program would: of what it is refused for no key need say anything. */
static void open_session(struct doctor *d, const char *what, json_t *v)
{
	char reason[256];
	int err;

	err = try_open(local_text(v, "socket"), ctl_answer_s(), reason, sizeof(reason));
	if (!err)
		say(d, OK, what, NULL, "a session opens");
	else if (err == EUSERS)
		say(d, WARN, what, "pvgpuctl sessions; pvgpuctl set VGPU max-sessions=N",
		    "no session opens: %s", reason);
	else
		say(d, BAD, what,
		    err == ENOENT || err == ECONNREFUSED
			    ? "systemctl reload pvgpud makes its socket again"
			    : "pvgpuctl events and journalctl -u pvgpud say more",
		    "no session opens: %s", reason);
}

static void look_vgpu(struct doctor *d, const char *name, json_t *v)
{
	const bool quarantined = atoll(local_text(v, "quarantined")) > 0;
	const bool drains = strcmp(local_text(v, "drain"), "0") != 0;
	char what[80];

	snprintf(what, sizeof(what), "vGPU %.60s", name);
	if (quarantined)
		say(d, WARN, what, "docs/operators/alerts.md#pvgpuquarantined",
		    "quarantined for %s s: %s", local_text(v, "quarantined"),
		    local_text(v, "last-reason"));
	if (drains)
		say(d, WARN, what, "pvgpuctl set ... drain=0 lets sessions in again",
		    "it drains: no new session%s",
		    strcmp(local_text(v, "drain"), "now") ? "" : ", and running ones are ended");
	if (quarantined || drains)
		return;
	if (!ctl.by_keys && local_text(v, "socket")[0])
		open_session(d, what, v);
	else if (local_text(v, "refusing")[0])
		say(d, BAD, what, "pvgpuctl events and journalctl -u pvgpud say more",
		    "its latest session was refused: %s", local_text(v, "refusing"));
}

int local_doctor(int argc, char **argv)
{
	struct doctor d = {.found = json_array()};
	int status = EXIT_DONE;
	json_t *answer, *tree, *o;
	const char *name;

	status = local_route();
	if (status) {
		json_decref(d.found);
		return status;
	}
	if (ctl.by_keys) {
		say(&d, SKIP, "the machine", NULL,
		    "pvgpud is in domain %u: pvgpuctl doctor there looks at its kernel and GPUs",
		    ctl.asked);
	} else {
		kernel(&d);
		xen(&d);
		gpus(&d);
	}
	fflush(stdout);
	tree = local_ask_tree("/", &answer, &status);
	if (tree) {
		look_daemon(&d, json_object_get(tree, "daemon"));
		json_object_foreach(json_object_get(tree, "pool"), name, o)
		{
			look_pool(&d, name, o);
			if (ctl.test)
				test(&d, name);
		}
		look_park_memory(&d, json_object_get(tree, "pool"));
		json_object_foreach(json_object_get(tree, "vgpu"), name, o) look_vgpu(&d, name, o);
	} else if (ctl.by_keys) {
		say(&d, BAD, "pvgpud",
		    "systemctl status pvgpud and journalctl -u pvgpud in that domain",
		    "it does not answer in domain %u", ctl.asked);
	} else {
		say(&d, BAD, "pvgpud", "systemctl start pvgpud; journalctl -u pvgpud",
		    "it does not answer in %s", ctl.run_dir);
	}
	json_decref(answer);
	if (ctl.json) {
		answer_print_list("findings", json_incref(d.found), false);
	} else {
		printf("%u ok, %u to look at, %u bad, %u left out\n", d.counts[OK], d.counts[WARN],
		       d.counts[BAD], d.counts[SKIP]);
	}
	json_decref(d.found);
	return d.counts[BAD] ? EXIT_REFUSED : EXIT_DONE;
}
