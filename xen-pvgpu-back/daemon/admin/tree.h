/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's keys: a tree of strings, made from the state for each request.
 *
 *   /daemon/{version,pid,uptime,log-level,stopping,spare-workers,workers-started,loop-turns,
 *   gpu-memory,accounting,test-overrides,sandbox,exceptions,driver-version}
 *   /vgpu/NAME/{socket,memory,memory-used,sessions,sessions-total,sessions-failed,last-reason,pool,drain}
 *   /vgpu/NAME/{sessions-refused,refusing}
 *   /pool/NAME/{device,model,policy,mode,gpu-memory,gpu-memory-free,promised,park-memory,
 *   host-memory,load,vgpus,sessions,spare-workers,failure,health,canaries,persistence,ecc}
 *   /group/NAME/{weight,min-share,max-share}
 *   /daemon/pools, /daemon/groups, /vgpu/NAME/policy: written as the keys of that name in xenstore
 *   /vgpu/NAME/session/N/{pid,guest-pid,leased,age,state}; on the Xen link guest-session, not
 *   guest-pid, and of the vGPU domain, device, state, not socket
 */
#ifndef PVGPU_TREE_H
#define PVGPU_TREE_H

#include <jansson.h>

#include "xen-pvgpu-back/daemon/config/config.h"

#define TREE_WHY  CONFIG_ERROR /* bytes of a reason */
#define TREE_PART 64           /* bytes of a part of a path */

struct daemon;

/* Objects within objects, strings at the leaves, with all that tree_find needs for the path. A new
 * reference, NULL when out of memory. */
json_t *tree_make(struct daemon *d, const char *path);
/* The node at a path, a borrowed reference; NULL: none. "/" is the root. */
json_t *tree_find(json_t *tree, const char *path);
/* Takes the next part of a path and returns the rest; NULL: not a path. */
const char *tree_next_part(const char *path, char part[TREE_PART]);
/* Says, for people, which part of a path without a node is unknown. */
void tree_missing(json_t *tree, const char *path, char why[TREE_WHY]);
/* 0, or an errno value: ENOENT, EACCES (read-only), EINVAL (value not allowed); with a reason where
 * there is one. */
int tree_write(struct daemon *d, const char *path, const char *value, char why[TREE_WHY]);

#endif
