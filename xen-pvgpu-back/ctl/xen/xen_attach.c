/* SPDX-License-Identifier: MIT */
/* pvgpuctl attach and detach. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/toolstack/attach.h"
#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/vms.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"

#define REASON 512
#define LOOKS  64 /* at a VM's vGPUs that others change */

static void tell(void *arg, const struct vgpu *v)
{
	const struct host *h = arg;
	char label[VGPU_LABEL], state[64];

	vgpu_state_text(v, state, sizeof(state));
	fprintf(stderr, "%s: %s\n", vgpu_label(h, v, label), state);
}

/* Progress is shown on a terminal only; a script gets one line at the end. */
static await_progress *progress(void)
{
	return isatty(STDERR_FILENO) ? tell : NULL;
}

static void print_attached(const struct host *h, const struct vgpu *v, const char *reason)
{
	char label[VGPU_LABEL], name[DOMAIN_NAME], state[64];

	if (ctl.json) {
		json_t *o = vgpu_json(v, &h->domains);

		if (reason)
			json_object_set_new(o, "reason", json_string(reason));
		answer_print_list("vgpus", json_pack("[o]", o), false);
		return;
	}
	vgpu_state_text(v, state, sizeof(state));
	if (!reason)
		printf("%s: %s, served by %s, uuid %s\n", vgpu_label(h, v, label), state,
		       domain_label(&h->domains, v->ids.be, name), v->uuid);
}

/* Waits for the vGPU whose keys are written, and reports the result. made: by this command, which
 * takes it away again where an end refuses it. */
static int follow(struct host *h, const struct pvgpu_ids *ids, bool made)
{
	char reason[REASON], label[VGPU_LABEL], uuid[PVGPU_UUID_TEXT];
	struct vgpu v;
	enum await_end end;

	vgpu_read_uuid(&h->store, ids, uuid);
	end = await_vgpu(&h->store, ids, AWAIT_CONNECTED, host_left(h), progress(), h, &v);
	vgpu_label(h, &v, label);
	if (end == AWAIT_DONE) {
		print_attached(h, &v, NULL);
		return EXIT_DONE;
	}
	if (end == AWAIT_FAILED)
		return ctl_fail(EXIT_REFUSED, "%s: xenstore does not answer", label);
	await_explain(&h->store, &h->domains, &v, AWAIT_CONNECTED, reason, sizeof(reason));
	print_attached(h, &v, reason);
	if (end == AWAIT_TIMEOUT)
		return ctl_fail(EXIT_TIMEOUT,
				"%s is not connected after %g s: %s. It stays attached", label,
				ctl.limit_s, reason);
	if (made) {
		host_grace(h);
		attach_remove(&h->store, ids, uuid);
	}
	return ctl_fail(EXIT_REFUSED, "%s: %s", label, reason);
}

static int find_backend(struct host *h, uint32_t *be)
{
	const struct domain *d;
	char err[DOMAIN_ERROR];
	int r;

	*be = 0;
	if (!ctl.spec.backend[0])
		return EXIT_DONE;
	r = domains_resolve(&h->domains, "backend", ctl.spec.backend, &d, err);
	if (r)
		return ctl_fail(r == -ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED, "%s", err);
	*be = d->domid;
	return EXIT_DONE;
}

/* The vGPU of --ensure: that of the uuid or number that was named, else of the profile, else any.
 */
static bool is_meant(const struct vgpu *v)
{
	const struct vgpu_spec *w = &ctl.spec;
	char uuid[PVGPU_UUID_TEXT];

	if (!v->backend_there)
		return false;
	if (w->has_uuid)
		return !pvgpu_backend_uuid_format(&w->uuid, uuid, sizeof(uuid), NULL) &&
		       !strcmp(v->uuid, uuid);
	if (ctl.has_id)
		return v->ids.id == ctl.id;
	return !w->profile.len || !strcmp(v->profile.s, w->profile.s);
}

/* NULL, or a setting of a vGPU that is there and is not as it is wanted. */
static const char *differs(const struct vgpu *v)
{
	const struct vgpu_spec *w = &ctl.spec;

	if (w->profile.len && strcmp(v->profile.s, w->profile.s) != 0)
		return "profile";
	if (w->tenant[0] && strcmp(pool_group(&v->pool), w->tenant) != 0)
		return "tenant";
	if (!w->profile.len && w->has_memory && w->memory != v->memory)
		return "memory";
	return NULL;
}

/* The vGPU of these that the VM is to have; NULL: none. */
static const struct vgpu *find_meant(const struct vgpus *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (is_meant(&all->v[i]))
			return &all->v[i];
	return NULL;
}

/* Prints the vGPU when the guest uses it, and keeps it for the VM's next starts if so asked. */
static int present(struct host *h, const struct pvgpu_ids *ids, bool made)
{
	int status = EXIT_DONE;
	struct vgpu v;

	if (ctl.no_wait) {
		vgpu_read(&h->store, ids, &v);
		print_attached(h, &v, NULL);
	} else {
		status = follow(h, ids, made);
		vgpu_read(&h->store, ids, &v);
	}
	if (ctl.persistent && v.backend_there) {
		int kept = host_keep(h, &v);

		return status ? status : kept;
	}
	return status;
}

static int ensure(struct host *h, const char *word, const struct vgpu *v)
{
	const char *what = differs(v);
	char label[VGPU_LABEL];

	if (!v->online)
		return ctl_fail(EXIT_REFUSED, "%s: %s is being detached: try again when it is gone",
				word, vgpu_label(h, v, label));
	if (!what)
		return present(h, &v->ids, false);
	return ctl_fail(EXIT_REFUSED,
			"%s: %s is there, and its %s is another one: pvgpuctl set changes it", word,
			vgpu_label(h, v, label), what);
}

static int make(struct host *h, const char *word, struct pvgpu_ids *ids)
{
	char err[ATTACH_ERROR];
	int r = attach_make(&h->store, &ctl.spec, ids, ctl.force, err);

	return r ? ctl_fail(ctl_status(r), "%s: %s", word, err) : present(h, ids, true);
}

/* Others may attach at the same time: what they make is looked at before anything is made. */
static int make_unless_there(struct host *h, const char *word, struct pvgpu_ids *ids)
{
	for (int looks = 0; looks < LOOKS; looks++) {
		const struct vgpu *meant;
		char err[ATTACH_ERROR];
		struct vgpus all;
		int status, r;

		r = vgpus_read_guest(&h->store, &h->domains, ids->fe, NULL, &all);
		if (r)
			return ctl_fail(EXIT_REFUSED, "%s: reading its vGPUs: %s", word,
					strerror(-r));
		meant = find_meant(&all);
		r = meant ? 0 : attach_beside(&h->store, &ctl.spec, ids, ctl.force, &all, err);
		status = meant            ? ensure(h, word, meant)
			 : !r             ? present(h, ids, true)
			 : r == -EALREADY ? -1
					  : ctl_fail(ctl_status(r), "%s: %s", word, err);
		vgpus_free(&all);
		if (status >= 0)
			return status;
	}
	return ctl_fail(EXIT_REFUSED, "%s: others attach vGPUs to it again and again", word);
}

static int give(struct host *h, const char *word)
{
	struct pvgpu_ids ids = {0};
	struct domain vm;
	int status = host_vm(h, word, &vm);

	if (!status)
		status = find_backend(h, &ids.be);
	if (status)
		return status;
	ids.fe = vm.domid;
	return ctl.ensure ? make_unless_there(h, word, &ids) : make(h, word, &ids);
}

/* The site's files are read by those that refer to them only. A fault matters where it is in what
 * is referred to. */
static int attach(struct host *h, const char *word)
{
	struct vgpu_spec *w = &ctl.spec;
	char err[VGPU_SPEC_ERROR];
	struct site site = {0};
	int status, r;

	if (w->profile.len || w->tenant[0] || pool_group(&w->pool)[0])
		site_read(&site, ctl.site_dir, ini_fault_ignore, NULL);
	r = site_resolve(&site, w, err);
	status = r ? ctl_fail(ctl_status(r), "%s: %s", word, err) : give(h, word);
	site_free(&site);
	return status;
}

int xen_attach(int argc, char **argv)
{
	struct host h;
	int status = host_open(&h);

	if (status)
		return status;
	status = attach(&h, argv[0]);
	host_close(&h);
	return status;
}

/* ---- detach ---- */

static bool closed_already(struct host *h, const struct pvgpu_ids *ids)
{
	enum pvgpu_state state = PVGPU_STATE_UNKNOWN;
	size_t len;
	char *text = store_key(&h->store, PVGPU_KEY_BACKEND_STATE, ids, &len);

	pvgpu_backend_state_parse(text, len, &state, NULL);
	free(text);
	return state == PVGPU_STATE_CLOSED;
}

/* Asks the vGPU to close, unless it is told, and waits until it has. */
static int close_served(struct host *h, const struct vgpu *v, bool told, const char *label)
{
	int err = told ? 0 : attach_offline(&h->store, &v->ids, v->uuid);
	char reason[REASON];
	struct vgpu last;
	enum await_end end;

	if (err && err != -ENOENT)
		return ctl_fail(EXIT_REFUSED, "%s: %s", label, strerror(-err));
	/* Its number is another vGPU's by now. */
	if (err && vgpu_is_there(&h->store, &v->ids, ""))
		return EXIT_DONE;
	end = await_vgpu(&h->store, &v->ids, AWAIT_CLOSED, host_left(h), progress(), h, &last);
	if (end == AWAIT_TIMEOUT) {
		await_explain(&h->store, &h->domains, &last, AWAIT_CLOSED, reason, sizeof(reason));
		return ctl_fail(EXIT_TIMEOUT, "%s is still there after %g s: %s", label,
				ctl.limit_s, reason);
	}
	return end == AWAIT_DONE ? EXIT_DONE
				 : ctl_fail(EXIT_REFUSED, "%s: xenstore does not answer", label);
}

/* told: the vGPU has already been asked to close. */
static int detach(struct host *h, const struct vgpu *v, bool told)
{
	char label[VGPU_LABEL];
	int status, err;

	vgpu_label(h, v, label);
	if (!ctl.force && ((told && closed_already(h, &v->ids)) || attach_served(&h->store, v))) {
		status = close_served(h, v, told, label);
		if (status)
			return status;
	}
	host_grace(h);
	err = attach_remove(&h->store, &v->ids, v->uuid);
	if (err)
		return ctl_fail(err == -ETIMEDOUT ? EXIT_TIMEOUT : EXIT_REFUSED,
				"%s: removing its keys: %s", label, strerror(-err));
	printf("%s: detached\n", label);
	return EXIT_DONE;
}

static int forget(const struct domain *d, const char *word, const struct vgpus *all)
{
	char err[VMS_ERROR];
	bool every = ctl.all || (!ctl.has_id && !all->n);
	uint32_t id = all->n ? all->v[0].ids.id : ctl.id;

	if (vms_forget(ctl.config_dir, d, word, every, id, err) < 0)
		return ctl_fail(EXIT_NOT_THERE, "%s", err);
	return EXIT_DONE;
}

/* All are asked to close first, so that they close at the same time. */
static int detach_each(struct host *h, const struct vgpus *all)
{
	bool *told = calloc(all->n ? all->n : 1, sizeof(*told));
	int status = EXIT_DONE;

	for (size_t i = 0; told && i < all->n && all->n > 1 && !ctl.force; i++)
		told[i] = attach_served(&h->store, &all->v[i]) &&
			  attach_offline(&h->store, &all->v[i].ids, all->v[i].uuid) == 0;
	for (size_t i = 0; i < all->n; i++) {
		int one = detach(h, &all->v[i], told && told[i]);

		status = status ? status : one;
	}
	free(told);
	return status;
}

static int detach_all(struct host *h, const char *word)
{
	const struct domain *found;
	struct vgpus all = {0};
	struct domain vm;
	char err[DOMAIN_ERROR];
	int status, each;

	/* A VM that does not run has only its file. */
	if (ctl.persistent && domains_resolve(&h->domains, "VM", word, &found, err) == -ENOENT)
		return forget(NULL, word, &all);
	status = host_vm(h, word, &vm);
	if (!status)
		status = host_vgpus(h, &vm, ctl.all, &all);
	/* With --persistent a VM without an attached vGPU may still have a file. */
	if (status && !(status == EXIT_NOT_THERE && ctl.persistent && vm.name[0]))
		return status;
	if (ctl.persistent) {
		int forgot = forget(&vm, word, &all);

		status = all.n ? EXIT_DONE : forgot;
	}
	each = detach_each(h, &all);
	vgpus_free(&all);
	return status ? status : each;
}

int xen_detach(int argc, char **argv)
{
	struct host h;
	int status = host_open(&h);

	if (status)
		return status;
	if (ctl.all && (ctl.has_id || ctl.spec.has_uuid))
		status = ctl_fail(EXIT_USAGE, "--all goes with neither --id nor --uuid");
	else
		status = detach_all(&h, argv[0]);
	host_close(&h);
	return status;
}
