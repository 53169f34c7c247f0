/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/xen/xen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/toolstack/ini_file.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#define AT_LEAST_S 2.0 /* for transactions that conflict, after the time is over */

int host_open(struct host *h)
{
	int err = store_open(&h->store);

	h->opened = store_now();
	if (ctl.limit_s >= 0)
		h->store.until = h->opened + ctl.limit_s;
	host_grace(h);
	h->domains = (struct domains){0};
	if (err == -EACCES || err == -EPERM)
		return ctl_fail(EXIT_NOT_THERE,
				"this domain may not manage vGPUs: run pvgpuctl in dom0");
	if (err)
		return ctl_fail(EXIT_NOT_THERE,
				"no xenstore here (%s): is this Xen's dom0, are you root, does "
				"xenstored run?",
				strerror(-err));
	err = domains_read(&h->store, &h->domains);
	if (!err)
		return EXIT_DONE;
	host_close(h);
	return ctl_fail(EXIT_REFUSED, "reading the domains from xenstore: %s", strerror(-err));
}

double host_left(const struct host *h)
{
	const double spent = store_now() - h->opened;

	if (ctl.limit_s < 0)
		return -1;
	return spent < ctl.limit_s ? ctl.limit_s - spent : 0;
}

void host_grace(struct host *h)
{
	const double least = store_now() + AT_LEAST_S;

	if (ctl.limit_s >= 0 && h->store.until < least)
		h->store.until = least;
}

void host_close(struct host *h)
{
	domains_free(&h->domains);
	store_close(&h->store);
}

static bool left_behind(struct host *h, uint32_t domid)
{
	char path[STORE_PATH];

	for (size_t i = 0; i < h->domains.n; i++) {
		snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu/%u",
			 h->domains.v[i].domid, domid);
		if (store_exists(&h->store, path))
			return true;
	}
	return false;
}

int host_vm(struct host *h, const char *word, struct domain *out)
{
	const struct domain *found;
	char err[DOMAIN_ERROR], *end;
	unsigned long domid;
	int r = domains_resolve(&h->domains, "VM", word, &found, err);

	if (!r) {
		*out = *found;
		return EXIT_DONE;
	}
	domid = strtoul(word, &end, 10);
	if (r == -ENOENT && *word >= '0' && *word <= '9' && !*end && domid <= PVGPU_DOMID_MAX &&
	    left_behind(h, (uint32_t)domid)) {
		*out = (struct domain){.domid = (uint32_t)domid};
		return EXIT_DONE;
	}
	return ctl_fail(r == -ENOENT ? EXIT_NOT_THERE : EXIT_REFUSED, "%s%s", err,
			r == -ENOENT ? "" : "; give its uuid or number");
}

const char *vgpu_label(const struct host *h, const struct vgpu *v, char buf[VGPU_LABEL])
{
	char name[DOMAIN_NAME];

	snprintf(buf, VGPU_LABEL, "vGPU %u of %s", v->ids.id,
		 domain_label(&h->domains, v->ids.fe, name));
	return buf;
}

static bool chosen(const struct vgpu *v)
{
	char uuid[PVGPU_UUID_TEXT];

	if (!ctl.spec.has_uuid)
		return true;
	pvgpu_backend_uuid_format(&ctl.spec.uuid, uuid, sizeof(uuid), NULL);
	return !strcmp(uuid, v->uuid);
}

static bool has_any(struct host *h, uint32_t fe)
{
	struct vgpus all;
	bool any = vgpus_read_guest(&h->store, &h->domains, fe, NULL, &all) == 0 && all.n;

	vgpus_free(&all);
	return any;
}

int host_list(struct host *h, const char *word, struct vgpus *all)
{
	struct domain vm;
	int err, status = word ? host_vm(h, word, &vm) : EXIT_DONE;

	if (status)
		return status;
	err = word ? vgpus_read_guest(&h->store, &h->domains, vm.domid, NULL, all)
		   : vgpus_read(&h->store, &h->domains, vgpu_read, all);
	if (err)
		return ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore: %s",
				strerror(-err));
	return EXIT_DONE;
}

int host_vgpus(struct host *h, const struct domain *vm, bool many, struct vgpus *out)
{
	int err = vgpus_read_guest(&h->store, &h->domains, vm->domid, ctl.has_id ? &ctl.id : NULL,
				   out);
	size_t n = 0;

	if (err)
		return ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore: %s",
				strerror(-err));
	for (size_t i = 0; i < out->n; i++)
		if (chosen(&out->v[i]))
			out->v[n++] = out->v[i];
	out->n = n;
	if (n == 1 || (n && many))
		return EXIT_DONE;
	vgpus_free(out);
	if (n)
		return ctl_fail(EXIT_USAGE, "domain %u (%s) has %zu vGPUs: say which with --id",
				vm->domid, vm->name, n);
	return ctl_fail(EXIT_NOT_THERE, "domain %u (%s) has no %svGPU; pvgpuctl list shows them",
			vm->domid, vm->name, has_any(h, vm->domid) ? "such " : "");
}

bool host_keeps(struct host *h, const struct vgpu *v)
{
	const struct domain *d = domains_find(&h->domains, v->ids.fe);
	struct vm_conf *c = NULL;
	struct vms all;
	bool kept;

	if (d && vms_read(&all, ctl.config_dir, ini_fault_ignore, NULL) >= 0)
		c = vms_find(&all, d);
	kept = c && vm_conf_vgpu(c, v->ids.id);
	if (d)
		vms_free(&all);
	return kept;
}

/* A domain keeps its name across restarts, but not its number. */
static void name_backend(struct host *h, uint32_t be, char out[VGPU_SPEC_BACKEND])
{
	const struct domain *d = domains_find(&h->domains, be);

	if (!be)
		out[0] = '\0';
	else if (d && d->name[0])
		snprintf(out, VGPU_SPEC_BACKEND, "%s", d->name);
	else if (d && d->uuid[0])
		snprintf(out, VGPU_SPEC_BACKEND, "%s", d->uuid);
	else
		snprintf(out, VGPU_SPEC_BACKEND, "%u", be);
}

int host_keep(struct host *h, const struct vgpu *v)
{
	const struct domain *d = domains_find(&h->domains, v->ids.fe);
	struct vgpu_spec w = {.id = v->ids.id,
			      .memory = v->memory,
			      .model = v->model,
			      .pool = v->pool,
			      .profile = v->profile,
			      .made = true};
	char err[VMS_ERROR], *text;
	size_t len;

	if (!d)
		return ctl_fail(EXIT_NOT_THERE, "domain %u is gone", v->ids.fe);
	name_backend(h, v->ids.be, w.backend);
	w.has_uuid = pvgpu_backend_uuid_parse(v->uuid, strlen(v->uuid), &w.uuid, NULL) == 0;
	text = store_key(&h->store, PVGPU_KEY_BACKEND_POLICY, &v->ids, &len);
	if (text && pvgpu_key_check(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], text, len, NULL) == 0)
		snprintf(w.policy, sizeof(w.policy), "%s", text);
	free(text);
	if (vms_keep(ctl.config_dir, d, &w, err) < 0)
		return ctl_fail(EXIT_REFUSED, "--persistent: %s", err);
	return EXIT_DONE;
}
