/* SPDX-License-Identifier: MIT */
/* pvgpuctl drain-host: no new programs on this host's vGPUs, and who is in the way of its
 * maintenance. It moves no VM, and ends programs only with --end-after. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"
#include "xen-pvgpu-back/toolstack/ini_file.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

struct draining {
	struct host h;
	struct vgpus all;
	size_t in_the_way;
	struct vms files; /* of VMs that keep their vGPUs */
	json_t *vms, *backends;
};

struct order {
	struct pvgpu_ids ids;
	const char *uuid;
	enum pvgpu_drain drain;
	char err[VGPU_SPEC_ERROR];
};

static int set_drain(struct store *s, void *arg)
{
	struct order *o = arg;
	char text[PVGPU_KEY_TEXT] = "", *had;
	size_t len;

	if (!vgpu_is_there(s, &o->ids, o->uuid))
		return -ENOENT;
	had = store_key(s, PVGPU_KEY_BACKEND_POLICY, &o->ids, &len);
	if (had && len < sizeof(text))
		strcpy(text, had);
	free(had);
	if (policy_set(text, "drain", pvgpu_name_of(&pvgpu_drain_names, o->drain), o->err) < 0)
		return -EINVAL;
	return store_put(s, PVGPU_KEY_BACKEND_POLICY, &o->ids, text);
}

static int set_all(struct draining *k, enum pvgpu_drain drain)
{
	for (size_t i = 0; i < k->all.n; i++) {
		const struct vgpu *v = &k->all.v[i];
		struct order o = {.ids = v->ids, .uuid = v->uuid, .drain = drain};
		char label[VGPU_LABEL];
		int err;

		/* An end that was announced is taken back by --undo only. */
		if (!v->backend_there || v->policy.drain == drain ||
		    (drain && v->policy.drain > drain))
			continue;
		err = store_atomically(&k->h.store, set_drain, &o);
		/* One that has been detached meanwhile needs no order. */
		if (err && err != -ENOENT)
			return ctl_fail(EXIT_REFUSED, "%s: %s", vgpu_label(&k->h, v, label),
					o.err[0] ? o.err : strerror(-err));
	}
	return EXIT_DONE;
}

static int read_all(struct draining *k)
{
	int err;

	vgpus_free(&k->all);
	err = vgpus_read(&k->h.store, &k->h.domains, vgpu_read, &k->all);
	return err ? ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore: %s", strerror(-err))
		   : EXIT_DONE;
}

static unsigned long sessions(const struct draining *k)
{
	unsigned long n = 0;

	for (size_t i = 0; i < k->all.n; i++)
		n += k->all.v[i].statistics.sessions;
	return n;
}

static void watch(struct draining *k)
{
	for (size_t i = 0; i < k->h.domains.n; i++) {
		char path[STORE_PATH];

		snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu",
			 k->h.domains.v[i].domid);
		if (store_exists(&k->h.store, path))
			store_watch(&k->h.store, path, "drain");
	}
}

/* Until no program uses a vGPU, or the time is over. */
static int wait_for_programs(struct draining *k, double limit_s)
{
	const double end = await_now() + limit_s;
	int status = EXIT_DONE;

	while (!status && sessions(k) && await_event(&k->h.store, end))
		status = read_all(k);
	return status;
}

/* ---- who is in the way ---- */

/* Will the VM have the vGPU at its next start, here or elsewhere? */
static bool lasts(const struct draining *k, const struct domain *d, uint32_t id)
{
	struct vm_conf of_xapi = {0}, *c;
	char err[VMS_ERROR];
	bool found;

	if (vm_conf_of_xapi(&of_xapi, ctl.xapi_dir, d->uuid, err) == 0) {
		found = vm_conf_vgpu(&of_xapi, id);
		vm_conf_free(&of_xapi);
		return found;
	}
	c = vms_find(&k->files, d);
	return c && vm_conf_vgpu(c, id);
}

/* xapi migrates no VM with a VGPU object; pvgpu-vgpu(8) serves those. */
static bool may_move(struct draining *k, const struct domain *d)
{
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "/local/domain/%u/vgpu/state", d->domid);
	return !store_exists(&k->h.store, path);
}

static void report_vm(struct draining *k, const struct domain *d)
{
	unsigned int vgpus = 0, busy = 0, by_hand = 0;
	const bool moves = may_move(k, d);
	char name[DOMAIN_NAME];

	for (size_t i = 0; i < k->all.n; i++) {
		const struct vgpu *v = &k->all.v[i];

		if (v->ids.fe != d->domid)
			continue;
		vgpus++;
		busy += v->statistics.sessions;
		by_hand += moves && !lasts(k, d, v->ids.id);
	}
	if (!vgpus)
		return;
	domain_label(&k->h.domains, d->domid, name);
	k->in_the_way += busy || by_hand || !moves;
	json_array_append_new(k->vms, json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:b}", "domid",
						(int)d->domid, "name", d->name, "uuid", d->uuid,
						"vgpus", (int)vgpus, "sessions", (int)busy,
						"by-hand", (int)by_hand, "may-move", moves));
	if (ctl.json)
		return;
	printf("%s (domain %u): %u vGPU%s", domain_label(&k->h.domains, d->domid, name), d->domid,
	       vgpus, vgpus == 1 ? "" : "s");
	if (busy)
		printf("; %u program%s would fail when it moves", busy, busy == 1 ? "" : "s");
	if (by_hand)
		printf("; %u attached by hand and would not follow it", by_hand);
	if (!moves)
		printf("; it has a VGPU object of xapi and cannot be moved: shut it down");
	puts(busy || by_hand || !moves ? "" : "; can be moved or stopped");
}

static void report_backend(struct draining *k, const struct domain *d)
{
	unsigned int vgpus = 0;
	char name[DOMAIN_NAME];

	for (size_t i = 0; i < k->all.n; i++)
		vgpus += k->all.v[i].backend_there && k->all.v[i].ids.be == d->domid;
	if (!vgpus || !d->domid)
		return;
	json_array_append_new(k->backends,
			      json_pack("{s:i, s:s, s:s, s:i}", "domid", (int)d->domid, "name",
					d->name, "uuid", d->uuid, "vgpus", (int)vgpus));
	if (!ctl.json)
		printf("%s (domain %u): serves %u vGPU%s: stop it after their VMs; it does not "
		       "move\n",
		       domain_label(&k->h.domains, d->domid, name), d->domid, vgpus,
		       vgpus == 1 ? "" : "s");
}

static void report(struct draining *k)
{
	for (size_t i = 0; i < k->h.domains.n; i++)
		report_vm(k, &k->h.domains.v[i]);
	for (size_t i = 0; i < k->h.domains.n; i++)
		report_backend(k, &k->h.domains.v[i]);
	if (ctl.json) {
		answer_print(json_pack("{s:b, s:O, s:O}", "clear", k->in_the_way == 0, "vms",
				       k->vms, "backends", k->backends),
			     false);
	} else if (!k->all.n) {
		puts("no VM here has a vGPU");
	}
}

static int drain(struct draining *k)
{
	int status = set_all(k, PVGPU_DRAIN_1);

	watch(k);
	if (!status && ctl.ends)
		status = wait_for_programs(k, ctl.end_after_s);
	if (!status && ctl.ends && sessions(k))
		status = set_all(k, PVGPU_DRAIN_NOW);
	status = status ? status : wait_for_programs(k, ctl.limit_s);
	/* Others may have detached some. */
	return status ? status : read_all(k);
}

int xen_drain_host(int argc, char **argv)
{
	struct draining k = {.vms = json_array(), .backends = json_array()};
	int status;

	if (ctl.undo + ctl.dry_run + ctl.ends > 1)
		status = ctl_fail(EXIT_USAGE,
				  "--undo, --dry-run and --end-after exclude each other");
	else
		status = host_open(&k.h);
	if (status) {
		json_decref(k.vms);
		json_decref(k.backends);
		return status;
	}
	status = read_all(&k);
	if (!status && !ctl.dry_run)
		status = ctl.undo ? set_all(&k, PVGPU_DRAIN_0) : drain(&k);
	if (!status && !ctl.undo) {
		vms_read(&k.files, ctl.config_dir, ini_fault_ignore, NULL);
		xl_configs_add(&k.files, XL_DIR, ini_fault_ignore, NULL);
		report(&k);
		status = k.in_the_way ? EXIT_REFUSED : EXIT_DONE;
	}
	json_decref(k.vms);
	json_decref(k.backends);
	vms_free(&k.files);
	vgpus_free(&k.all);
	host_close(&k.h);
	return status;
}
