# SPDX-License-Identifier: MIT
WORKER_SRCS := $(wildcard xen-pvgpu-back/worker/*.c) $(if $(NEXT),tests/protocol/next/worker.c)
# The part of the worker that knows nothing of pvgpud's event loop is shared with it.
BACK_LINK_SRCS := xen-pvgpu-back/link/msg.c xen-pvgpu-back/link/local_check.c

PROGS += $(B)/bin/pvgpu-worker
$(B)/bin/pvgpu-worker: $(call obj,$(WORKER_SRCS) $(BACK_LINK_SRCS) libpvgpu/image/fatbin.c) $(B)/obj/gen/pvgpu_decode.o
LDLIBS_pvgpu-worker := -ldl

# The GPU side's tests: without a frame, and with a far end that does as the test says.
WORKER_GPU_SRCS := $(addprefix xen-pvgpu-back/worker/,alloc.c arena_map.c bounce.c callback.c complete.c context.c copy.c \
	deferred.c device.c estimate.c event.c function.c gate.c gpu.c image.c launch.c library.c limits.c memory.c module.c objects.c \
	output.c side.c span.c staging.c stream.c suballoc.c submit.c sync.c window.c) libpvgpu/image/fatbin.c
WORKER_GPU_OBJS := $(call obj,$(WORKER_GPU_SRCS)) $(B)/obj/gen/pvgpu_decode.o
WORKER_TESTS    := worker_memory_test worker_objects_test worker_lanes_test worker_output_test worker_sim_test worker_gate_test worker_gate_pages_test \
	worker_estimate_test
UNIT += $(WORKER_TESTS:%=$(B)/unit/%)
$(WORKER_TESTS:%=$(B)/unit/%): $(B)/unit/%: $(B)/obj/tests/unit/%.o \
		$(call obj,tests/unit/worker_fake.c tests/unit/worker_fake_far.c tests/unit/worker_fake_mem.c) $(WORKER_GPU_OBJS)
$(B)/unit/worker_gate_test $(B)/unit/worker_gate_pages_test $(B)/unit/worker_estimate_test: $(call obj,tests/unit/gate_side.c)
$(foreach t,$(WORKER_TESTS),$(eval LDLIBS_$(t) = $$(CHECK_LIBS)))
CPPFLAGS_worker_sim_test = -DSIMCUDA='"$(abspath $(B))/simcuda/libcuda.so.1"'
$(B)/unit/worker_sim_test: $(call obj,xen-pvgpu-back/worker/far.c) | $(B)/simcuda/libcuda.so.1
LDLIBS_worker_sim_test += -ldl

# The canary, on the simulated GPU.
UNIT += $(B)/unit/canary_test
$(B)/unit/canary_test: $(call obj,tests/unit/canary_test.c xen-pvgpu-back/worker/canary.c xen-pvgpu-back/worker/far.c) \
	| $(B)/simcuda/libcuda.so.1
CPPFLAGS_canary_test = -DSIMCUDA='"$(abspath $(B))/simcuda/libcuda.so.1"'
LDLIBS_canary_test = $(CHECK_LIBS) -ldl

# What the gate costs, for tests/bench.
TESTPROGS += $(B)/tests/gatebench
$(B)/tests/gatebench: $(call obj,tests/bench/gatebench.c tests/unit/worker_fake.c tests/unit/worker_fake_far.c \
	tests/unit/worker_fake_mem.c xen-pvgpu-back/worker/far.c) $(WORKER_GPU_OBJS)
LDLIBS_gatebench = -ldl

# The Xen link's end, with what it needs of the frame.
UNIT += $(B)/unit/link_xen_test
$(B)/unit/link_xen_test: $(call obj,tests/unit/link_xen_test.c $(BACK_LINK_SRCS) \
	$(addprefix xen-pvgpu-back/worker/,link.c link_local.c link_xen.c arena.c control.c))
LDLIBS_link_xen_test = $(CHECK_LIBS)
