/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/core/near.h"

#include <dirent.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"

#define DEVICES   "/sys/bus/pci/devices"
#define NODES_MAX 1024

static bool line_of(const char *dir, const char *name, char *out, size_t cap)
{
	char path[256];
	FILE *f;
	bool read;

	snprintf(path, sizeof(path), "%.160s/%.40s", dir, name);
	f = fopen(path, "re");
	read = f && fgets(out, (int)cap, f);
	if (f)
		fclose(f);
	if (read)
		out[strcspn(out, "\n")] = '\0';
	return read;
}

/* "0-3,8" */
static bool parse(const char *text, cpu_set_t *set)
{
	char *end;

	CPU_ZERO(set);
	for (const char *p = text; *p; p = *end == ',' ? end + 1 : end) {
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (end == p)
			return false;
		if (*end == '-') {
			p = end + 1;
			to = strtoul(p, &end, 10);
		}
		if (end == p || (*end && *end != ',') || to < from || to >= CPU_SETSIZE)
			return false;
		for (; from <= to; from++)
			CPU_SET(from, set);
	}
	return CPU_COUNT(set) > 0;
}

bool near_read(const char *devices, uint32_t domain, uint32_t slot, struct near *out)
{
	char dir[160], node[16];

	*out = (struct near){.domain = domain, .slot = slot, .node = -1};
	snprintf(dir, sizeof(dir), "%.120s/%04x:%02x:%02x.0", devices, domain, slot >> 8 & 0xff,
		 slot >> 3 & 0x1f);
	if (!line_of(dir, "local_cpulist", out->cpus, sizeof(out->cpus)) ||
	    !parse(out->cpus, &out->set))
		return false;
	if (line_of(dir, "numa_node", node, sizeof(node)))
		out->node = atoi(node);
	if (out->node < 0 || out->node >= NODES_MAX)
		out->node = -1;
	out->known = true;
	return true;
}

int near_pin(const struct near *n, pid_t pid)
{
	const struct dirent *e;
	char path[40];
	DIR *dir;
	int err = 0;

	if (!n->known)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return errno;
	while (!err && (e = readdir(dir))) {
		const pid_t thread = (pid_t)atoi(e->d_name);

		/* A thread may end meanwhile. */
		if (thread > 0 && sched_setaffinity(thread, sizeof(n->set), &n->set) < 0 &&
		    errno != ESRCH)
			err = errno;
	}
	closedir(dir);
	return err;
}

static void set_memory(int mode, int node)
{
	unsigned long nodes[NODES_MAX / (8 * sizeof(long))] = {0};

	if (node >= 0)
		nodes[(size_t)node / (8 * sizeof(long))] |= 1ul
							    << (size_t)node % (8 * sizeof(long));
	/* Without NUMA in the kernel there is no such call, and all memory is as near. */
	syscall(SYS_set_mempolicy, mode, node < 0 ? NULL : nodes, node < 0 ? 0ul : NODES_MAX + 1ul);
}

void near_memory_begin(const struct near *n)
{
	if (n->known && n->node >= 0)
		set_memory(MPOL_PREFERRED, n->node);
}

void near_memory_end(const struct near *n)
{
	if (n->known && n->node >= 0)
		set_memory(MPOL_DEFAULT, -1);
}

void near_found(struct pool *p)
{
	const struct health_msg *m = &p->pcie;
	const struct worker *w;
	int err = 0;

	if (!p->d->cfg.numa || m->pcie.domain == UINT32_MAX ||
	    (p->near.known && p->near.domain == m->pcie.domain && p->near.slot == m->pcie.slot))
		return;
	if (!near_read(DEVICES, m->pcie.domain, m->pcie.slot, &p->near))
		return;
	TAILQ_FOREACH(w, &p->d->workers, link)
	if (w->pool == p && w->pid > 0 && !err)
		err = near_pin(&p->near, w->pid);
	if (err)
		log_warning("pool %s: its workers cannot be moved to the processors %s near the "
			    "GPU: %s",
			    p->cfg.name, p->near.cpus, strerror(err));
	else
		log_info("pool %s: workers run on the processors %s, which are near the GPU%s",
			 p->cfg.name, p->near.cpus,
			 p->near.node < 0 ? "; the machine tells of no NUMA node" : "");
}
