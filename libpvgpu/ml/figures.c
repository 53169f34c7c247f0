/* SPDX-License-Identifier: MIT */
/* Changing figures: asked anew each time, without a session. */
#include "ml/ml.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/cancel.h"
#include "link/link.h"
#include "link/local.h"

enum { LIMIT_SECONDS = 10 };

bool ml_there(void)
{
	const char *path;

	pvgpu_link_named(&path);
	return !access(path, F_OK);
}

/* -1: nobody listens. */
static int connect_to(const char *path)
{
	const struct timeval limit = {.tv_sec = LIMIT_SECONDS};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(to.sun_path))
		return -1;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	while (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		if (errno != EINTR) {
			close(fd);
			return -1;
		}
	return fd;
}

/* Without a control buffer the kernel drops files that a hostile peer attached. */
static nvmlReturn_t ask(int fd, uint32_t question, void *answer, size_t size)
{
	const struct pvgpu_local_open asked = {.magic = PVGPU_LOCAL_MAGIC, .version = question};
	uint32_t head[2];
	ssize_t n;

	if (send(fd, &asked, sizeof(asked), MSG_NOSIGNAL) != sizeof(asked))
		return NVML_ERROR_UNKNOWN;
	do
		n = recv(fd, answer, size, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? NVML_ERROR_TIMEOUT : NVML_ERROR_UNKNOWN;
	/* A pvgpud that refuses, or does not know the question. */
	if ((size_t)n != size)
		return NVML_ERROR_NOT_SUPPORTED;
	memcpy(head, answer, sizeof(head));
	return head[0] == PVGPU_LOCAL_MAGIC && head[1] == question ? NVML_SUCCESS
								   : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t ml_ask_local(const char *path, uint32_t question, void *answer, size_t size)
{
	const int fd = connect_to(path);
	nvmlReturn_t r;

	if (fd < 0)
		return NVML_ERROR_GPU_IS_LOST;
	r = ask(fd, question, answer, size);
	close(fd);
	return r;
}

static void take(const struct pvgpu_local_figures *m, struct ml_figures *out)
{
	const uint32_t n = m->sessions < ML_PROCESSES ? m->sessions : ML_PROCESSES;
	const pid_t self = getpid();

	out->memory_limit = m->memory_limit;
	out->memory_used = m->memory_used;
	out->used_known = true;
	out->gpu_time = m->gpu_time;
	/*
	 * In another namespace the numbers would be other processes' here: of them only the
	 * caller's own is known. An error would end programs that list processes as their memory
	 * runs out: NVIDIA's library gives an empty list in containers.
	 */
	out->processes_known = true;
	for (uint32_t i = 0; i < n; i++) {
		const int32_t pid = m->session[i].pid;

		if (pid > 0 && (pid == m->asker || m->asker == self))
			out->process[out->processes++] = (struct ml_process){
				.pid = (unsigned int)(pid == m->asker ? self : pid),
				.memory = m->session[i].memory_used};
	}
}

static nvmlReturn_t figures_local(const char *path, struct ml_figures *out)
{
	struct pvgpu_local_figures m;
	const nvmlReturn_t r = ml_ask_local(path, PVGPU_LOCAL_ASK, &m, sizeof(m));

	if (!r)
		take(&m, out);
	return r;
}

nvmlReturn_t ml_figures(struct ml_figures *out)
{
	const int cancel = pvgpu_cancel_off();
	const char *path;
	nvmlReturn_t r;

	memset(out, 0, sizeof(*out));
	r = pvgpu_link_named(&path) ? ml_figures_xen(path, out) : figures_local(path, out);
	pvgpu_cancel_back(cancel);
	return r;
}
