/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The internal interfaces of pvgpu.ko. Sections are named after the file that implements them.
 *
 * Threads:
 * - state work, one for each vGPU: only it changes the vGPU's state (state.c). Events only queue it
 *   (pvgpu_kick), and it examines everything again.
 * - event work, one for each vGPU: takes the control ring's answers and events (control.c).
 * - retry work: ends grants that the backend had mapped when they were to end (memory.c).
 * - callers: processes in open, ioctl, mmap, poll, release; the end of a ring's mapping.
 *
 * Locks, in the order in which they may be taken. Except for the first, which is taken and waited
 * under interruptibly, none is held while a thread waits for the backend, copies to or from a
 * process, or unbinds an interrupt:
 *   file.lock       one OPEN at a time
 *   vgpu.usage_lock what xenstore said of the vGPU's use and of the GPU; alone, and held while xenstore is asked
 *   session.lock    the session's memory: ring and chunks
 *   vgpu.lock       list of sessions, identity
 *   session.life    the session's state
 *   vgpu.ctl_lock   the control ring and its requests
 *   session.chan    the session's interrupt
 * vgpus_lock (xenbus.c) comes before vgpu.kick_lock. The locks of users and of held memory (user.c,
 * memory.c) are the last ones. The interrupt handlers take none of them.
 */
#ifndef PVGPU_FRONT_H
#define PVGPU_FRONT_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <xen/xenbus.h>

#include "pvgpu_keys.h"
#include "ring/control.h"
#include "uapi/pvgpu.h"

#define PVGPU_VERSION_LOW  1u /* of the control ring */
#define PVGPU_VERSION_HIGH 1u

#define PVGPU_SESSIONS_MAX 4096u /* of a vGPU */
#define PVGPU_CHUNKS_MAX   4096u /* of a session */

#define PVGPU_RETRY_MIN    HZ /* before the first retry */
#define PVGPU_USAGE_FOR    (HZ / 10 + 1) /* xenstore is asked no more often */

struct pvgpu_vgpu;
struct pvgpu_session;

/* A reason in words, mostly for an ioctl's structure. */
struct pvgpu_why {
	char text[PVGPU_REASON];
};

struct pvgpu_statistics {
	atomic64_t notifications;   /* event-channel sends */
	atomic64_t hypercalls;      /* those, and all others that the module causes; an end of
				     * interrupt counts as one, though it seldom makes one */
	atomic64_t requests;        /* sent on the control ring */
	atomic64_t answers_dropped; /* answers and events without a request or session */
	atomic64_t events;          /* of the control ring's event channel */
	atomic64_t doorbells;       /* events of the sessions' channels */
	atomic64_t sessions_total, sessions_lost;
};

/* ---- user.c: limits of the guest's users. NULL: a user without limits ---- */

struct pvgpu_user;
extern unsigned int pvgpu_sessions_limit; /* of all users */
extern unsigned int pvgpu_user_grants, pvgpu_user_sessions, pvgpu_user_breaches,
	pvgpu_user_breach_seconds;

/* Of the current process, with a reference. */
int pvgpu_user_get(struct pvgpu_user **out);
struct pvgpu_user *pvgpu_user_hold(struct pvgpu_user *u);
void pvgpu_user_put(struct pvgpu_user *u);
/* 0, or a negative errno with a reason. */
int pvgpu_user_take_session(struct pvgpu_user *u, struct pvgpu_why *why);
void pvgpu_user_drop_session(struct pvgpu_user *u);
int pvgpu_user_take_grants(struct pvgpu_user *u, unsigned int n, struct pvgpu_why *why);
void pvgpu_user_drop_grants(struct pvgpu_user *u, unsigned int n);
/* A session of the user broke the protocol. True: it must have no more sessions for now. */
bool pvgpu_user_breach(struct pvgpu_user *u);
u32 pvgpu_user_number(const struct pvgpu_user *u);
void pvgpu_users_exit(void);

/* ---- memory.c: pages that the backend domain may map ---- */

struct pvgpu_mem {
	struct list_head node;       /* of those whose grants end later */
	unsigned int pages, granted; /* the first ones are granted */
	unsigned int counted;        /* in the limits */
	struct pvgpu_user *user;     /* who pays; NULL: the module, or a user without limits */
	struct page **page;
	grant_ref_t *ref;
	struct pvgpu_mem *dir; /* the directory, until it has been read */
};

extern unsigned int pvgpu_grants_limit;

void pvgpu_grants_init(void);
void pvgpu_grants_exit(void);
/* Counted grants: all, and those that the backend has mapped though they were to end. */
unsigned int pvgpu_grants_in_use(void);
unsigned int pvgpu_grants_held(void);
/* Try to end the latter: how many are left. They are also tried from time to time. */
unsigned int pvgpu_held_try(void);
/* Zeroed pages, granted to a domain; 0, or a negative errno with a reason. */
int pvgpu_mem_new(domid_t to, size_t bytes, bool directory, struct pvgpu_user *user,
		  struct pvgpu_mem **out, struct pvgpu_why *why);
static inline void *pvgpu_mem_first(const struct pvgpu_mem *m)
{
	return page_address(m->page[0]);
}
/* The grant of the first directory page. */
u32 pvgpu_mem_dir(const struct pvgpu_mem *m);
void pvgpu_mem_end_dir(struct pvgpu_mem *m);
/*
 * End the grants and free the pages. Those that the backend has mapped count, and stay, until it
 * has unmapped them. Mappings of processes stay valid.
 */
void pvgpu_mem_end(struct pvgpu_mem *m);
void pvgpu_mem_end_list(struct list_head *list);
int pvgpu_mem_map(const struct pvgpu_mem *m, struct vm_area_struct *vma);

/* ---- control.c: the control ring, event channels ---- */

struct pvgpu_channel {
	spinlock_t lock; /* held while irq is used, so that it is not unbound */
	evtchn_port_t port;
	int irq; /* 0: none */
	char name[24];
};

void pvgpu_channel_init(struct pvgpu_channel *c);
/* For the domain `to` to bind to. */
int pvgpu_channel_open(struct pvgpu_vgpu *v, struct pvgpu_channel *c, domid_t to,
		       irq_handler_t handler, void *data, struct pvgpu_why *why);
void pvgpu_channel_close(struct pvgpu_vgpu *v, struct pvgpu_channel *c, void *data);
void pvgpu_channel_notify(struct pvgpu_vgpu *v, struct pvgpu_channel *c);
void pvgpu_channel_eoi(struct pvgpu_vgpu *v, struct pvgpu_channel *c, bool spurious);

/*
 * One request. After pvgpu_submit() has returned 0, done is called once, with no lock held: result
 * is 0, the errno of the answer, or -EPIPE when the connection has ended.
 */
struct pvgpu_req {
	struct list_head node;
	struct pvgpu_ctl_msg msg, answer;
	u32 index; /* in the page */
	bool paid;
	int result;
	void (*done)(struct pvgpu_req *req);
};

/* gen: the connection that the request is meant for. -EPIPE: it has ended. */
int pvgpu_submit(struct pvgpu_vgpu *v, struct pvgpu_req *req, u32 gen);
void pvgpu_event_work(struct work_struct *w);
void pvgpu_pump_work(struct work_struct *w);
/* State work only. A disconnected ring's page goes to v->limbo. */
int pvgpu_ctl_connect(struct pvgpu_vgpu *v, u64 features, struct pvgpu_why *why);
void pvgpu_ctl_disconnect(struct pvgpu_vgpu *v, struct list_head *reqs);
void pvgpu_ctl_fail(struct list_head *reqs);
bool pvgpu_ctl_void(struct pvgpu_vgpu *v);

/* ---- session.c ---- */

enum pvgpu_session_life {
	PVGPU_OPENING,
	PVGPU_OPEN,
	PVGPU_CLOSING,
	PVGPU_GONE, /* nothing is shared any more, or it never opened */
};

enum pvgpu_session_flag {
	PVGPU_RUNG,   /* the worker's doorbell */
	PVGPU_EOI,    /* the interrupt of the doorbell has not been ended yet */
	PVGPU_KICKED, /* KICK */
	PVGPU_HUNG,   /* lost or closing */
	PVGPU_LOST,
};

struct pvgpu_session {
	struct kref ref;
	struct pvgpu_vgpu *vgpu;
	struct pvgpu_user *user; /* who opened it */
	struct list_head node;   /* vgpu.sessions; holds a reference */
	u32 number, gen;
	domid_t backend; /* of the connection gen, as are the features */
	u64 features;
	u32 cmd_size, rep_size;
	unsigned long flags; /* enum pvgpu_session_flag, atomic */
	wait_queue_head_t wait;
	struct pvgpu_channel channel;
	atomic_t maps; /* areas that map the ring */

	spinlock_t life_lock;
	enum pvgpu_session_life life;
	bool close; /* close it as soon as it is open */
	struct pvgpu_req open_req, close_req;
	/* Fixed when it is not OPENING any more. */
	int error;
	u32 backend_number;
	u64 arena_limit;
	char text[sizeof(((struct pvgpu_ctl_msg *)0)->u.text) + 1];

	struct mutex lock;
	struct pvgpu_mem *ring;
	struct xarray chunks; /* by their place in the file */
	u64 arena;            /* bytes of chunks */
};

/* Send SESSION_OPEN; the caller has a reference. 0, or a negative errno with a reason. */
int pvgpu_session_start(struct pvgpu_vgpu *v, u32 cmd_size, u32 rep_size,
			struct pvgpu_session **out, struct pvgpu_why *why);
void pvgpu_session_put(struct pvgpu_session *s);
/* End it; never blocks. */
void pvgpu_session_close(struct pvgpu_session *s);
/* Tell the process that it is lost; only the first reason counts, for which it returns true. */
bool pvgpu_session_lost(struct pvgpu_session *s, u32 reason, const char *text, size_t len);
/* The event SESSION_ENDED. */
void pvgpu_session_ended(struct pvgpu_vgpu *v, const struct pvgpu_ctl_msg *m);
/* The connection has ended: all of them are lost; their memory goes to the list. */
void pvgpu_sessions_end(struct pvgpu_vgpu *v, const char *text, struct list_head *limbo);
static inline enum pvgpu_session_life pvgpu_session_life(struct pvgpu_session *s)
{
	return smp_load_acquire(&s->life); /* with the releases in session.c */
}
/* The events of `what` that have happened, each reported once; a hang-up is always reported. */
unsigned int pvgpu_session_take(struct pvgpu_session *s, unsigned int what);
bool pvgpu_session_has(struct pvgpu_session *s, unsigned int what);

/* ---- arena.c ---- */

long pvgpu_grow(struct pvgpu_session *s, struct pvgpu_ioc_chunk *c, struct pvgpu_why *why);
long pvgpu_shrink(struct pvgpu_session *s, struct pvgpu_ioc_chunk *c, struct pvgpu_why *why);
/* Under session.lock: the chunk at this place in the file, or NULL. */
struct pvgpu_mem *pvgpu_chunk_at(struct pvgpu_session *s, u64 offset);
/* Under session.lock: forget all chunks; their memory goes to the list. */
void pvgpu_chunks_drop(struct pvgpu_session *s, struct list_head *list);

/* ---- file.c, sysfs.c ---- */

extern const struct file_operations pvgpu_fops;
extern const struct attribute_group *pvgpu_groups[];

/* ---- store.c: the keys in xenstore ---- */

struct pvgpu_identity {
	char uuid[PVGPU_UUID_TEXT];
	char model[64];
	u64 memory, features;
	u32 version;
};

/* The state in a directory; UNKNOWN where there is none. -EAGAIN: cannot be read now. */
int pvgpu_read_state(struct pvgpu_vgpu *v, bool own, enum pvgpu_state *out);
bool pvgpu_read_online(struct pvgpu_vgpu *v);
/* 0, -EAGAIN, or another negative errno with the key and its error. */
int pvgpu_read_backend(struct pvgpu_vgpu *v, struct pvgpu_identity *out, char *err);

/* The vGPU's use, as the backend has written it, at most once a second. */
struct pvgpu_usage {
	u64 memory, sessions, gpu_us;
};

/* 0 or a negative errno. A process may ask as often as it likes: xenstore is asked from time to
 * time. */
int pvgpu_read_usage(struct pvgpu_vgpu *v, struct pvgpu_usage *out);
/* The GPU as the backend describes it, in the words of its key, into a page. The text's length with
 * a newline, or a negative errno. */
int pvgpu_read_gpu(struct pvgpu_vgpu *v, char *buf);
/* The keys and the state Initialised, in one transaction: the kernel looks at the state at each
 * key's change and may take Initialising for a new directory's. */
int pvgpu_write_frontend(struct pvgpu_vgpu *v, u32 ref, u32 port, const struct pvgpu_identity *id);
/* Do the directories of both ends exist again? */
bool pvgpu_plugged(struct pvgpu_vgpu *v);

/* ---- xenbus.c ---- */

enum pvgpu_vgpu_flag {
	PVGPU_RESUMED, /* the guest was restored or migrated */
	PVGPU_BROKEN,  /* the backend broke the control ring's rules */
	PVGPU_FRESH,   /* the driver has just been bound to it */
	PVGPU_REPROBE, /* its directory was created again: bind the driver again */
};

struct pvgpu_vgpu {
	struct kref ref;
	struct xenbus_device *xdev;
	int index;
	u32 devid;
	struct miscdevice misc;
	char name[16];
	bool published;
	unsigned long flags; /* enum pvgpu_vgpu_flag, atomic */

	struct list_head node; /* of all of them */
	spinlock_t kick_lock;
	bool removed; /* no more state work */
	struct delayed_work state_work;
	/* State work only. */
	struct list_head limbo; /* memory whose grants end when the backend has unmapped it */
	unsigned long limbo_until, retry_at, connected_at;
	unsigned int failures;
	bool retry, refused;
	enum pvgpu_state refused_in;

	spinlock_t lock;
	struct pvgpu_identity id;
	struct list_head sessions;
	unsigned int n_sessions;
	u32 last_number;

	spinlock_t ctl_lock;
	bool live;  /* requests may be sent */
	bool ready; /* sessions may be opened */
	u32 gen, last_id;
	domid_t backend; /* of the connection gen, as are the features */
	u64 features;
	struct pvgpu_ctl ctl;
	struct pvgpu_mem *ctl_mem;
	struct list_head queued, sent;
	struct pvgpu_channel channel;
	struct work_struct event_work;
	struct delayed_work pump_work; /* when there are units for the next request */
	u64 paid_until;                /* ns; a burst before now at the earliest */

	struct pvgpu_statistics stats;

	struct mutex usage_lock;
	unsigned long usage_until; /* until then it is as it was read; 0: never read */
	struct pvgpu_usage usage;
	unsigned long gpu_until; /* likewise, of the text below */
	char gpu[PVGPU_KEY_TEXT];
};

extern struct workqueue_struct *pvgpu_wq;
extern ushort pvgpu_mode;
extern bool pvgpu_going_down; /* the guest shuts down: nothing connects any more */

int pvgpu_xenbus_init(void);
void pvgpu_xenbus_exit(void);

/* Queue the state work of the vGPU. Not from an interrupt. */
void pvgpu_kick(struct pvgpu_vgpu *v);
void pvgpu_kick_in(struct pvgpu_vgpu *v, unsigned long delay);
void pvgpu_vgpu_put(struct pvgpu_vgpu *v);
/* Bind the driver to the device again, in a work of its own. */
void pvgpu_reprobe(struct pvgpu_vgpu *v);

/* ---- state.c; called by state work, or after the last one ---- */

void pvgpu_state_work(struct work_struct *w);
/* Sessions are lost; their memory waits in limbo until the backend has unmapped it. */
void pvgpu_disconnect(struct pvgpu_vgpu *v, const char *why);
void pvgpu_flush_limbo(struct pvgpu_vgpu *v);
void pvgpu_unpublish(struct pvgpu_vgpu *v);

#define pvgpu_say(why, ...)                                                                        \
	do {                                                                                       \
		if (why)                                                                           \
			snprintf((why)->text, sizeof((why)->text), __VA_ARGS__);                   \
	} while (0)

/* Up to len untrusted bytes, as a printable string. */
void pvgpu_printable(char *to, size_t cap, const char *from, size_t len);

static inline void pvgpu_count(atomic64_t *n)
{
	atomic64_inc(n);
}

#endif
