/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define SIZE_MOST (64u << 20)
#define STEP      (256u << 10)

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int reach(const char *run_dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, err;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/" PVGPU_SNAPSHOT_SOCKET, run_dir) >=
	    (int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* All bytes up to the end of the file. */
static int read_all(int fd, long long until, char **bytes, size_t *n)
{
	size_t cap = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		const long long left = until - now_ms();
		char *more;
		ssize_t got;

		if (*n == cap) {
			cap += STEP;
			more = cap > SIZE_MOST ? NULL : realloc(*bytes, cap);
			if (!more)
				return -ENOMEM;
			*bytes = more;
		}
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -ETIMEDOUT;
		got = recv(fd, *bytes + *n, cap - *n, 0);
		if (got == 0)
			return 0;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		*n += got > 0 ? (size_t)got : 0;
	}
}

#define END_TEXT(array) ((array)[sizeof(array) - 1] = '\0')

static void end_texts(const struct pvgpu_snapshot_header *h, struct pvgpu_daemon_record *own,
		      struct pvgpu_gpu_record *gpus, struct pvgpu_vgpu_record *vgpus)
{
	struct pvgpu_event_record *events = (void *)(vgpus + h->vgpus);

	for (uint32_t i = 0; i < h->events; i++) {
		END_TEXT(events[i].level);
		END_TEXT(events[i].text);
	}
	END_TEXT(own->version);
	for (uint32_t i = 0; i < h->gpus; i++) {
		END_TEXT(gpus[i].name);
		END_TEXT(gpus[i].model);
		END_TEXT(gpus[i].health);
		END_TEXT(gpus[i].uuid);
	}
	for (uint32_t i = 0; i < h->vgpus; i++) {
		END_TEXT(vgpus[i].name);
		END_TEXT(vgpus[i].vm);
		END_TEXT(vgpus[i].vm_uuid);
		END_TEXT(vgpus[i].uuid);
		END_TEXT(vgpus[i].pool);
		END_TEXT(vgpus[i].group);
		END_TEXT(vgpus[i].state);
	}
}

int statistics_take(struct statistics *s, void *bytes, size_t size, char why[STATISTICS_WHY])
{
	struct pvgpu_snapshot_header *h = bytes;
	struct pvgpu_daemon_record *own = (void *)(h + 1);
	struct pvgpu_gpu_record *gpus = (void *)(own + 1);
	struct pvgpu_vgpu_record *vgpus;
	int err = 0;

	*s = (struct statistics){0};
	if (size < sizeof(*h) + sizeof(*own) || h->magic != PVGPU_SNAPSHOT_MAGIC) {
		snprintf(why, STATISTICS_WHY, "what answers there is not pvgpud");
		err = -EPROTO;
	} else if (h->layout != PVGPU_STATISTICS_LAYOUT || h->daemon_size != sizeof(*own) ||
		   h->gpu_size != sizeof(*gpus) || h->vgpu_size != sizeof(*vgpus) ||
		   h->event_size != sizeof(*s->events)) {
		snprintf(why, STATISTICS_WHY,
			 "pvgpud is of another version and has other statistics: use the programs "
			 "of its package");
		err = -EPROTO;
	} else if (size != sizeof(*h) + sizeof(*own) + (uint64_t)h->gpus * sizeof(*gpus) +
				   (uint64_t)h->vgpus * sizeof(*vgpus) +
				   (uint64_t)h->events * sizeof(*s->events)) {
		snprintf(why, STATISTICS_WHY, "pvgpud's answer ended too early: try again");
		err = -EPROTO;
	}
	if (err) {
		free(bytes);
		return err;
	}
	vgpus = (void *)(gpus + h->gpus);
	end_texts(h, own, gpus, vgpus);
	*s = (struct statistics){h, own, gpus, vgpus, (const void *)(vgpus + h->vgpus)};
	return 0;
}

int statistics_read(struct statistics *s, const char *run_dir, int limit_ms,
		    char why[STATISTICS_WHY])
{
	const long long until = now_ms() + limit_ms;
	char *bytes = NULL;
	size_t n = 0;
	int fd = reach(run_dir), err;

	*s = (struct statistics){0};
	/* The queue of those who wait to be served is short, and moves fast. */
	while (fd == -EAGAIN && now_ms() < until) {
		poll(NULL, 0, 5);
		fd = reach(run_dir);
	}
	if (fd < 0) {
		snprintf(why, STATISTICS_WHY,
			 "%.100s/" PVGPU_SNAPSHOT_SOCKET ": %s; is pvgpud running there?", run_dir,
			 strerror(-fd));
		return fd;
	}
	err = read_all(fd, until, &bytes, &n);
	close(fd);
	if (!err)
		return statistics_take(s, bytes, n, why);
	free(bytes);
	snprintf(why, STATISTICS_WHY, "%.100s/" PVGPU_SNAPSHOT_SOCKET ": %s", run_dir,
		 strerror(-err));
	return err;
}

void statistics_free(struct statistics *s)
{
	free(s->header);
	*s = (struct statistics){0};
}
