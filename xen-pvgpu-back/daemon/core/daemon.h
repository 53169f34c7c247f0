/* SPDX-License-Identifier: MIT */
/*
 * pvgpud: one event loop, no threads. This is its state: pools, vGPUs, workers and their lists.
 *
 * pvgpud never reads a CUDA command and never loads libcuda. It opens sessions (workers/open*.c),
 * starts, supervises and ends workers (spawn.c, supervise.c), accounts for their memory
 * (rules/ledger.c), adopts the workers of a predecessor (adopt.c), and serves keys to operators
 * (admin/).
 */
#ifndef PVGPU_DAEMON_H
#define PVGPU_DAEMON_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "xen-pvgpu-back/contract/health.h"
#include "xen-pvgpu-back/contract/latency.h"
#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/contract/supervise.h"
#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/daemon/core/near.h"
#include "xen-pvgpu-back/daemon/core/socket_file.h"
#include "xen-pvgpu-back/daemon/rules/account_check.h"
#include "xen-pvgpu-back/daemon/rules/budget.h"
#include "xen-pvgpu-back/daemon/rules/judge.h"
#include "xen-pvgpu-back/daemon/rules/ledger.h"
#include "xen-pvgpu-back/daemon/rules/quarantine.h"
#include "xen-pvgpu-back/daemon/rules/overdue.h"
#include "xen-pvgpu-back/daemon/rules/uids.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define CANARY_WHY  160
#define POOL_REASON 192

struct cgroups;
struct claim;
struct daemon;
struct export;
struct fault_record;
struct gate;
struct goals;
struct held;
struct held_file;
struct holding;
struct opening;
struct schedule;
struct tenant;
struct share;
struct share_group;
struct snapshot_server;
struct worker;
struct xen_lost;
struct xen_session;
struct xen_vgpu;
struct xenbus;
struct wish;

/* The sender of the administrator's request that is being answered. */
struct asks {
	bool dom0; /* by xenstore: uid and pid are those that dom0's pvgpuctl tells */
	uid_t uid;
	pid_t pid;
};

/* guard/canary.c, of a pool. */
struct canary {
	struct pool *p;
	struct worker *w; /* the worker that runs it; NULL: none */
	bool wanted;      /* requested, but no worker has been ready for it yet */
	bool again;       /* requested again since the run began */
	bool unhealthy;
	bool locked;           /* unhealthy until an operator clears it */
	unsigned int failures; /* in a row */
	uint64_t runs;
	uint64_t readmitted;     /* times that it became healthy again */
	bool asked, asked_runs;  /* an operator asked for a run; it has begun */
	char result[CANARY_WHY]; /* of the last run; "": none yet */
	/* Gets each run's result, why NULL: the right answer; NULL: no reset waits for it. */
	void (*answered)(struct pool *p, const char *why);
	/* Waits for a ready worker; polls the time of a run; waits for the next try. */
	ev_timer timer;
	ev_timer verdict;        /* after a success: time for an Xid to be heard of */
	unsigned int rounds;     /* of pvgpu-health until the verdict */
	uint64_t looked;         /* time of the last poll, ns */
	uint64_t ran_ns;         /* GPU time of the run, without the part that others had */
	uint64_t xid_ms;         /* time of the last Xid of the GPU itself; 0: none */
	ev_timer spaced;         /* active: such a run was asked for within the last time */
	bool spaced_again;       /* and another one since */
	char after[CANARY_WHY];  /* the event that asked for the run */
	char reason[CANARY_WHY]; /* why the GPU is unhealthy */
};

/* guard/reset.c, of a pool: the last reset of its GPU. */
enum reset_state {
	RESET_NONE,
	RESET_EMPTIES, /* what has the GPU open ends */
	RESET_RUNS,    /* the command does */
	RESET_TESTS,   /* the canary does */
	RESET_DONE,
	RESET_FAILED,
};

struct reset {
	struct pool *p; /* NULL: none yet */
	enum reset_state state;
	pid_t pid;        /* of the command; 0: it does not run */
	uint64_t started; /* core/process.h */
	bool resumed;     /* a former pvgpud started it */
	int pidfd, out;   /* -1: it does not run */
	ev_io exit_io, out_io;
	ev_timer timer;
	uint64_t end_ms;    /* of the time for what ends before the command */
	unsigned int tests; /* that failed */
	char line[104];     /* the last that the command wrote */
	unsigned int line_n;
	bool line_ended;
	char why[240];
};

struct pool_group {
	TAILQ_ENTRY(pool_group) link;
	struct config_group cfg;  /* current settings */
	struct config_group told; /* those that its vGPUs' keys brought */
	unsigned int users;  /* references: vGPUs in it, its section in the configuration, `live` */
	bool live;           /* set by group_live */
	struct rates *rates; /* share.c: its limits; NULL: no vGPU is in it */
};

/* guard/strangers.c: a process on a pool's GPU that is no worker. */
#define STRANGERS_MAX 16u /* of one pool that are told apart */
struct stranger {
	uint32_t pid; /* 0: a free place */
	unsigned int rounds;
	bool here, told;
};

struct pool {
	struct daemon *d;
	struct config_pool cfg; /* current settings */
	unsigned int index;     /* in d->pools */
	struct schedule *schedule;
	/* For placement by load: the part of the GPU's time that was used lately. */
	uint32_t load_ppm;
	uint64_t load_ms; /* time of the last sample */
	ev_timer load_timer;
	ev_timer used_timer;  /* runs when pool_used was called */
	ev_timer goals_timer; /* runs when goals_changed was called */
	struct goals *goals;  /* goals.c */
	/* The GPU, as reported by its workers. */
	uint64_t device_memory; /* bytes; 0: no report yet */
	int driver_version;
	char model[64]; /* the GPU's name */
	/* Workers that failed to start. */
	unsigned int failures;  /* in a row, each begun after the one before had failed */
	uint32_t failed_before; /* number of the first worker after the last of these */
	ev_timer retry;
	char failure[128];
	ev_timer surplus; /* runs while there are more spare workers than wanted */
	ev_timer refill;  /* runs while there are fewer */
	struct canary canary;
	struct reset reset;
	bool no_workers;                 /* none may start: the GPU is being reset */
	struct health_msg sensors, pcie; /* account.c: the last; kind 0: none yet */
	struct near near;                /* that GPU's */
	/* facts.c: what the GPU tells of itself, and the parts of the next that have come. */
	struct pvgpu_gpu_card facts, facts_come;
	bool facts_known;
	uint64_t driver_used;    /* bytes that the driver counts as used */
	uint64_t xids, last_xid; /* their number since pvgpud's start; 0: none */
	bool use_counted;        /* watchdog.c: the driver has counted use by some worker */
	struct stranger strangers[STRANGERS_MAX];
	TAILQ_HEAD(claims, claim) claims; /* lease.c, in the order in which they came */
	struct claim *first; /* of those that wait for room and can have it; NULL: none */
	uint64_t freed;      /* bytes parked for it */
	uint64_t copy_ns;    /* that moving a KiB takes its vGPUs; their median */
	ev_timer residency;
};

/* Its workers do not start. One failure in a row says nothing about a GPU that has been served. */
static inline bool pool_starts_fail(const struct pool *p)
{
	return p->failures > (p->device_memory ? 1u : 0u);
}

/* guard/account.c, of a worker. */
struct account {
	struct judge judge;
	unsigned int spared; /* test_judge_observes: enum guilt that it was not ended for */
	bool known;          /* the driver has reported it */
	uint64_t used_ns;    /* GPU time */
	uint64_t memory;     /* bytes of device memory, as last reported */
	bool seen;           /* it was, since the last round */
	uint64_t beyond;     /* bytes of it that count beside the lease */
	uint64_t steady;     /* the same at the last round */
};

/* A request for memory that waits: an ending session still holds it, or the GPU is full
 * (workers/residency.h). */
struct claim {
	TAILQ_ENTRY(claim) link;
	struct worker *w;
	uint32_t id;
	uint64_t bytes;
	bool parked; /* bytes that it has parked */
};

/* workers/parking.c, of a vGPU. */
struct parking_vgpu {
	bool on; /* an operator has its memory parked while its sessions are idle */
	ev_timer look;
	uint64_t us;                  /* time that its workers say they took */
	uint64_t parks;               /* times that memory of one was parked */
	uint64_t refused;             /* leases, as the GPU was full and nothing could leave */
	uint64_t may;                 /* residency.c: bytes, while it reckons */
	uint64_t copy_ns;             /* that moving a KiB takes it; 0: not measured */
	struct pvgpu_latency resumes; /* from the grant of the lease to the worker's report */
};

/* The same of a worker. */
struct parking {
	bool knows;        /* the worker knows of it */
	bool waits;        /* for the answer to question `asked` */
	bool came;         /* it was brought back since the operator's word */
	uint32_t asked;    /* the number of the last question */
	uint64_t most;     /* bytes that it asked for */
	uint64_t bytes;    /* parked */
	uint64_t began_ns; /* of the way back; 0: it is not on it */
	uint64_t coming;   /* bytes that are */
	unsigned int told; /* adopted: reports of what is parked, without a question */
	/* residency.c */
	bool knows_busy;             /* can be asked while it has work */
	bool knows_more;             /* ... and while memory is parked */
	bool wants;                  /* its parked bytes, and waits for room */
	struct claim claim;          /* then */
	unsigned int busy;           /* answers that it has work */
	uint64_t leaves;             /* bytes that it was asked to park for another one */
	uint64_t not_before;         /* CLOCK_MONOTONIC, as these: it is asked again */
	uint64_t stays, stays_until; /* bytes of its lease that cannot leave */
	unsigned int stuck;          /* times in a row that not all could leave */
	uint64_t came_ns;            /* its memory came to the GPU */
	uint64_t active_ns;
	uint64_t seen;         /* its counters at the last look */
	uint64_t copies_until; /* CLOCK_MONOTONIC: its use of the GPU may be copies until then, */
	uint64_t copies_ns;    /* up to this time on the GPU */
};

struct vgpu {
	struct daemon *d;
	struct pool *pool;        /* never NULL */
	struct pool_group *group; /* NULL: no group */
	uint64_t load_ns;         /* GPU time that its pool's load has counted */
	struct config_vgpu cfg;
	struct tenant *tenant;           /* the vGPU in its pool's schedule */
	struct share_group *share_group; /* share.c: its group in the pool; NULL: none */
	uint64_t ticked;                 /* share.c: its statistics at the last tick */
	bool fresh;                      /* no former use was on record */
	int fd; /* listening socket; -1: closed, or the vGPU is not configured any more */
	struct socket_file socket_file;
	ev_io io;
	ev_timer tell; /* delays the report of changed memory to sessions, so that many changes make
			  one report */
	struct budget connections; /* of local guests */
	ev_timer pause;            /* it is used up: none is accepted */
	struct ledger ledger;
	uint64_t ending, ending_turn; /* lease.c: bytes of ending sessions, as of which turn */
	struct parking_vgpu parking;
	LIST_HEAD(, export) exports; /* exports.c: what its sessions share */
	void *export_tree;           /* the same, by number */
	unsigned int sessions;       /* now */
	unsigned int openings;       /* guests waiting for a session */
	bool crowded;                /* max_opening of them: no more are accepted */
	uint64_t served;             /* number of the last opening that got a worker; 0: none */
	uint64_t counted;            /* of the last count of those that wait */
	uint64_t total, failed;      /* sessions ever; of these, ended by a failure or a breach */
	uint64_t kills;              /* of these, ended by pvgpud */
	enum pvgpu_drain drain;
	uint64_t refused;            /* openings that got no session */
	char refusing[CHECK_REASON]; /* why the latest opening got none; "": it did */
	char unfit[CHECK_REASON];    /* its memory cannot be promised; "": it is */
	bool former;                 /* it is configured no more, and its sessions are ended */
	bool unsettled;              /* its place waits for a prediction of latencies */
	uint64_t predicted_us;       /* goals.c: 99 of 100 waits; 0: it has no latency goal */
	char last_reason[160];       /* why the last session ended */
	char ctl_name[40];           /* on the Xen link: pvgpuctl's name for it; "": cfg.name */
	struct quarantine quarantine;
	struct account_vgpu account;
	struct judge judge;          /* account.c: of the memory of all its sessions */
	uint64_t context_bytes;      /* account.c: that a context takes, as measured; 0: not yet */
	unsigned int long_workers;   /* watchdog.c: with long work on the GPU */
	struct xen_vgpu *xen;        /* NULL: a vGPU of the local link */
	uint32_t xen_grants;         /* that its workers may have mapped */
	bool xen_ending;             /* between xenctl_disconnect and xenbus_idle */
	SLIST_HEAD(, xen_lost) lost; /* sessions of a former pvgpud whose workers died */
	uint64_t breach_ms;  /* faults.c: time of the last counted breach outside a session */
	struct pool *blamed; /* faults.c: whose GPU its sessions blame, until the canary's answer */
	unsigned int blames; /* sessions that did, and their users */
	uint32_t blame_user[QUARANTINE_FAULTS_MAX];
	uint64_t blamed_ms;     /* time of the last blame that a canary was asked for; 0: none */
	struct log_bound noise; /* for log lines that guests cause without a session */
};

struct worker {
	TAILQ_ENTRY(worker) link;
	struct daemon *d;
	struct pool *pool;
	unsigned int id; /* also its session's number */
	enum check_worker_state state;
	bool ready;   /* sent READY, or was adopted */
	bool answers; /* says when it has taken its session */
	bool shares;  /* knows of memory that sessions share */
	bool silent;  /* did not take its session: that goes to another worker */
	bool sealed, adopted, killed;
	bool surplus; /* it was ended because it was one too many */
	pid_t pid;
	uint32_t uid; /* that it becomes, its own; 0: pvgpud's */
	int pidfd, control, log, guest_pidfd;
	int cgroup;              /* its directory; -1: none of its own */
	unsigned int cpu_weight; /* as last written there */
	uint64_t host_memory;    /* bytes that it holds, as last read there */
	ev_io pidfd_io, control_io, log_io, guest_io;
	ev_timer deadline; /* for its start, its STATE or its exit, as `why` says */
	unsigned int late; /* times that the deadline waited for what was unread */
	struct budget budget;
	ev_timer pulse;      /* pulse.c */
	unsigned int missed; /* rings in a row that it has not taken */
	ev_timer pause;      /* its budget is used up: its control socket is not read */
	const char *why;
	struct vgpu *vgpu;       /* NULL while spare */
	struct gate *gate;       /* NULL: none yet */
	bool awaited;            /* adopted, without a gate yet (share.c) */
	struct opening *opening; /* the guest that waits until it is sealed */
	uint32_t number;         /* the guest's number of the session; 0: local link */
	uint32_t user;           /* of the guest, as in rules/quarantine.h */
	struct xen_session *xs;  /* Xen link; NULL: its vGPU is not connected */
	uint32_t grants;         /* grants that it may have mapped */
	uint64_t leased;
	struct parking parking;
	uint64_t context_bytes; /* that it leases for a context, as it was told; 0: nothing */
	struct held *held;      /* the record of what it holds; NULL while spare */
	unsigned int claims;    /* in its pool's list */
	LIST_HEAD(, holding) holdings; /* exports.c: what it shares with other sessions */
	unsigned int holdings_n, wishes;
	unsigned int owes; /* exports.c: answers of it that may come */
	uint64_t exported; /* bytes of its lease that it shares */
	uint64_t imported; /* bytes that it has and that are in another session's lease */
	uint64_t told;     /* free bytes plus its own, as last sent */
	pid_t guest_pid;
	uint64_t started_ms;       /* start of the session, CLOCK_BOOTTIME */
	int end;                   /* enum pvgpu_end; -1: not reported */
	enum fault fault;          /* reason of its kill, if a fault */
	unsigned int device_error; /* CUresult that broke a context of it; 0: none */
	bool hardware;             /* device_error is the GPU's fault */
	bool canary;               /* it was chosen to run the canary */
	struct overdue overdue;
	struct account account;
	char reason[128];
	char sock[96];  /* name of its adoption socket, in <run_dir>/workers */
	char line[256]; /* an unfinished line of its log */
	unsigned int line_n;
	struct log_bound lines;
};

struct daemon {
	struct ev_loop *loop;
	struct config cfg;
	int workers_dir; /* <run_dir>/workers, locked */
	struct held_file *held;
	struct pool **pools;
	unsigned int pool_n; /* at least one */
	TAILQ_HEAD(, pool_group) groups;
	struct vgpu **vgpus;
	unsigned int vgpu_n;
	TAILQ_HEAD(, worker) workers;
	TAILQ_HEAD(, opening) openings;
	LIST_HEAD(, wish) wishes; /* exports.c: imports that an owner is asked for */
	uint32_t next_wish;
	uint64_t lease_turn;     /* lease.c */
	uint64_t served, counts; /* openings that got a worker; counts of vGPUs that wait */
	unsigned int session_n, worker_n;
	uint64_t workers_started; /* by this pvgpud */
	unsigned int next_id;
	struct uids uids;        /* of workers */
	struct cgroups *cgroups; /* of workers; NULL: absent */
	char cgroup_why[160];    /* cgroup_state */
	char cgroup_path[512];   /* that they are below */
	bool cgroup_made;        /* it is not pvgpud's own, but made by it */
	uint64_t started_ms;
	struct share *share;
	SLIST_HEAD(, fault_record) fault_records;
	ev_timer watchdog;
	bool stopping;
	bool hand_over; /* it ends, and the next pvgpud serves its sockets and sessions */
	char *live_pools, *live_groups; /* as pool_live and group_live had them last; NULL: never */
	char unsaved[160]; /* faults_file.c: why the last state was not written; "": it was */
	char waits[1024];  /* settings of pvgpud.conf that wait for the next start; "": none */
	bool predict_now;  /* latencies are predicted at once, although the loop runs */
	bool failed; /* exit status 1: the configuration promises more memory than the GPU has, or
			xenstore is lost */
	ev_timer stop_limit;
	struct health *health; /* pvgpu-health; NULL: out of memory */
	struct admin *admin;
	struct asks asks;
	struct snapshot_server *snapshots; /* NULL: it does not listen */
	struct xenbus *xen;                /* NULL: no Xen link */
	bool xen_zero_copy;                /* workers may register guests' memory with CUDA */
	const struct xen_ops *xen_ops;
	struct xen_maps *xen_maps; /* chunks that are being mapped; NULL: none yet */
	uint64_t xen_grants;       /* grants that workers of all guests may have mapped */
};

/* daemon.c */
uint64_t now_ms(void); /* CLOCK_BOOTTIME */
void daemon_check_stopped(struct daemon *d);
struct vgpu *daemon_vgpu(struct daemon *d, const char *name);

/* pools.c */
struct pool *pool_find(struct daemon *d, const char *name); /* NULL: no such pool */

/* worker.c */
const char *worker_name(const struct worker *w); /* for the log: "session 7 vgpu0", "worker 8" */
void worker_kill(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void worker_deadline(struct worker *w, unsigned int ms, const char *why);

#endif
