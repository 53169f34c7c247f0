/* SPDX-License-Identifier: MIT */
/* pvgpuctl profiles and tenants: what the site's files say, and their faults. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"
#include "xen-pvgpu-back/toolstack/room.h"
#include "xen-pvgpu-back/toolstack/site.h"

static void complain(void *arg, const char *text)
{
	json_t *faults = arg;

	json_array_append_new(faults, json_string(text));
	fprintf(stderr, "pvgpuctl: %s\n", text);
}

static int finish(json_t *o, int faults)
{
	if (ctl.json)
		answer_print(o, false);
	else
		json_decref(o);
	return faults ? EXIT_REFUSED : EXIT_DONE;
}

/* ---- profiles ---- */

static json_t *profile_json(const struct profile *p)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "name", p->name,
			 "description", p->what, "memory", (json_int_t)p->spec.memory, "policy",
			 p->spec.policy, "pool", p->spec.pool.s, "backend", p->spec.backend,
			 "model", p->spec.model.s, "per-gpu", (int)p->per_gpu, "gpus", p->gpus,
			 "fault", p->fault);
}

static void print_profile(const struct profile *p)
{
	char memory[24] = "all", per_gpu[16] = "-";

	if (p->spec.memory)
		snprintf(memory, sizeof(memory), "%" PRIu64, p->spec.memory >> 20);
	if (p->per_gpu)
		snprintf(per_gpu, sizeof(per_gpu), "%u", p->per_gpu);
	printf("%-20s %10s %8s  %s%s%s%s%s%s%s\n", p->name, memory, per_gpu,
	       p->fault[0] ? "FAULTY " : "", p->spec.policy, p->spec.pool.len ? " pool=" : "",
	       p->spec.pool.s, p->gpus[0] ? " gpus=" : "", p->gpus,
	       p->what[0] || p->spec.policy[0] ? "" : "-");
}

int profiles_main(int argc, char **argv)
{
	json_t *faults = json_array(), *all = json_array();
	struct profiles p;
	bool found = !argc;
	int n = profiles_read(&p, ctl.site_dir, complain, faults);

	if (n < 0) {
		json_decref(faults);
		json_decref(all);
		return ctl_fail(EXIT_NOT_THERE, "%s: %s", p.path, strerror(-n));
	}
	if (!ctl.json)
		printf("%-20s %10s %8s  %s\n", "PROFILE", "MEMORY MiB", "PER GPU", "SETTINGS");
	for (size_t i = 0; i < p.n; i++) {
		if (argc && strcmp(p.v[i].name, argv[0]) != 0)
			continue;
		found = true;
		json_array_append_new(all, profile_json(&p.v[i]));
		if (!ctl.json)
			print_profile(&p.v[i]);
	}
	if (!p.n && !n)
		fprintf(stderr, "pvgpuctl: %s has no profiles, see pvgpu-profiles.conf(5)\n",
			p.path);
	n = finish(json_pack("{s:s, s:o, s:o}", "file", p.path, "profiles", all, "faults", faults),
		   n);
	if (!found)
		n = ctl_fail(EXIT_NOT_THERE, "%s has no profile '%s'", p.path, argv[0]);
	profiles_free(&p);
	return n;
}

/* ---- tenants ---- */

struct use {
	uint64_t vgpus, memory, used, gpu_time;
};

static struct use use_of(const struct vgpus *all, const char *name)
{
	struct use u = {0};

	for (size_t i = 0; i < all->n; i++) {
		if (!all->v[i].backend_there || strcmp(pool_group(&all->v[i].pool), name) != 0)
			continue;
		u.vgpus++;
		u.memory += all->v[i].memory;
		u.used += all->v[i].statistics.memory_used;
		u.gpu_time += all->v[i].statistics.gpu_time;
	}
	return u;
}

static json_t *tenant_json(const char *name, const struct tenant_limits *t, const struct use *u)
{
	const struct tenant_limits none = {0};
	struct pvgpu_backend_group_policy p = {0};

	t = t ? t : &none;
	pvgpu_backend_group_policy_parse(t->policy, strlen(t->policy), &p, NULL);
	return json_pack("{s:s, s:{s:i, s:I, s:I, s:I, s:s}, s:I, s:I, s:I, s:I, s:s}", "name",
			 name, "limits", "vgpus", (int)t->vgpus, "memory", (json_int_t)t->memory,
			 "rate-commands", (json_int_t)p.rate_commands, "rate-bytes",
			 (json_int_t)p.rate_bytes, "group", t->policy, "vgpus",
			 (json_int_t)u->vgpus, "memory", (json_int_t)u->memory, "memory-used",
			 (json_int_t)u->used, "gpu-time", (json_int_t)u->gpu_time, "fault",
			 t->fault);
}

static void limit_text(uint64_t n, char out[24])
{
	if (n)
		snprintf(out, 24, "%" PRIu64, n);
	else
		strcpy(out, "-");
}

static void print_tenant(const char *name, const struct tenant_limits *t, const struct use *u)
{
	char vgpus[24], memory[24];

	limit_text(t ? t->vgpus : 0, vgpus);
	limit_text(t ? t->memory >> 20 : 0, memory);
	printf("%-39s %5" PRIu64 "/%-5s %10" PRIu64 "/%-10s %10.1f  %s%s\n", name, u->vgpus, vgpus,
	       u->memory >> 20, memory, (double)u->gpu_time / 1e6,
	       t && t->fault[0] ? "FAULTY " : "", t ? t->policy : "");
}

struct showing {
	const struct vgpus *all;
	json_t *out;
	const char *only; /* NULL: all */
	bool found;
};

static void show_tenant(struct showing *s, const char *name, const struct tenant_limits *t)
{
	struct use u = use_of(s->all, name);

	if (s->only && strcmp(s->only, name) != 0)
		return;
	s->found = true;
	json_array_append_new(s->out, tenant_json(name, t, &u));
	if (!ctl.json)
		print_tenant(name, t, &u);
}

/* Those of the file, then groups in use that the file does not name. */
static void show_tenants(struct showing *s, const struct tenants *t)
{
	for (size_t i = 0; i < t->n; i++)
		show_tenant(s, t->v[i].name, &t->v[i]);
	for (size_t i = 0; i < s->all->n; i++) {
		const char *group = pool_group(&s->all->v[i].pool);
		const struct tenant_limits *l = tenants_find(t, group);
		bool seen = !group[0] || (l && !strcmp(l->name, group));

		for (size_t j = 0; j < i && !seen; j++)
			seen = !strcmp(pool_group(&s->all->v[j].pool), group);
		if (!seen)
			show_tenant(s, group, l);
	}
}

int xen_tenants(int argc, char **argv)
{
	json_t *faults = json_array();
	struct vgpus all = {0};
	struct showing s = {.all = &all, .out = json_array(), .only = argc ? argv[0] : NULL};
	struct tenants t = {0};
	struct host h;
	int n, status = host_open(&h);

	if (!status && vgpus_read(&h.store, &h.domains, vgpu_read, &all) < 0) {
		status = ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore failed");
		host_close(&h);
	}
	if (status) {
		json_decref(faults);
		json_decref(s.out);
		return status;
	}
	n = tenants_read(&t, ctl.site_dir, complain, faults);
	if (n < 0)
		ctl_fail(EXIT_REFUSED, "%s: %s", t.path, strerror(-n));
	if (!ctl.json)
		printf("%-39s %5s/%-5s %10s/%-10s %10s  %s\n", "TENANT", "VGPUS", "MOST",
		       "MEMORY MiB", "MOST", "GPU TIME s", "GROUP");
	show_tenants(&s, &t);
	status = finish(
		json_pack("{s:s, s:o, s:o}", "file", t.path, "tenants", s.out, "faults", faults),
		n);
	if (s.only && !s.found)
		status = ctl_fail(EXIT_NOT_THERE, "no tenant '%s': neither a vGPU nor %s has it",
				  s.only, t.path);
	tenants_free(&t);
	vgpus_free(&all);
	host_close(&h);
	return status;
}
