/* SPDX-License-Identifier: MIT */
/*
 * The functions of higher folders of pvgpud that lower ones call. They are declared here and
 * implemented in the higher folder, so that no lower folder includes a higher one. Tests replace
 * them. The order of the folders is in docs/developing.md.
 */
#ifndef PVGPU_ABOVE_H
#define PVGPU_ABOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct pool;
struct pvgpu_sup;
struct vgpu;
struct worker;
struct xen_vgpu;

/* ---- admin/, for xen/ ---- */

/* admin_json.c */
/* One request, a line of JSON, whose sender d->asks names: the answer in printable ASCII, but for
 * DEL, with a newline, for the caller to free; NULL when out of memory. */
char *admin_answer(struct daemon *d, const char *line, size_t len);

/* ---- workers/, for guard/ ---- */

/* open.c */
void open_serve(struct daemon *d); /* give waiting guests ready workers */
void open_refuse_all(struct daemon *d, struct vgpu *v, int error,
		     const char *reason); /* v NULL: all */
void open_refuse_user(struct vgpu *v, uint32_t user, int error, const char *reason);
void open_refuse_pool(struct pool *p, int error, const char *reason);

/* pool.c */
/* Moves vGPUs that name no pool and have no session away from a pool whose GPU is missing or
 * unhealthy. */
void pool_evacuate(struct pool *p);

/* lease.c */
/* The worker has so many bytes of device memory beside its lease, by the driver's count. */
void lease_measured(struct worker *w, uint64_t beyond);
/* Bytes of device memory that the vGPU's sessions together may have. */
uint64_t lease_most(const struct vgpu *v);

/* spares.c: one that has no session; NULL: none */
struct worker *spares_take(struct pool *p);
/* supervise.c */
int supervise_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a);

/* ---- workers/, for core/ ---- */

/* cgroup.c */
/* Ends whatever is in the worker's cgroup, if it has one. */
void cgroup_kill(struct worker *w);

/* ---- xen/, for dispatch/, guard/ and workers/ ---- */

/* xenbus.c, xenbus_keys.c */
/* Counters or last_reason of the vGPU have changed; they are written at most once a second,
 * those of many vGPUs in turn. */
void xenbus_changed(struct xen_vgpu *x);
/* The GPU's properties or the promised memory have changed. */
void xenbus_host_changed(struct daemon *d);
/* Memory has become free or known: vGPUs that were refused for lack of it are retried. */
void xenbus_memory_changed(struct daemon *d);
/* A prediction of latencies has been made: vGPUs that wait for one are retried. */
void xenbus_predicted(struct daemon *d);

/* xenctl*.c */
/* The worker of a session of the Xen link is dead. */
void xenctl_ended(struct worker *w);
/* The worker has answered a request about a chunk. */
void xenctl_chunked(struct worker *w, const struct pvgpu_sup *m);
/* A worker of a former pvgpud: counts the grants on record, with a ring of so many pages. */
void xenctl_found(struct worker *w, uint32_t ring_pages);
/* That worker has sent its STATE. */
void xenctl_adopted(struct worker *w);
/* A worker of this session of the vGPU died while there was no pvgpud. */
void xenctl_lost(struct vgpu *v, uint32_t number);
/* Can grants or an event channel of a guest be held through this fd? */
bool xenctl_is_device(const struct daemon *d, int fd);

#endif
