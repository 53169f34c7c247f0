/* SPDX-License-Identifier: MIT */
/* The vGPUs of a domain as xenopsd asks for them: the arguments of its program `vgpu`
 * (xen-api: ocaml/xenopsd/xc/service.ml). */
#ifndef PVGPU_XENOPSD_REQUEST_H
#define PVGPU_XENOPSD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/toolstack/profiles.h"

#define REQUEST_DEVICES 8u /* more than xapi gives a VM */
#define REQUEST_ERROR   512

struct device {
	char profile[PROFILE_NAME]; /* xapi's vgpuType id */
	struct pvgpu_uuid uuid;     /* of xapi's VGPU object */
};

struct request {
	uint32_t domid;
	size_t n;
	struct device v[REQUEST_DEVICES];
};

/* The text behind NAME=, or NULL. */
const char *request_value(const char *word, const char *name);
/* One word of the command line. Unknown options of xenopsd are taken and have no effect. 0, or
 * -EINVAL with an error that names the word. */
int request_word(struct request *r, const char *word, char err[REQUEST_ERROR]);
/* Is the request whole? 0, or -EINVAL with an error. */
int request_whole(const struct request *r, char err[REQUEST_ERROR]);
/* Is this process an instance for the domain? Compares what xenopsd compares. program: NULL for
 * any. */
bool request_is_served_by(uint32_t pid, const char *program, uint32_t domid);

#endif
