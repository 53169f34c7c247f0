/* SPDX-License-Identifier: MIT */
/* Common to the subcommands that ask this machine's pvgpud. */
#ifndef PVGPU_CTL_LOCAL_H
#define PVGPU_CTL_LOCAL_H

#include <jansson.h>

/* The keys below a path, which *answer owns. NULL: the reason is on stderr, the exit status in
 * *status. */
json_t *local_ask(json_t *req, int *status); /* the request is consumed; as below */
json_t *local_ask_tree(const char *path, json_t **answer, int *status);
/* Finds out which pvgpud is asked: this machine's by its socket, or another domain's by its keys
 * (ctl.by_keys, ctl.asked). Returns an exit status. */
int local_route(void);
/* Between two questions; another domain is not asked as often. */
void local_pause(unsigned int ms);
/* "" where there is none. */
const char *local_text(json_t *o, const char *key);
/* Why no worker starts on the GPU of a vGPU; "" if workers start. tree: of /. */
const char *local_failure(json_t *tree, json_t *vgpu);

#endif
