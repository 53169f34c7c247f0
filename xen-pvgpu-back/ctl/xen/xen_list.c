/* SPDX-License-Identifier: MIT */
/* pvgpuctl list and show. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"

#define NAME_WIDTH 24
#define REDRAW_MS  200 /* at most: guests can cause events without end */

static void print_header(int name, int backend)
{
	printf("%-*s %5s %4s %-*s %-22s %15s %10s %6s %-8s %9s %8s %10s %9s\n", name, "VM", "DOMID",
	       "VGPU", backend, "BACKEND", "STATE", "MEMORY MiB", "PARKED MiB", "WEIGHT",
	       "PRIORITY", "MAX SHARE", "SESSIONS", "GPU TIME s", "WAITED s");
}

static const char *const drains[] = {
	[PVGPU_DRAIN_0] = "", [PVGPU_DRAIN_1] = " draining", [PVGPU_DRAIN_NOW] = " ending"};

static void print_row(const struct host *h, const struct vgpu *v, int name, int backend)
{
	char vm_buf[DOMAIN_NAME], be_buf[DOMAIN_NAME], state[64], memory[48], quota[24] = "all",
									      share[16];

	vgpu_state_text(v, state, sizeof(state));
	if (v->memory)
		snprintf(quota, sizeof(quota), "%" PRIu64, v->memory >> 20);
	snprintf(memory, sizeof(memory), "%" PRIu64 "/%s", v->statistics.memory_used >> 20, quota);
	snprintf(share, sizeof(share), "%g%%", v->policy.max_share / 1e4);
	printf("%-*.*s %5u %4u %-*.*s %-22s %15s %10" PRIu64 " %6u %-8s %9s %8u %10.1f %9.1f%s\n",
	       name, name, domain_label(&h->domains, v->ids.fe, vm_buf), v->ids.fe, v->ids.id,
	       backend, backend, domain_label(&h->domains, v->ids.be, be_buf), state, memory,
	       v->statistics.memory_parked >> 20, v->policy.weight,
	       v->backend_there ? pvgpu_name_of(&pvgpu_priority_names, v->policy.priority) : "-",
	       share, v->statistics.sessions, (double)v->statistics.gpu_time / 1e6,
	       (double)v->statistics.wait_time / 1e6, drains[v->policy.drain]);
}

static int width(const struct host *h, const struct vgpus *all, bool backends)
{
	size_t most = 8;
	char buf[DOMAIN_NAME];

	for (size_t i = 0; i < all->n; i++) {
		size_t n = strlen(domain_label(
			&h->domains, backends ? all->v[i].ids.be : all->v[i].ids.fe, buf));

		most = n > most ? n : most;
	}
	return most < NAME_WIDTH ? (int)most : NAME_WIDTH;
}

static void print_table(const struct host *h, const struct vgpus *all)
{
	int name = width(h, all, false), backend = width(h, all, true);

	print_header(name, backend);
	for (size_t i = 0; i < all->n; i++)
		print_row(h, &all->v[i], name, backend);
}

static void print_json(const struct host *h, const struct vgpus *all)
{
	json_t *a = json_array();

	for (size_t i = 0; i < all->n; i++)
		json_array_append_new(a, vgpu_json(&all->v[i], &h->domains));
	answer_print_list("vgpus", a, ctl.watch);
}

static int print_now(struct host *h, const char *word)
{
	struct vgpus all = {0};
	int status = host_list(h, word, &all);

	if (status)
		return status;
	if (ctl.watch && !ctl.json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	if (ctl.json)
		print_json(h, &all);
	else
		print_table(h, &all);
	if (ctl.watch && !ctl.json && !isatty(STDOUT_FILENO))
		putchar('\n');
	vgpus_free(&all);
	fflush(stdout);
	return EXIT_DONE;
}

/* Watches both directories of every domain. Watches of ended domains do no harm. */
static int watch_domains(struct host *h, bool watched[PVGPU_DOMID_MAX + 1])
{
	for (size_t i = 0; i < h->domains.n; i++) {
		uint32_t domid = h->domains.v[i].domid;
		char path[STORE_PATH];
		int err;

		if (watched[domid])
			continue;
		watched[domid] = true;
		snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu", domid);
		err = store_watch(&h->store, path, path);
		snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", domid);
		if (!err)
			err = store_watch(&h->store, path, path);
		if (err)
			return err;
	}
	return 0;
}

static int watch(struct host *h, const char *word)
{
	static bool watched[PVGPU_DOMID_MAX + 1];
	const struct timespec rest = {.tv_nsec = REDRAW_MS * 1000000};
	int err = store_watch(&h->store, "@introduceDomain", "list");

	if (!err)
		err = store_watch(&h->store, "@releaseDomain", "list");
	while (!err) {
		int status;

		err = watch_domains(h, watched);
		if (err)
			break;
		status = print_now(h, word);
		if (status)
			return status;
		nanosleep(&rest, NULL);
		if (!await_event(&h->store, -1))
			return ctl_fail(EXIT_REFUSED, "xenstore has ended");
		domains_free(&h->domains);
		err = domains_read(&h->store, &h->domains);
	}
	return ctl_fail(EXIT_REFUSED, "watching xenstore: %s", strerror(-err));
}

int xen_list(int argc, char **argv)
{
	const char *word = argc ? argv[0] : NULL;
	struct host h;
	int status = host_open(&h);

	if (status)
		return status;
	status = ctl.watch ? watch(&h, word) : print_now(&h, word);
	host_close(&h);
	return status;
}

/* ---- show ---- */

static json_t *keys_json(struct host *h, const struct vgpu *v, enum pvgpu_tree_id tree)
{
	json_t *o = json_object();

	for (unsigned int k = 0; k < PVGPU_KEYS; k++) {
		char path[STORE_PATH], text[PVGPU_KEY_TEXT];

		if (pvgpu_keys[k].tree != &pvgpu_trees[tree])
			continue;
		vgpu_path(tree, &v->ids, pvgpu_keys[k].name, path);
		if (store_text(&h->store, path, text, sizeof(text)))
			json_object_set_new(o, pvgpu_keys[k].name, json_string(text));
	}
	return o;
}

static void print_keys(const char *title, json_t *keys)
{
	const char *name;
	json_t *value;

	printf("  %s\n", title);
	json_object_foreach(keys, name, value)
		printf("    %-17s %s\n", name, json_string_value(value));
}

static void print_one(struct host *h, const struct vgpu *v)
{
	char label[VGPU_LABEL], be[DOMAIN_NAME], state[64], title[DOMAIN_NAME + 32];
	json_t *keys;

	vgpu_state_text(v, state, sizeof(state));
	printf("%s (domain %u): %s\n", vgpu_label(h, v, label), v->ids.fe, state);
	keys = keys_json(h, v, PVGPU_TREE_BACKEND);
	snprintf(title, sizeof(title), "backend: %s (domain %u)",
		 domain_label(&h->domains, v->ids.be, be), v->ids.be);
	print_keys(title, keys);
	json_decref(keys);
	keys = keys_json(h, v, PVGPU_TREE_FRONTEND);
	print_keys("guest", keys);
	json_decref(keys);
}

int xen_show(int argc, char **argv)
{
	struct vgpus all = {0};
	struct domain vm;
	struct host h;
	json_t *a = json_array();
	int status = host_open(&h);

	if (!status) {
		status = host_vm(&h, argv[0], &vm);
		if (!status)
			status = host_vgpus(&h, &vm, true, &all);
		for (size_t i = 0; i < all.n; i++) {
			json_t *o;

			if (!ctl.json) {
				print_one(&h, &all.v[i]);
				continue;
			}
			o = vgpu_json(&all.v[i], &h.domains);
			json_object_set_new(
				o, "keys",
				json_pack("{s:o, s:o}", "backend",
					  keys_json(&h, &all.v[i], PVGPU_TREE_BACKEND), "frontend",
					  keys_json(&h, &all.v[i], PVGPU_TREE_FRONTEND)));
			json_array_append_new(a, o);
		}
		if (ctl.json && !status)
			answer_print_list("vgpus", json_incref(a), false);
		vgpus_free(&all);
		host_close(&h);
	}
	json_decref(a);
	return status;
}
