/* SPDX-License-Identifier: MIT */
/* See tsg.h. Whatever is asked goes on to the kernel as it is. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/gpu/probe/machine/tsg.h"

#define GROUPS               64

#define RM_TYPE              'F'
#define RM_FREE              0x29
#define RM_CONTROL           0x2a
#define RM_ALLOC             0x2b
#define RM_TRANSFER          211

#define CLASS_GROUP          0xa06c
#define CMD_SCHEDULE         0xa06c0101u
#define CMD_SCHEDULE_CHANNEL 0xa06f0103u /* with the same parameters */
#define CMD_SET_SLICE        0xa06c0103u
#define CMD_GET_SLICE        0xa06c0104u
#define CMD_PREEMPT          0xa06c0105u
#define CMD_SET_LEVEL        0xa06c0107u
#define CMD_GET_LEVEL        0xa06c0108u

/* Too large for a request's own number. */
struct transfer {
	uint32_t nr, size;
	uint64_t data;
};

struct free_request {
	uint32_t client, parent, object, status;
};

struct control {
	uint32_t client, object, cmd, flags;
	uint64_t params;
	uint32_t params_size, status;
};

#define SCHEDULE_OLD 2u
#define SCHEDULE_NEW 3u

/* The beginning, which the short and the long form share; where their status is differs. */
struct alloc {
	uint32_t client, parent, object, class;
	uint64_t params;
};
#define ALLOC_SHORT 32u
#define ALLOC_LONG  48u

struct group_params {
	uint32_t error, ecc_error, address_space, engine;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tsg groups[GROUPS];
static size_t groups_n;
static struct tsg_seen seen;
/* This parameter has grown between releases, and the driver wants the size that it knows: what
 * libcuda gave, or 0 where it gave none. */
static uint32_t schedule_size;

static int forward(int fd, unsigned long request, void *data)
{
	return (int)syscall(SYS_ioctl, fd, request, data);
}

static uint32_t alloc_status(const struct alloc *a, uint32_t size)
{
	uint32_t status;

	memcpy(&status, (const char *)a + (size == ALLOC_LONG ? 40 : 28), sizeof(status));
	return status;
}

static void on_alloc(int fd, const struct alloc *a, uint32_t size)
{
	const struct group_params *p = (const struct group_params *)(uintptr_t)a->params;

	if ((size != ALLOC_SHORT && size != ALLOC_LONG) || alloc_status(a, size))
		return;
	seen.allocs++;
	if (a->class == CLASS_GROUP && groups_n < GROUPS)
		groups[groups_n++] = (struct tsg){.client = a->client,
						  .object = a->object,
						  .engine = p ? p->engine : 0,
						  .fd = fd};
}

static void on_free(const struct free_request *f)
{
	bool all = f->client == f->object;

	for (size_t i = groups_n; i-- > 0;)
		if (groups[i].client == f->client && (all || groups[i].object == f->object))
			groups[i] = groups[--groups_n];
}

static void on_control(const struct control *c)
{
	seen.controls++;
	if (c->status || !c->params)
		return;
	if (c->cmd == CMD_SCHEDULE || c->cmd == CMD_SCHEDULE_CHANNEL)
		schedule_size = c->params_size;
	if (c->cmd == CMD_SET_SLICE && c->params_size == sizeof(uint64_t)) {
		seen.slices++;
		memcpy(&seen.slice_us, (const void *)(uintptr_t)c->params, sizeof(uint64_t));
	}
}

/* A request that the driver has answered. */
static void look(int fd, uint32_t nr, uint32_t size, const void *data)
{
	pthread_mutex_lock(&lock);
	if (nr == RM_ALLOC)
		on_alloc(fd, data, size);
	else if (nr == RM_CONTROL && size == sizeof(struct control))
		on_control(data);
	else if (nr == RM_FREE && size == sizeof(struct free_request))
		on_free(data);
	pthread_mutex_unlock(&lock);
}

int ioctl(int fd, unsigned long request, ...) __attribute__((visibility("default")));
int ioctl(int fd, unsigned long request, ...)
{
	const struct transfer *t;
	va_list args;
	void *data;
	int r;

	va_start(args, request);
	data = va_arg(args, void *);
	va_end(args);
	r = forward(fd, request, data);
	if (r < 0 || _IOC_TYPE(request) != RM_TYPE || !data)
		return r;
	t = data;
	if (_IOC_NR(request) == RM_TRANSFER && _IOC_SIZE(request) == sizeof(*t))
		look(fd, t->nr, t->size, (const void *)(uintptr_t)t->data);
	else
		look(fd, _IOC_NR(request), _IOC_SIZE(request), data);
	return r;
}

size_t tsg_list(struct tsg *out, size_t cap)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = groups_n < cap ? groups_n : cap;
	memcpy(out, groups, n * sizeof(*out));
	pthread_mutex_unlock(&lock);
	return n;
}

struct tsg_seen tsg_seen(void)
{
	struct tsg_seen s;

	pthread_mutex_lock(&lock);
	s = seen;
	pthread_mutex_unlock(&lock);
	return s;
}

/* ---- controls of our own ---- */

static int64_t control(const struct tsg *g, uint32_t cmd, void *params, uint32_t size)
{
	struct control c = {.client = g->client,
			    .object = g->object,
			    .cmd = cmd,
			    .params = (uintptr_t)params,
			    .params_size = size};

	if (forward(g->fd, _IOWR(RM_TYPE, RM_CONTROL, struct control), &c) < 0)
		return -errno;
	return c.status;
}

int64_t tsg_get_slice(const struct tsg *g, uint64_t *us)
{
	return control(g, CMD_GET_SLICE, us, sizeof(*us));
}

int64_t tsg_set_slice(const struct tsg *g, uint64_t us)
{
	return control(g, CMD_SET_SLICE, &us, sizeof(us));
}

int64_t tsg_get_level(const struct tsg *g, uint64_t *level)
{
	uint32_t value = 0;
	int64_t status = control(g, CMD_GET_LEVEL, &value, sizeof(value));

	*level = value;
	return status;
}

int64_t tsg_set_level(const struct tsg *g, uint64_t level)
{
	uint32_t value = (uint32_t)level;

	return control(g, CMD_SET_LEVEL, &value, sizeof(value));
}

int64_t tsg_preempt(const struct tsg *g, uint32_t timeout_us)
{
	struct {
		uint8_t wait, own_timeout;
		uint32_t timeout_us;
	} p = {1, 1, timeout_us};

	return control(g, CMD_PREEMPT, &p, sizeof(p));
}

int64_t tsg_schedule(const struct tsg *g, bool on)
{
	struct {
		uint8_t enable, skip_submit, skip_enable;
	} p = {.enable = on};
	uint32_t known;
	int64_t status;

	pthread_mutex_lock(&lock);
	known = schedule_size;
	pthread_mutex_unlock(&lock);
	status = control(g, CMD_SCHEDULE, &p, known == SCHEDULE_OLD ? known : SCHEDULE_NEW);
	if (!status || known)
		return status;
	return control(g, CMD_SCHEDULE, &p, SCHEDULE_OLD);
}
