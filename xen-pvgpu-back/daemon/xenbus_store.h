/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's connection to xenstore: reads that say why they failed, and writes that never make a
 * directory that was removed meanwhile. Errors are negative errno values.
 */
#ifndef PVGPU_XENBUS_STORE_H
#define PVGPU_XENBUS_STORE_H

#include <ev.h>

#include "xen-pvgpu-back/daemon/xenbus.h"

#define XENBUS_WRITES    5
#define XENBUS_HOST_KEYS 7
#define XENBUS_HOST_TEXT 128

struct config_vgpu;
struct vgpu;
struct xs_handle;

struct xenbus {
	struct daemon *d;
	struct xs_handle *xs;
	uint32_t domid;        /* our own */
	char dir[XENBUS_PATH]; /* our backend/pvgpu */
	char host[XENBUS_PATH];
	TAILQ_HEAD(, xen_vgpu) vgpus;
	ev_io io;       /* watch events */
	ev_timer work;  /* soon: look at what has changed */
	ev_timer later; /* statistics that were written a moment ago */
	bool rescan;    /* a directory above the vGPUs' has changed */
	bool deaths;    /* a domain is gone */
	bool leveled;   /* log-level has changed */
	bool hosted;    /* data/pvgpu is to be written */
	bool published; /* and was, to the end: as this */
	char host_texts[XENBUS_HOST_KEYS][XENBUS_HOST_TEXT];
	bool wide;            /* one watch for all frontends, beside those that have their own */
	unsigned int watches; /* of frontends */
	bool told;            /* of domains that are gone, by xenstored */
	bool starting, stopping;
	uint64_t features;
};

/* A value with its length; *text is the caller's to free. -ENOENT: not there. */
int xenbus_read(struct xenbus *b, const char *dir, const char *key, char **text, size_t *len);
/* The names in a directory: to be freed in one go. */
int xenbus_list(struct xenbus *b, const char *dir, char ***names, unsigned int *n);
bool xenbus_exists(struct xenbus *b, const char *path);

struct xenbus_write {
	const char *key, *text; /* text NULL: remove it */
};
/* All of them or none, and only while `there` exists in dir; -ENOENT if it does not. */
int xenbus_put(struct xenbus *b, const char *dir, const char *there, const struct xenbus_write *w,
	       unsigned int n);
/* Remove a directory, then those above it that are empty, up to but without the domain's own. What
 * is not ours to remove stays. */
void xenbus_remove(struct xenbus *b, const char *path);
bool xenbus_watch(struct xenbus *b, const char *path, bool on);

/* xenbus_vgpu.c */
void xenbus_found(struct xenbus *b, uint32_t domid, uint32_t devid);
/* Look at its keys and do what they ask for; it may be freed then. */
void xenbus_look(struct xen_vgpu *x);
/* Write its statistics if it is time: 0, or ms until it is. */
unsigned int xenbus_count(struct xen_vgpu *x);
/* pvgpud stops: Closing, Closed. */
void xenbus_close(struct xen_vgpu *x);
void xenbus_free(struct xen_vgpu *x);
/* Its domain, as far as can be seen. */
bool xenbus_domain_gone(struct xen_vgpu *x);

/* xenbus_share.c: what the policy says of the GPU's time; what was used, read and to be written. */
void xenbus_policy(const struct pvgpu_backend_policy *p, struct config_vgpu *cfg);
void xenbus_restore(struct vgpu *v, const struct pvgpu_backend_statistics *s);
void xenbus_statistics(const struct vgpu *v, struct pvgpu_backend_statistics *s);

/* xenbus_host.c */
void xenbus_host_find(struct xenbus *b); /* features */
void xenbus_host_write(struct xenbus *b);
void xenbus_host_remove(struct xenbus *b);
/* What the toolstack says there: log-level, pools, groups. */
void xenbus_host_level(struct xenbus *b);

/* xenbus.c */
/* Of its frontend's state. */
void xenbus_watch_front(struct xen_vgpu *x, bool on);
void xenbus_watch_deaths(struct xenbus *b);
/* Soon, from the loop. */
void xenbus_schedule(struct xenbus *b);

#endif
