/* SPDX-License-Identifier: MIT */
/* pvgpud's connection to xenstore: reads that report why they failed, and writes that never
 * recreate a directory that was removed in the meantime. Errors are negative errno values. */
#ifndef PVGPU_XENBUS_STORE_H
#define PVGPU_XENBUS_STORE_H

#include <ev.h>

#include "xen-pvgpu-back/daemon/xen/xenbus.h"

#define XENBUS_WRITES    5
#define XENBUS_HOST_KEYS 7
#define XENBUS_HOST_TEXT 128
/* Of an answer to dom0: 7 MB, five times the tree of a thousand vGPUs. */
#define XENBUS_ANSWER_PAGES 4096u

struct config_vgpu;
struct vgpu;
struct xenbus_gpu;
struct xs_handle;

struct xenbus {
	struct daemon *d;
	struct xs_handle *xs;
	/* For statistics. libxenstore answers a handle with watches by a thread of its own, which
	 * costs several switches for each request; this one has none. NULL: none could be made. */
	struct xs_handle *often;
	uint32_t domid;        /* our own */
	char dir[XENBUS_PATH]; /* our backend/pvgpu */
	char host[XENBUS_PATH];
	TAILQ_HEAD(, xen_vgpu) vgpus;
	ev_io io;       /* watch events */
	ev_timer work;  /* soon: work that events have marked */
	ev_timer later; /* later: delayed looks and statistics */
	ev_timer alive; /* libxenstore's fd does not tell of a connection that has ended */
	bool rescan;    /* a directory above the vGPUs has changed */
	bool deaths;    /* a domain has ended */
	bool leveled;   /* a setting in data/pvgpu has changed */
	bool hosted;    /* data/pvgpu must be written */
	bool asked;     /* dom0 may have a request */
	bool published; /* data/pvgpu was written completely, with host_texts */
	char host_texts[XENBUS_HOST_KEYS][XENBUS_HOST_TEXT];
	struct {
		uint64_t number; /* of the last request; 0: none */
		char *text;      /* its answer, not terminated; NULL: none */
		size_t len;
		uint32_t pages;
	} ask;
	struct xenbus_gpu *gpus; /* of each pool, as written; NULL: nothing yet */
	uint64_t counted_ms;     /* time of the last write of a vGPU's statistics */
	bool wide;               /* one watch serves all frontends without their own */
	unsigned int watches;    /* of frontends */
	bool told;               /* xenstored reports ends of domains */
	bool starting, stopping;
	uint64_t features;
};

/* A value with its length; the caller frees *text. -ENOENT: missing. */
int xenbus_read(struct xenbus *b, const char *dir, const char *key, char **text, size_t *len);
/* The names in a directory, for the caller to free with one free(). */
int xenbus_list(struct xenbus *b, const char *dir, char ***names, unsigned int *n);
bool xenbus_exists(struct xenbus *b, const char *path);

struct xenbus_write {
	const char *key, *text; /* text NULL: remove the key */
};
/* Writes all of them or none, and only while `there` exists in dir; else -ENOENT. */
int xenbus_put(struct xenbus *b, const char *dir, const char *there, const struct xenbus_write *w,
	       unsigned int n);
/* The same by `often`. */
int xenbus_put_often(struct xenbus *b, const char *dir, const char *there,
		     const struct xenbus_write *w, unsigned int n);
/* Removes a directory, then empty ones above it, up to but excluding the domain's own. A directory
 * that we may not remove stays. */
void xenbus_remove(struct xenbus *b, const char *path);
bool xenbus_watch(struct xenbus *b, const char *path, bool on);

/* xenbus_vgpu.c */
void xenbus_found(struct xenbus *b, uint32_t domid, uint32_t devid);
/* Reads its keys and acts on them; may free it. */
void xenbus_look(struct xen_vgpu *x);
/* Writes its statistics if they are due: 0, or ms until they are. */
unsigned int xenbus_count(struct xen_vgpu *x);
/* pvgpud stops: moves it to Closing, then Closed. */
void xenbus_close(struct xen_vgpu *x);
void xenbus_free(struct xen_vgpu *x);
/* Is its domain gone, as far as this domain may know? */
bool xenbus_domain_gone(struct xen_vgpu *x);

/* xenbus_statistics.c: statistics, from and to xenstore. */
void xenbus_restore(struct vgpu *v, const struct pvgpu_backend_statistics *s);
void xenbus_statistics(const struct vgpu *v, struct pvgpu_backend_statistics *s);

/* xenbus_host.c */
int xenbus_host_fits(void);              /* 0, or a negative errno after a line in the log */
void xenbus_host_find(struct xenbus *b); /* features */
void xenbus_host_write(struct xenbus *b);
void xenbus_host_remove(struct xenbus *b);
/* Applies the toolstack's settings: log-level, pools, groups, health. */
void xenbus_host_level(struct xenbus *b);

/* Makes data/pvgpu unless it is there: 0 or a negative errno. */
int xenbus_host_make(struct xenbus *b);

/* xenbus_ask.c: requests of dom0. */
void xenbus_ask(struct xenbus *b); /* there may be one */
void xenbus_ask_start(struct xenbus *b);
/* leave: another pvgpud takes over. */
void xenbus_ask_stop(struct xenbus *b, bool leave);

/* xenbus_gpus.c: data/pvgpu/gpu-N. */
#define XENBUS_GPU_KEYS 3 /* of one GPU */
/* Adds the keys that are to be written to w, which has room for those of all GPUs. */
int xenbus_gpus_changes(struct xenbus *b, struct xenbus_write *w, unsigned int *n);
void xenbus_gpus_written(struct xenbus *b);
void xenbus_gpus_remove(struct xenbus *b);

/* xenbus.c */
/* Sets or removes the watch on its frontend's state. */
void xenbus_watch_front(struct xen_vgpu *x, bool on);
void xenbus_watch_deaths(struct xenbus *b);
/* Runs the work soon, from the loop. */
void xenbus_schedule(struct xenbus *b);

#endif
