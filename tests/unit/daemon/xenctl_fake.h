/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's part that serves control rings, without processes and without Xen: a guest in plain
 * memory and workers that are one end of a socket and an eventfd for a pidfd, both played by the
 * test. Everything between is pvgpud's own: open.c, session.c, supervise.c, xenctl*.c.
 */
#ifndef PVGPU_XENCTL_FAKE_H
#define PVGPU_XENCTL_FAKE_H

#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define FAKE_DOMID    7u
#define FAKE_REFS     256u /* grant references from 1 on, each of a page */
#define FAKE_WORKERS  32u
#define FAKE_FILES    1024u /* more than are ever open */
#define FAKE_RING_REF 1u
#define FAKE_PORT     9u
/* Ring of the smallest streams: page, 64 KiB, 64 KiB. */
#define FAKE_RING_PAGES 33u

struct fake_worker {
	struct worker *w; /* NULL: dead */
	int control, death;
};

#define FAKE_SENT 64u /* a power of two, of which no more are without an answer */

struct fake_guest {
	struct pvgpu_ctl_page *page;
	struct pvgpu_ctl ctl;
	uint32_t next_id;
	struct pvgpu_ctl_msg sent[FAKE_SENT]; /* by index; id 0: answered */
	unsigned int rung;                    /* by pvgpud */
};

struct fake {
	struct daemon d;
	struct vgpu *v;
	struct vgpu *vgpus[2];
	struct xen_vgpu x;
	struct fake_guest g;
	struct fake_worker workers[FAKE_WORKERS];
	unsigned int worker_n;
	unsigned char (*pages)[4096]; /* by reference */
	bool connected, masked;
	int port_fd;
	unsigned int maps, unmaps, channels, copies; /* calls */
	uint32_t map_count;                          /* of the last */
	uint32_t of_file[FAKE_FILES], held;          /* grants of each file; of the last one */
	int fail_map, fail_channel;                  /* errno */
	bool drops; /* the worker's next answer is one after which an honest one has no such file */
	bool keeps; /* but it has */
	uint64_t gpu_memory; /* that workers report; 0: 1 GiB */
	unsigned int idle, changed;
	unsigned int asked; /* how often a worker was rung */
	bool unheard;       /* the worker does not take the ring */
	char fatal[CHECK_REASON];
	unsigned int accepted; /* connections of local guests */
	bool clock_stands;
	bool slow; /* workers are not ready until the test says so */
	char dir[64];
};

extern struct fake fake;

/* Up, with the vGPU connected; adopt: as after a restart, with the guest as it is. */
void fake_up(void);
void fake_down(void);
int fake_connect(bool adopting);
/* Another pvgpud: this one's state is freed, sockets of workers and the guest's page stay. */
void fake_restart(void);
/* Advance the clock by that many milliseconds; unless it stands, each reading advances it by one,
 * too. */
void fake_pass(uint64_t ms);
/* The control ring's pause, if there is one, takes its 20 ms by that clock and no time of ours. */
void fake_pause(void);
/* Let everything happen. Workers that were killed die. */
void fake_settle(void);

/* The guest. */
uint32_t fake_request(uint32_t op, uint32_t session, const void *u, size_t len);
int fake_put(const struct pvgpu_ctl_msg *m);
/* Takes PVGPU_CTL_AGAIN, which is there, and does what it asks. */
void fake_again(void);
bool fake_answer(struct pvgpu_ctl_msg *m); /* the next one; false: none */
void fake_ring(void);
/* Directory pages from reference dir on that name refs from first on; how many pages it took. */
uint32_t fake_directory(uint32_t dir, uint32_t first, uint32_t n);

/* The workers. */
struct fake_worker *fake_serving(uint32_t number); /* of the guest's session; NULL: none */
void fake_say(struct fake_worker *k, const struct pvgpu_sup *m);
/* The next message of this kind; others are passed over. Files are closed and counted. */
bool fake_hear(struct fake_worker *k, uint32_t kind, struct pvgpu_sup_assign *m, unsigned int *fds);
void fake_die(struct fake_worker *k);
void fake_seal(struct fake_worker *k);

#endif
