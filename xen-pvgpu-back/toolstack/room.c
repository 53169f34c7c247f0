/* SPDX-License-Identifier: MIT */
/* How many more fit, and what is in the way: numbers in, a verdict out. */
#include "xen-pvgpu-back/toolstack/room.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ALL 1000000u /* of a GPU's time */

const char *room_word(enum room_limit limit)
{
	static const char *const words[] = {
		[ROOM_NOTHING] = "",         [ROOM_MEMORY] = "memory", [ROOM_PER_GPU] = "per-gpu",
		[ROOM_SHARE] = "min-share",  [ROOM_MODEL] = "gpus",    [ROOM_POOL] = "pool",
		[ROOM_HEALTH] = "unhealthy", [ROOM_VGPUS] = "vgpus",
	};

	return words[limit];
}

static void lower(struct room *r, uint64_t fits, enum room_limit limit, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void lower(struct room *r, uint64_t fits, enum room_limit limit, const char *fmt, ...)
{
	va_list ap;

	if (fits >= r->fits)
		return;
	r->fits = (uint32_t)fits;
	r->limit = limit;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
}

static bool is_it(const struct holding *h, const struct pvgpu_ids *ids)
{
	return ids && h->ids.fe == ids->fe && h->ids.be == ids->be && h->ids.id == ids->id;
}

static bool named(const struct pvgpu_text *pool, const struct pvgpu_text *name)
{
	size_t n = strcspn(pool->s, "/");

	return n == name->len && !strncmp(pool->s, name->s, n);
}

/* A vGPU whose pool is not named may be on any GPU: it counts on each. */
static bool may_be_on(const struct holding *h, uint32_t be, const struct gpu *g)
{
	return h->ids.be == be && (!strcspn(h->pool.s, "/") || named(&h->pool, &g->name));
}

struct on_gpu {
	uint32_t of_profile;
	uint64_t min_share;
};

static struct on_gpu count(const struct room_ask *a, const struct gpu *g, const struct holdings *h)
{
	struct on_gpu n = {0};

	for (size_t i = 0; i < h->n; i++) {
		if (!may_be_on(&h->v[i], a->be, g) || is_it(&h->v[i], a->except))
			continue;
		n.of_profile += a->w->profile.len && !strcmp(h->v[i].profile.s, a->w->profile.s);
		n.min_share += h->v[i].policy.min_share;
	}
	return n;
}

static struct pvgpu_backend_policy policy_of(const struct vgpu_spec *w)
{
	struct pvgpu_backend_policy p = {0};

	pvgpu_backend_policy_parse(w->policy, strlen(w->policy), &p, NULL);
	return p;
}

/* Its guaranteed share, if that is more than it has. */
static uint64_t new_share(const struct room_ask *a)
{
	uint64_t share = policy_of(a->w).min_share;

	return a->had && share <= policy_of(a->had).min_share ? 0 : share;
}

static bool new_profile(const struct room_ask *a)
{
	return !a->had || strcmp(a->had->profile.s, a->w->profile.s) != 0;
}

/* Does it depend on the GPU that the vGPU is on? */
static bool needs_place(const struct room_ask *a)
{
	const struct profile *p = a->w->from;

	return p && ((new_profile(a) && (p->per_gpu || p->gpus[0])) || new_share(a));
}

void room_pool(struct pvgpu_text *pool, const struct gpu *on)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%.*s", on->name.s, 80, pool->s + strcspn(pool->s, "/"));
	pvgpu_text_set(pool, text, strlen(text));
}

bool room_matters(const struct room_ask *a)
{
	return a->w->owner || needs_place(a);
}

/* Its reserve of the GPU's memory, and the rest, which may be parked. */
static void by_reserve(const struct room_ask *a, const struct gpu *g, struct room *out)
{
	const uint64_t said = policy_of(a->w).memory_reserve;
	const uint64_t reserve = said && said < a->w->memory ? said : a->w->memory;
	const uint64_t parks = a->w->memory - reserve;

	if (!g->room.park_memory && parks)
		lower(out, 0, ROOM_MEMORY,
		      "memory-reserve is %" PRIu64 " of %" PRIu64
		      " MiB, and the pool has no park_memory: set that in pvgpud.conf, or "
		      "reserve all",
		      reserve >> 20, a->w->memory >> 20);
	if (!g->room.park_memory)
		return;
	lower(out, g->room.reserve_free / reserve, ROOM_MEMORY,
	      "%" PRIu64 " of %" PRIu64 " MiB are not reserved yet, one more reserves %" PRIu64
	      " MiB: detach a vGPU or lower memory-reserve",
	      g->room.reserve_free >> 20, g->room.memory >> 20, reserve >> 20);
	if (parks)
		lower(out, g->room.park_free / parks, ROOM_MEMORY,
		      "%" PRIu64 " of %" PRIu64
		      " MiB of park_memory are not promised yet, one more may park %" PRIu64
		      " MiB: raise park_memory or memory-reserve",
		      g->room.park_free >> 20, g->room.park_memory >> 20, parks >> 20);
}

static void by_memory(const struct room_ask *a, const struct gpu *g, struct room *out)
{
	/* pvgpud does not know its GPU yet: it decides itself. */
	if (a->except || a->force || !a->w->memory || !g->room.memory)
		return;
	by_reserve(a, g, out);
	lower(out, g->room.memory_free / a->w->memory, ROOM_MEMORY,
	      "%" PRIu64 " of %" PRIu64 " MiB are not promised yet, one more takes %" PRIu64
	      " MiB: detach a vGPU or take a smaller profile",
	      g->room.memory_free >> 20, g->room.memory >> 20, a->w->memory >> 20);
}

void room_on_gpu(const struct room_ask *a, const struct gpu *g, const struct holdings *h,
		 struct room *out)
{
	const struct profile *p = a->w->from;
	struct on_gpu n = count(a, g, h);
	uint64_t share = new_share(a), left = n.min_share < ALL ? ALL - n.min_share : 0;

	*out = (struct room){.fits = ROOM_UNLIMITED};
	if (strcspn(a->w->pool.s, "/") && !named(&a->w->pool, &g->name))
		lower(out, 0, ROOM_POOL, "the vGPU is for pool %.*s",
		      (int)strcspn(a->w->pool.s, "/"), a->w->pool.s);
	if (p && new_profile(a) && !profile_allows(p, g->model.s))
		lower(out, 0, ROOM_MODEL, "is a '%s', the profile is for %s", g->model.s, p->gpus);
	if (!g->room.healthy && !a->except)
		lower(out, 0, ROOM_HEALTH,
		      "it takes no new sessions: pvgpuctl pools --backend %u says why", a->be);
	if (p && new_profile(a) && p->per_gpu)
		lower(out, n.of_profile < p->per_gpu ? p->per_gpu - n.of_profile : 0, ROOM_PER_GPU,
		      "it has %u of at most %u vGPU%s of this profile", n.of_profile, p->per_gpu,
		      p->per_gpu == 1 ? "" : "s");
	if (p && share)
		lower(out, left / share, ROOM_SHARE,
		      "%g%% of the GPU's time are guaranteed already, one more takes %g%%",
		      (double)n.min_share / 1e4, (double)share / 1e4);
	by_memory(a, g, out);
}

/* ---- tenants ---- */

struct of_tenant {
	uint64_t vgpus, memory;
};

static struct of_tenant held(const struct room_ask *a, const struct holdings *h)
{
	const char *group = pool_group(&a->w->pool);
	struct of_tenant n = {0};

	for (size_t i = 0; i < h->n; i++) {
		if (strcmp(pool_group(&h->v[i].pool), group) != 0 || is_it(&h->v[i], a->except))
			continue;
		n.vgpus++;
		n.memory += h->v[i].memory;
	}
	return n;
}

/* A vGPU without a bound of its own would go around its tenant's. had: 0: it is new. */
static void by_memory_of_tenant(const char *group, const struct tenant_limits *t, uint64_t have,
				uint64_t want, uint64_t had, struct room *out)
{
	if (!t->memory || (had && want && want <= had))
		return;
	if (!want)
		lower(out, 0, ROOM_MEMORY,
		      "tenant %s has a limit of memory, so each of its vGPUs needs one: give "
		      "--memory "
		      "or a profile that has it",
		      group);
	else
		lower(out, have < t->memory ? (t->memory - have) / want : 0, ROOM_MEMORY,
		      "tenant %s has memory %" PRIu64 " of at most %" PRIu64
		      ", one more takes %" PRIu64 ": raise it in " TENANTS_FILE ", or take less",
		      group, have, t->memory, want);
}

void room_of_tenant(const struct room_ask *a, const struct holdings *h, struct room *out)
{
	const struct tenant_limits *t = a->w->owner;
	const char *group = pool_group(&a->w->pool);
	bool stays = a->had && !strcmp(pool_group(&a->had->pool), group);
	struct of_tenant n;

	*out = (struct room){.fits = ROOM_UNLIMITED};
	if (!t)
		return;
	n = held(a, h);
	if (t->vgpus && !stays)
		lower(out, n.vgpus < t->vgpus ? t->vgpus - n.vgpus : 0, ROOM_VGPUS,
		      "tenant %s has %" PRIu64 " of at most %u vGPU%s: detach one, or raise vgpus "
		      "in " TENANTS_FILE,
		      group, n.vgpus, t->vgpus, t->vgpus == 1 ? "" : "s");
	by_memory_of_tenant(group, t, n.memory, a->w->memory, stays ? a->had->memory : 0, out);
}

int room_check(const struct room_ask *a, const struct gpus *all, const struct holdings *h,
	       const struct gpu **gpu, char *err, size_t cap)
{
	const struct gpu *best = NULL;
	struct room r;
	size_t at;

	*gpu = NULL;
	room_of_tenant(a, h, &r);
	if (!r.fits) {
		snprintf(err, cap, "%s", r.why);
		return -ENOSPC;
	}
	if (!needs_place(a) || !all->n)
		return 0;
	at = (size_t)snprintf(err, cap, "profile %s fits on no GPU of domain %u", a->w->profile.s,
			      a->be);
	for (size_t i = 0; i < all->n; i++) {
		const struct gpu *g = &all->v[i];

		room_on_gpu(a, g, h, &r);
		if (r.fits && (!best || g->room.vgpus < best->room.vgpus))
			best = g;
		if (!r.fits && at < cap)
			at += (size_t)snprintf(err + at, cap - at, "%s %s: %s", i ? ";" : ":",
					       g->name.s, r.why);
	}
	if (!best)
		return -ENOSPC;
	err[0] = '\0';
	/* With one GPU there is nothing to choose. */
	*gpu = all->n > 1 ? best : NULL;
	return 0;
}
