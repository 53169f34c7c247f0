# SPDX-License-Identifier: MIT
WORKER_SRCS := $(wildcard xen-pvgpu-back/worker/*.c)
# The part of the worker that knows nothing of pvgpud's event loop is shared with it.
BACK_LINK_SRCS := xen-pvgpu-back/link/msg.c xen-pvgpu-back/link/local_check.c

PROGS += $(B)/bin/pvgpu-worker
$(B)/bin/pvgpu-worker: $(call obj,$(WORKER_SRCS) $(BACK_LINK_SRCS) libpvgpu/image/fatbin.c) $(B)/obj/gen/pvgpu_decode.o
# The worker unpacks nothing: what would need zstd and lz4 is dropped.
LDLIBS_pvgpu-worker := -ldl -Wl,--gc-sections
