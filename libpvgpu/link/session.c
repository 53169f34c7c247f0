/* SPDX-License-Identifier: MIT */
/* A session's life: open, negotiate, fail, close. */
#include "link/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "link/cancel.h"
#include "pvgpu_stubs.h"

enum {
	NO_DEVICE = 100,     /* CUDA_ERROR_NO_DEVICE */
	NOT_READY = 802,     /* CUDA_ERROR_SYSTEM_NOT_READY */
	OUT_OF_MEMORY = 2,   /* CUDA_ERROR_OUT_OF_MEMORY */
	NOT_SUPPORTED = 801, /* CUDA_ERROR_NOT_SUPPORTED */
	FINISH_MS = 500,     /* for the worker to end after us */
};

/* The backend's text, copied once; other than printable ASCII becomes '?'. */
static void backend_text(struct pvgpu_session *s, char *out, size_t cap)
{
	const char *text = s->link->page->text;
	size_t n = 0;

	if (pvgpu_load_acquire(&s->link->page->status) != PVGPU_RING_RUNNING)
		for (; n < cap - 1 && n < sizeof(s->link->page->text); n++) {
			char c = *(const volatile char *)&text[n];

			if (!c)
				break;
			out[n] = c < 0x20 || c > 0x7e ? '?' : c;
		}
	out[n] = '\0';
}

void pvgpu_session_fail(struct pvgpu_session *s, const char *why)
{
	char text[128];
	int cancel;

	if (pvgpu_exchange(&s->dead, PVGPU_DEAD_RESULT))
		return;
	cancel = pvgpu_cancel_off();
	if (s->debug && !pvgpu_load_acquire(&s->closing)) {
		backend_text(s, text, sizeof(text));
		fprintf(stderr,
			"pvgpu: session %u lost: %s%s%s; start the program again for a new "
			"session\n",
			s->link->session, why ? why : "the worker is gone", text[0] ? ": " : "",
			text);
	}
	s->link->ops->hangup(s->link);
	pvgpu_sweep(s);
	pvgpu_wake_followers(s);
	pvgpu_cancel_back(cancel);
}

void pvgpu_session_lost(struct pvgpu_session *s)
{
	if (pvgpu_is_dead(s))
		return;
	if (pvgpu_try_drain(s, true))
		pvgpu_session_fail(s, NULL);
	else
		s->link->ops->hangup(s->link); /* the leader sees it, drains, and fails */
}

int pvgpu_broken(struct pvgpu_session *s, const char *what)
{
	pvgpu_session_fail(s, what);
	return PVGPU_DEAD_RESULT;
}

int pvgpu_session_status(const struct pvgpu_session *s)
{
	return pvgpu_load_acquire(&s->dead);
}

const struct pvgpu_session_info *pvgpu_session_info(const struct pvgpu_session *s)
{
	return &s->info;
}

struct pvgpu_session *pvgpu_session_new(const struct pvgpu_session_ops *ops, struct pvgpu_link *l)
{
	struct pvgpu_session *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->link = l;
	s->ops = *ops;
	s->debug = pvgpu_link_debug();
	pthread_mutex_init(&s->post_lock, NULL);
	pthread_mutex_init(&s->turn_lock, NULL);
	pthread_mutex_init(&s->lead_lock, NULL);
	pthread_mutex_init(&s->cb.lock, NULL);
	pthread_mutex_init(&s->handles.lock, NULL);
	pthread_mutex_init(&s->arena.lock, NULL);
	pthread_mutex_init(&s->arena.grow, NULL);
	pvgpu_ring_init_producer(&s->cmd, l->page, PVGPU_RING_CMD, l->cmd_size, l->rep_size);
	pvgpu_ring_init_consumer(&s->rep, l->page, PVGPU_RING_REP, l->cmd_size, l->rep_size);
	pvgpu_poll_init(&s->poll);
	return s;
}

void pvgpu_session_free(struct pvgpu_session *s)
{
	pvgpu_handles_free(s);
	pvgpu_arena_free_all(s);
	free(s->cb.queue);
	pthread_mutex_destroy(&s->post_lock);
	pthread_mutex_destroy(&s->turn_lock);
	pthread_mutex_destroy(&s->lead_lock);
	pthread_mutex_destroy(&s->cb.lock);
	pthread_mutex_destroy(&s->handles.lock);
	pthread_mutex_destroy(&s->arena.lock);
	pthread_mutex_destroy(&s->arena.grow);
	free(s);
}

static int negotiate(struct pvgpu_session *s)
{
	struct pvgpu_session_info *i = &s->info;
	int err = pvgpu_do_session_hello(s, 1, PVGPU_PROTOCOL_VERSION, PVGPU_FEATURE_ENDED,
					 &i->version, &i->device_count, &i->features,
					 &i->driver_version);

	if (err)
		return err;
	if (!i->version || i->version > PVGPU_PROTOCOL_VERSION) {
		pvgpu_broken(s, "the worker speaks no protocol version that this libcuda knows");
		return NOT_SUPPORTED;
	}
	return pvgpu_windows_settle(s);
}

int pvgpu_session_open(const struct pvgpu_session_ops *ops, struct pvgpu_session **out)
{
	char reason[PVGPU_LINK_REASON] = "";
	struct pvgpu_session *s;
	struct pvgpu_link *l;
	int err;

	err = pvgpu_link_open(&l, reason);
	if (err) {
		pvgpu_link_explain(err, "no session", reason);
		/* Quarantined: the vGPU exists, and works again later. */
		return err == -EPERM ? NOT_READY : NO_DEVICE;
	}
	s = pvgpu_session_new(ops, l);
	if (!s) {
		l->ops->close(l);
		return OUT_OF_MEMORY;
	}
	err = negotiate(s);
	if (!err && pvgpu_thread_start(s))
		err = OUT_OF_MEMORY;
	if (err) {
		pvgpu_store_release(&s->closing, true);
		pvgpu_session_fail(s, "set-up failed");
		pvgpu_windows_release(s);
		pvgpu_session_free(s);
		l->ops->close(l);
		return err == PVGPU_DEAD_RESULT ? NO_DEVICE : err;
	}
	*out = s;
	return 0;
}

void pvgpu_session_close(struct pvgpu_session *s)
{
	struct pvgpu_link *l = s->link;
	bool stopped = pvgpu_thread_stop(s), used;

	l->ops->finish(l, FINISH_MS);
	pvgpu_session_fail(s, "closed");
	pvgpu_lock(&s->lead_lock);
	used = s->leading || s->followers;
	pvgpu_unlock(&s->lead_lock);
	/* Threads that still wait (the process exits) use the session: do not free it. */
	if (!stopped || used)
		return;
	pvgpu_windows_release(s);
	pvgpu_session_free(s);
	l->ops->close(l);
}

void pvgpu_session_abandon(struct pvgpu_session *s)
{
	pvgpu_store_release(&s->dead, PVGPU_DEAD_RESULT);
	s->link->ops->abandon(s->link);
}
