/* SPDX-License-Identifier: MIT */
/* pvgpuctl capacity: how many more vGPUs of each profile fit on this host, and what is in the way.
 */
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

struct backend {
	const struct domain *d;
	char name[DOMAIN_NAME];
	bool runs; /* a pvgpud */
	struct gpus gpus;
};

struct asking {
	struct host h;
	struct site site;
	struct holdings holdings;
	struct domain only; /* --backend */
	bool has_only;
	json_t *out; /* NULL: a table */
};

/* ---- one profile on one backend ---- */

struct answer {
	struct room room; /* of all GPUs together */
	char where[32];   /* the GPU that room.why is about; empty: none */
	unsigned int used;
	json_t *gpus;
};

static json_t *fits_json(uint32_t fits)
{
	return fits == ROOM_UNLIMITED ? json_null() : json_integer(fits);
}

static json_t *room_json(const char *name, const struct room *r)
{
	return json_pack("{s:s, s:o, s:s, s:s}", "name", name, "fits", fits_json(r->fits), "limit",
			 room_word(r->limit), "why", r->why);
}

static void add_gpu(struct answer *a, const struct gpu *g, const struct room *r)
{
	struct room *sum = &a->room;
	bool first = !sum->why[0];

	json_array_append_new(a->gpus, room_json(g->name.s, r));
	if (r->fits == ROOM_UNLIMITED || sum->fits == ROOM_UNLIMITED)
		sum->fits = ROOM_UNLIMITED;
	else
		sum->fits += r->fits;
	/* The GPU that could take more, rather than one that the profile is not for. */
	if (!first && (r->limit == ROOM_MODEL || r->limit == ROOM_POOL))
		return;
	if (first || sum->limit == ROOM_MODEL || sum->limit == ROOM_POOL) {
		sum->limit = r->limit;
		memcpy(sum->why, r->why, sizeof(sum->why));
		snprintf(a->where, sizeof(a->where), "%.15s", g->name.s);
	}
}

static void refuse(struct answer *a, const char *why)
{
	a->room = (struct room){.limit = ROOM_NOTHING};
	snprintf(a->room.why, sizeof(a->room.why), "%.300s", why);
}

static void with_tenant(const struct asking *k, const struct room_ask *ask, struct answer *a)
{
	struct room t;

	room_of_tenant(ask, &k->holdings, &t);
	if (t.fits >= a->room.fits)
		return;
	a->room = t;
	a->where[0] = '\0';
}

static bool other_backend(const struct asking *k, const struct backend *b, const char *want)
{
	const struct domain *d;
	char err[DOMAIN_ERROR];

	if (!want[0])
		return b->d->domid != 0 && !k->has_only;
	return domains_resolve(&k->h.domains, "backend", want, &d, err) != 0 || d != b->d;
}

static void ask_profile(const struct asking *k, const struct backend *b, const struct profile *p,
			struct answer *a)
{
	struct vgpu_spec w = {.any_id = true};
	struct room_ask ask = {.w = &w, .be = b->d->domid};
	char err[VGPU_SPEC_ERROR];
	struct room r;

	*a = (struct answer){.gpus = json_array()};
	for (size_t i = 0; i < k->holdings.n; i++)
		a->used += k->holdings.v[i].ids.be == b->d->domid &&
			   !strcmp(k->holdings.v[i].profile.s, p->name);
	pvgpu_text_set(&w.profile, p->name, strlen(p->name));
	snprintf(w.tenant, sizeof(w.tenant), "%s", ctl.spec.tenant);
	if (site_resolve(&k->site, &w, err) < 0) {
		refuse(a, err);
		return;
	}
	if (!b->runs || !b->gpus.n) {
		refuse(a, b->runs ? "pvgpud has not reported a GPU yet: its log says why no worker "
				    "starts"
				  : "no pvgpud runs there: start it");
		return;
	}
	for (size_t i = 0; i < b->gpus.n; i++) {
		room_on_gpu(&ask, &b->gpus.v[i], &k->holdings, &r);
		add_gpu(a, &b->gpus.v[i], &r);
	}
	with_tenant(k, &ask, a);
}

/* ---- output ---- */

static json_t *backend_json(const struct asking *k, const struct backend *b)
{
	json_t *gpus = json_array(), *profiles = json_array();

	for (size_t i = 0; i < b->gpus.n; i++) {
		const struct gpu *g = &b->gpus.v[i];

		json_array_append_new(
			gpus, json_pack("{s:s, s:s, s:I, s:I, s:i, s:b}", "name", g->name.s,
					"model", g->model.s, "memory", (json_int_t)g->room.memory,
					"memory-free", (json_int_t)g->room.memory_free, "vgpus",
					(int)g->room.vgpus, "healthy", (int)g->room.healthy));
	}
	for (size_t i = 0; i < k->site.profiles.n; i++) {
		const struct profile *p = &k->site.profiles.v[i];
		struct answer a;
		json_t *o;

		if (other_backend(k, b, p->spec.backend))
			continue;
		ask_profile(k, b, p, &a);
		o = room_json(p->name, &a.room);
		json_object_set_new(o, "memory", json_integer((json_int_t)p->spec.memory));
		json_object_set_new(o, "used", json_integer(a.used));
		json_object_set_new(o, "gpus", a.gpus);
		json_array_append_new(profiles, o);
	}
	return json_pack("{s:i, s:s, s:b, s:o, s:o}", "domid", (int)b->d->domid, "name", b->name,
			 "pvgpud", (int)b->runs, "gpus", gpus, "profiles", profiles);
}

static void print_gpus(const struct backend *b)
{
	for (size_t i = 0; i < b->gpus.n; i++) {
		const struct gpu *g = &b->gpus.v[i];

		printf("%s, GPU %s (%s): %" PRIu64 " of %" PRIu64
		       " MiB are not promised, %u vGPU%s%s\n",
		       b->name, g->name.s, g->model.s, g->room.memory_free >> 20,
		       g->room.memory >> 20, g->room.vgpus, g->room.vgpus == 1 ? "" : "s",
		       g->room.healthy ? "" : ", takes no new session");
	}
	if (!b->gpus.n)
		printf("%s: no pvgpud has reported a GPU\n", b->name);
}

static void print_profiles(const struct asking *k, const struct backend *b)
{
	for (size_t i = 0; i < k->site.profiles.n; i++) {
		const struct profile *p = &k->site.profiles.v[i];
		struct answer a;
		char fits[16] = "no limit";

		if (other_backend(k, b, p->spec.backend))
			continue;
		ask_profile(k, b, p, &a);
		if (a.room.fits != ROOM_UNLIMITED)
			snprintf(fits, sizeof(fits), "%u", a.room.fits);
		printf("%-20s %-16s %8s %5u  %s%s%s\n", p->name, b->name, fits, a.used, a.where,
		       a.where[0] && a.room.why[0] ? ": " : "", a.room.why);
		json_decref(a.gpus);
	}
}

/* ---- backends ---- */

static bool runs_pvgpud(struct asking *k, uint32_t domid)
{
	char path[STORE_PATH];

	vgpu_path(PVGPU_TREE_HOST, &(struct pvgpu_ids){.be = domid},
		  pvgpu_keys[PVGPU_KEY_HOST_VERSION].name, path);
	return store_exists(&k->h.store, path);
}

/* Domains with a pvgpud; dom0 is named where there is none. */
static bool of_interest(struct asking *k, uint32_t domid, size_t running)
{
	if (k->has_only)
		return domid == k->only.domid;
	return runs_pvgpud(k, domid) || (!domid && !running);
}

static int each(struct asking *k, void (*show)(const struct asking *k, const struct backend *b))
{
	size_t running = 0;

	for (size_t i = 0; i < k->h.domains.n; i++)
		running += runs_pvgpud(k, k->h.domains.v[i].domid);
	for (size_t i = 0; i < k->h.domains.n; i++) {
		const struct domain *d = &k->h.domains.v[i];
		struct backend b = {.d = d};
		char name[DOMAIN_NAME];

		if (!of_interest(k, d->domid, running))
			continue;
		snprintf(b.name, sizeof(b.name), "%s", domain_label(&k->h.domains, d->domid, name));
		b.runs = runs_pvgpud(k, d->domid);
		if (gpus_read(&k->h.store, d->domid, &b.gpus) < 0)
			return ctl_fail(EXIT_REFUSED, "out of memory");
		show(k, &b);
		gpus_free(&b.gpus);
	}
	return EXIT_DONE;
}

static void show_json(const struct asking *k, const struct backend *b)
{
	json_array_append_new(k->out, backend_json(k, b));
}

static void show_gpus(const struct asking *k, const struct backend *b)
{
	print_gpus(b);
}

static int print(struct asking *k)
{
	int status;

	if (!ctl.json) {
		status = each(k, show_gpus);
		printf("\n%-20s %-16s %8s %5s  %s\n", "PROFILE", "BACKEND", "FITS", "USED",
		       "IN THE WAY OF MORE");
		if (!status)
			status = each(k, print_profiles);
		if (!k->site.profiles.n)
			printf("There are no profiles: define them in %s, see "
			       "pvgpu-profiles.conf(5)\n",
			       k->site.profiles.path);
		return status;
	}
	k->out = json_array();
	status = each(k, show_json);
	answer_print_list("backends", k->out, false);
	return status;
}

static void complain(void *arg, const char *text)
{
	fprintf(stderr, "pvgpuctl: %s\n", text);
}

static int find_only(struct asking *k)
{
	const struct domain *d;
	char err[DOMAIN_ERROR];
	int r;

	if (!ctl.spec.backend[0])
		return EXIT_DONE;
	r = domains_resolve(&k->h.domains, "backend", ctl.spec.backend, &d, err);
	if (r)
		return ctl_fail(r == -ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED, "%s", err);
	k->only = *d;
	k->has_only = true;
	return EXIT_DONE;
}

int xen_capacity(int argc, char **argv)
{
	struct asking k = {0};
	int status = host_open(&k.h), faults;

	if (status)
		return status;
	faults = site_read(&k.site, ctl.site_dir, complain, NULL);
	status = find_only(&k);
	if (!status && holdings_read(&k.h.store, &k.holdings) < 0)
		status = ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore failed");
	if (!status)
		status = print(&k);
	holdings_free(&k.holdings);
	site_free(&k.site);
	host_close(&k.h);
	return status ? status : faults ? EXIT_REFUSED : EXIT_DONE;
}
