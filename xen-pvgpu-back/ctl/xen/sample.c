/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/xen/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"
#include "xen-pvgpu-back/toolstack/tenants.h"

#define ANSWER_MAX_S 1e6

static void take_record(struct sample_row *r, const struct pvgpu_vgpu_record *v)
{
	snprintf(r->name, sizeof(r->name), "%s", v->name);
	r->of = *v;
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++)
		statistics_parts(&v->latency[k], r->part[k]);
}

static int out_of_memory(void)
{
	return ctl_fail(EXIT_REFUSED, "out of memory");
}

int sample_local(struct sample *s, const char *word)
{
	const double limit_s = ctl_answer_s() < ANSWER_MAX_S ? ctl_answer_s() : ANSWER_MAX_S;
	char why[STATISTICS_WHY];

	*s = (struct sample){0};
	if (statistics_read(&s->s, ctl.run_dir, (int)(limit_s * 1e3), why) < 0)
		return ctl_fail(EXIT_NOT_THERE, "%s", why);
	s->at = (double)s->s.header->monotonic_ns * 1e-9;
	s->rows = calloc(s->s.header->vgpus + 1, sizeof(*s->rows));
	if (!s->rows) {
		sample_free(s);
		return out_of_memory();
	}
	for (uint32_t i = 0; i < s->s.header->vgpus; i++)
		if (!word || !strcmp(word, s->s.vgpus[i].name))
			take_record(&s->rows[s->n++], &s->s.vgpus[i]);
	if (!word || s->n)
		return EXIT_DONE;
	sample_free(s);
	return ctl_fail(EXIT_NOT_THERE, "%s: no such vGPU; pvgpuctl list shows them", word);
}

/* In the same words as pvgpud's. */
static void take_identity(struct pvgpu_vgpu_record *of, const struct host *h, const struct vgpu *v)
{
	const struct domain *vm = domains_find(&h->domains, v->ids.fe);

	snprintf(of->vm, sizeof(of->vm), "%s", vm ? vm->name : "");
	snprintf(of->vm_uuid, sizeof(of->vm_uuid), "%s", vm ? vm->uuid : "");
	snprintf(of->uuid, sizeof(of->uuid), "%s", v->uuid);
	snprintf(of->pool, sizeof(of->pool), "%.*s", (int)strcspn(v->pool.s, "/"), v->pool.s);
	snprintf(of->group, sizeof(of->group), "%s", pool_group(&v->pool));
	snprintf(of->state, sizeof(of->state), "%s", vgpu_state_word(v));
	of->domain = v->ids.fe;
	of->device = v->ids.id;
}

static void take_keys(struct sample_row *r, const struct host *h, const struct vgpu *v)
{
	const struct pvgpu_key *key = &pvgpu_keys[PVGPU_KEY_BACKEND_STATISTICS];
	char label[DOMAIN_NAME];

	snprintf(r->name, sizeof(r->name), "%.50s:%u", domain_label(&h->domains, v->ids.fe, label),
		 v->ids.id);
	take_identity(&r->of, h, v);
	for (unsigned int i = 0; i < PVGPU_VGPU_N; i++)
		r->of.value[i] = PVGPU_UNKNOWN;
	for (uint32_t i = 0; i < PVGPU_STATISTIC_FIELDS; i++) {
		const struct pvgpu_statistic_field *f = &pvgpu_statistic_fields[i];
		const uint64_t value = pvgpu_field_get(&key->fields[i], &v->statistics);

		if (f->part == PVGPU_PART_VALUE)
			r->of.value[f->of] = value;
		else
			r->part[f->of][f->part] = value;
	}
	r->of.value[PVGPU_VGPU_MEMORY_LIMIT] = v->memory;
}

/* Leaves those of --backend. */
static int of_backend(struct vgpus *all)
{
	uint32_t be;
	size_t n = 0;
	int status = ctl.spec.backend[0] ? ask_whom(false, &be) : EXIT_DONE;

	for (size_t i = 0; !status && ctl.spec.backend[0] && i < all->n; i++)
		if (all->v[i].ids.be == be)
			all->v[n++] = all->v[i];
	if (!status && ctl.spec.backend[0])
		all->n = n;
	return status;
}

int sample_xen(struct sample *s, const char *word)
{
	struct vgpus all = {0};
	struct timespec t;
	struct host h;
	int status = host_open(&h);

	*s = (struct sample){0};
	if (status)
		return status;
	status = host_list(&h, word, &all);
	if (!status)
		status = of_backend(&all);
	clock_gettime(CLOCK_MONOTONIC, &t);
	s->at = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	if (!status) {
		s->rows = calloc(all.n + 1, sizeof(*s->rows));
		status = s->rows ? EXIT_DONE : out_of_memory();
	}
	for (size_t i = 0; !status && i < all.n; i++)
		take_keys(&s->rows[s->n++], &h, &all.v[i]);
	vgpus_free(&all);
	host_close(&h);
	return status;
}

void sample_free(struct sample *s)
{
	free(s->rows);
	statistics_free(&s->s);
	*s = (struct sample){0};
}
