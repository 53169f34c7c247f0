/* SPDX-License-Identifier: MIT */
/*
 * pvgpud: one event loop, no thread. Sections are named after the file that implements them.
 *
 * pvgpud never reads a CUDA command and never loads libcuda. It opens sessions (open*.c), starts,
 * watches and ends workers (spawn.c, supervise.c), keeps the ledger of their memory (ledger.c),
 * takes back those of a predecessor (adopt.c), and shows and sets keys (tree.c, admin.c).
 */
#ifndef PVGPU_DAEMON_H
#define PVGPU_DAEMON_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "link/local.h"
#include "xen-pvgpu-back/daemon/account.h"
#include "xen-pvgpu-back/daemon/config.h"
#include "xen-pvgpu-back/daemon/faults.h"
#include "xen-pvgpu-back/daemon/ledger.h"
#include "xen-pvgpu-back/daemon/log.h"
#include "xen-pvgpu-back/daemon/pool.h"
#include "xen-pvgpu-back/daemon/supervise.h"
#include "xen-pvgpu-back/daemon/watch.h"
#include "xen-pvgpu-back/link/local_check.h"
#include "xen-pvgpu-back/link/msg.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

struct daemon;
struct gate;
struct seat;
struct share;
struct share_part;
struct xenbus;
struct xen_vgpu;

/* Memory asked for that an ending session still has. */
struct claim {
	TAILQ_ENTRY(claim) link;
	struct worker *w;
	uint32_t id;
	uint64_t bytes;
};

struct vgpu {
	struct daemon *d;
	struct pool *pool;        /* never NULL */
	struct pool_group *group; /* NULL: in none */
	uint64_t load_ns;         /* GPU time that its pool's load knows of */
	struct config_vgpu cfg;
	struct seat *seat;       /* in the pool's schedule */
	struct share_part *part; /* share.c: its group in the pool; NULL: none */
	uint64_t ticked;         /* share.c: what was last seen of its statistics */
	bool fresh;              /* nothing was known of what it had used */
	int fd;                  /* listening; -1: of a predecessor's configuration, or closed */
	ev_io io;
	ev_timer tell; /* sessions hear of changed memory a moment later, once */
	struct ledger ledger;
	TAILQ_HEAD(, claim) claims;
	unsigned int sessions;  /* now */
	unsigned int openings;  /* guests that wait for a session */
	uint64_t total, failed; /* ever, ended unexpectedly or by a breach */
	bool drain;             /* takes no new session */
	char last_reason[160];  /* of the last session's end */
	struct quarantine quarantine;
	struct account_vgpu account;
	bool is_long;                /* watchdog.c: has long work on the GPU */
	struct xen_vgpu *xen;        /* on the Xen link; NULL: of the local link */
	bool xen_ending;             /* xenctl_disconnect was called; xenbus_idle was not */
	SLIST_HEAD(, xen_lost) lost; /* sessions that a former pvgpud left and that died */
	uint64_t breach_ms;          /* faults.c: the last breach outside a session that counted */
	struct log_bound noise;      /* of what its guests cause without having a session */
};

struct worker {
	TAILQ_ENTRY(worker) link;
	struct daemon *d;
	struct pool *pool;
	unsigned int id; /* and its session's number */
	enum check_worker_state state;
	bool ready; /* has said READY, or was adopted */
	bool sealed, adopted, killed;
	pid_t pid;
	int pidfd, control, log, guest_pidfd;
	ev_io pidfd_io, control_io, log_io, guest_io;
	ev_timer deadline; /* of its start, its STATE or its exit: what for is in `why` */
	const char *why;
	struct vgpu *vgpu;       /* NULL while spare */
	struct gate *gate;       /* NULL: has none yet */
	bool awaited;            /* adopted, and has none yet (share.c) */
	struct opening *opening; /* the guest that waits for it to be sealed */
	uint32_t number;         /* the guest's of the session; 0: on the local link */
	struct xen_session *xs;  /* on the Xen link; NULL: its vGPU is not connected */
	uint32_t grants;         /* that it may have mapped */
	uint64_t leased;
	unsigned int claims; /* in its vGPU's list */
	uint64_t told;       /* free bytes plus its own, as last told */
	pid_t guest_pid;
	uint64_t started_ms;       /* of the session, CLOCK_BOOTTIME */
	int end;                   /* enum pvgpu_end, -1: has not said */
	enum fault fault;          /* it was ended for */
	unsigned int device_error; /* CUresult that spoilt a context of it; 0: none */
	bool hardware;             /* and the GPU is at fault */
	bool canary;               /* it ran, or was to run, the canary */
	struct watch watch;
	struct account account;
	char reason[128];
	char sock[96];  /* name of its adoption socket, in <run_dir>/workers */
	char line[256]; /* of its log, unfinished */
	unsigned int line_n;
	struct log_bound lines;
};

/*
 * A guest that waits for a session, of either link, which makes it part of a structure of its own.
 */
struct opening {
	TAILQ_ENTRY(opening) link;
	const struct opening_ops *ops;
	struct vgpu *vgpu;
	bool asked;       /* waits for a worker */
	struct worker *w; /* has been given the session and prepares for it */
	unsigned int tries;
	ev_timer limit;
	uint32_t cmd_size, rep_size;
	uint32_t number; /* as the worker's */
};

struct opening_ops {
	/*
	 * Make the session's files anew: fill in what is this link's own in the message, and the
	 * files that go with it. Their number, or -errno with a reason.
	 */
	int (*make)(struct opening *o, struct pvgpu_sup_assign *m, int fds[MSG_FDS_MAX],
		    char reason[CHECK_REASON]);
	void (*unmake)(struct opening *o);   /* another worker will get others */
	void (*assigned)(struct opening *o); /* o->w has them */
	void (*given)(struct opening *o);    /* o->w serves: the guest's part; free follows */
	void (*refused)(struct opening *o, int error, const char *reason); /* free follows */
	void (*free)(struct opening *o); /* it is in no list any more */
};

struct daemon {
	struct ev_loop *loop;
	struct config cfg;
	int lock;        /* of the run directory */
	int workers_dir; /* O_PATH of <run_dir>/workers */
	struct pool **pools;
	unsigned int pool_n; /* one at least */
	TAILQ_HEAD(, pool_group) groups;
	struct vgpu **vgpus;
	unsigned int vgpu_n;
	TAILQ_HEAD(, worker) workers;
	TAILQ_HEAD(, opening) openings;
	unsigned int session_n, worker_n;
	unsigned int next_id;
	uint64_t started_ms;
	struct share *share;
	SLIST_HEAD(, fault_record) fault_records;
	ev_timer watchdog;
	bool stopping;
	bool failed; /* more is promised than there is */
	ev_timer stop_limit;
	struct health *health; /* pvgpu-health; NULL: out of memory */
	struct admin *admin;
	struct xenbus *xen; /* NULL: no Xen link */
	bool xen_zero_copy; /* workers may register guests' memory with CUDA */
	const struct xen_ops *xen_ops;
	uint64_t xen_grants; /* that workers of all guests may have mapped */
};

/* main.c */
uint64_t now_ms(void); /* CLOCK_BOOTTIME */
void daemon_check_stopped(struct daemon *d);
struct vgpu *daemon_vgpu(struct daemon *d, const char *name);
/* In a pool that pool_place named. */
struct vgpu *daemon_add_vgpu(struct daemon *d, const struct config_vgpu *cfg, struct pool *pool);
/* It must have no session, no opening and no socket any more. */
void daemon_remove_vgpu(struct vgpu *v);

/* vgpu.c: the socket of a vGPU */
void vgpu_init(struct vgpu *v, struct daemon *d, const struct config_vgpu *cfg, struct pool *pool);
int vgpu_listen(struct vgpu *v);
void vgpu_close(struct vgpu *v);
uint64_t vgpu_quota(const struct vgpu *v);
/* The used memory has changed: its sessions will be told. */
void vgpu_changed(struct vgpu *v);
/* What its sessions may have has changed: they will be told. */
void vgpu_tell(struct vgpu *v);
/*
 * Other memory, pool or group: 0, or -1 with a reason, and memory and pool stay as they were. While
 * it has sessions its pool stays, too.
 */
int vgpu_change(struct vgpu *v, const struct config_vgpu *cfg, char reason[POOL_REASON]);
void vgpu_drain(struct vgpu *v, bool on);
/* To another pool's GPU: it must have no session and no opening. -1: it stays where it was. */
int vgpu_move(struct vgpu *v, struct pool *pool);
/* Its sessions have ended, or its pool is named anew: to where it should be, if that can be now. */
void vgpu_settle(struct vgpu *v);

/* open.c */
void open_init(struct opening *o, const struct opening_ops *ops, struct vgpu *v);
/* It has said what it wants: wait for a worker. 0, or -errno with a reason and nothing happened. */
int open_ask(struct opening *o, char reason[CHECK_REASON]);
void open_refuse(struct opening *o, int error, const char *reason);
void open_drop(struct opening *o); /* without a word */
void open_serve(struct daemon *d); /* give waiting guests ready workers */
void open_refuse_all(struct daemon *d, struct vgpu *v, int error,
		     const char *reason); /* v NULL: all */
void open_refuse_pool(struct pool *p, int error, const char *reason);
unsigned int open_waiting(const struct pool *p);
void open_sealed(struct worker *w); /* its guest can have the session */
void open_failed(struct worker *w); /* it died before that: the guest gets another */

/*
 * session.c: make a session of a waiting guest and a spare worker: 0, -EOWNERDEAD when the worker
 * is of no use, another negative errno with a reason when there is no session to be had.
 */
int session_start(struct opening *o, struct worker *w, char reason[CHECK_REASON]);

/* open_local.c: a connection on a vGPU's socket */
void open_accept(struct vgpu *v, int fd);

/* lease.c: workers' memory */
void lease_asked(struct worker *w, const struct pvgpu_sup *m);
void lease_returned(struct worker *w, const struct pvgpu_sup *m);
/* The worker is dead: take back what it had. */
void lease_died(struct worker *w);
/* Its quota has become known. */
void lease_quota_known(struct vgpu *v);
/* What sessions of the vGPU can have, counting what ending ones are about to give back. */
uint64_t lease_free(const struct vgpu *v);

/* spawn.c: a worker process; 0 or -errno, logged */
int spawn_worker(struct worker *w);

/* supervise.c */
struct worker *sup_new(struct pool *p, unsigned int id);
void sup_watch(struct worker *w); /* its files are set: watch them */
void sup_keep_spares(struct daemon *d);
struct worker *sup_take_spare(struct pool *p);
void sup_assigned(struct worker *w, struct vgpu *v); /* it has a session */
void sup_watch_guest(struct worker *w, int pidfd);
int sup_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a);
/* Any message, with a file if fd is not negative. */
int sup_tell(struct worker *w, const struct pvgpu_sup *m, int fd);
void sup_meminfo(struct worker *w);
void sup_deadline(struct worker *w, unsigned int ms, const char *why);
void sup_kill(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sup_gone(struct worker *w);
const char *sup_name(const struct worker *w); /* for the log: "session 7 vgpu0", "worker 8" */

/* worker_log.c */
void wlog_open(struct worker *w, int fd);
void wlog_read(struct worker *w);

/* adopt.c */
void adopt_scan(struct daemon *d);
void adopt_state(struct worker *w, const struct pvgpu_sup *m);

/* admin.c */
int admin_open(struct daemon *d);
void admin_close(struct daemon *d);

#endif
