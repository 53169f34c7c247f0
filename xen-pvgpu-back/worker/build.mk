# SPDX-License-Identifier: MIT
# pvgpu-worker: the frame, the GPU's side, and what both see (worker.h, far.h).
WORKER_SRCS := $(sort $(wildcard $(addprefix xen-pvgpu-back/worker/,*.c */*.c gpu/*/*.c))) $(if $(NEXT),tests/protocol/next/worker.c)
# The wire's half, and the default handlers of described calls.
WORKER_GEN  := $(addprefix $(B)/obj/gen/,pvgpu_decode.o pvgpu_handlers.o)

# What reads images, with its libraries.
WORKER_IMAGE      := $(addprefix libpvgpu/image/,fatbin.c unpack.c declared.c ptx_text.c ptx_variable.c)
WORKER_IMAGE_LIBS := -lzstd -llz4

PROGS += $(B)/bin/pvgpu-worker
$(B)/bin/pvgpu-worker: $(call obj,$(WORKER_SRCS) $(WORKER_IMAGE)) $(WORKER_GEN) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-worker := -ldl -lseccomp $(WORKER_IMAGE_LIBS)

# The GPU side's tests: without a frame, and with a far end that does as the test says.
WORKER_FAR       := xen-pvgpu-back/worker/far.c
WORKER_CANARY    := xen-pvgpu-back/worker/canary.c
WORKER_GPU_SRCS  := $(filter xen-pvgpu-back/worker/gpu/%,$(WORKER_SRCS)) $(WORKER_IMAGE)
WORKER_GPU_OBJS  := $(call obj,$(WORKER_GPU_SRCS)) $(WORKER_GEN)
WORKER_FAKE_OBJS := $(call obj,$(addprefix tests/unit/worker/,worker_fake.c worker_fake_far.c worker_fake_mem.c worker_fake_graph.c worker_fake_green.c))
WORKER_TESTS     := worker_memory_test worker_objects_test worker_lanes_test worker_ended_test worker_output_test worker_sim_test worker_gate_test \
	worker_gate_pages_test worker_evict_test worker_estimate_test worker_flight_test worker_park_test worker_images_test worker_loads_test worker_link_test worker_array_test worker_green_test worker_vmm_test \
	worker_graph_test worker_capture_test worker_capture_rules_test worker_condition_test worker_numbers_test worker_lt_test worker_complete_test worker_swap_test
UNIT += $(WORKER_TESTS:%=$(B)/unit/%)
$(WORKER_TESTS:%=$(B)/unit/%): $(B)/unit/%: $(B)/obj/tests/unit/worker/%.o $(WORKER_FAKE_OBJS) $(WORKER_GPU_OBJS)
$(B)/unit/worker_gate_test $(B)/unit/worker_gate_pages_test $(B)/unit/worker_complete_test $(B)/unit/worker_evict_test $(B)/unit/worker_estimate_test \
	$(B)/unit/worker_flight_test $(B)/unit/worker_park_test $(B)/unit/worker_graph_test: $(call obj,tests/unit/worker/gate_side.c)
$(foreach t,$(WORKER_TESTS),$(eval LDLIBS_$(t) = $$(CHECK_LIBS) $$(WORKER_IMAGE_LIBS)))
LDLIBS_worker_estimate_test += -Wl,--wrap=clock_gettime
LDLIBS_worker_flight_test += -Wl,--wrap=clock_gettime
CPPFLAGS_worker_sim_test = -DSIMCUDA='"$(abspath $(B))/simcuda/libcuda.so.1"'
CPPFLAGS_worker_graph_test = $(CPPFLAGS_worker_sim_test)
CPPFLAGS_worker_capture_test = $(CPPFLAGS_worker_sim_test)
CPPFLAGS_worker_capture_rules_test = $(CPPFLAGS_worker_sim_test)
CPPFLAGS_worker_swap_test = $(CPPFLAGS_worker_sim_test)
$(B)/unit/worker_sim_test $(B)/unit/worker_graph_test $(B)/unit/worker_capture_test $(B)/unit/worker_capture_rules_test \
	$(B)/unit/worker_swap_test: $(call obj,$(WORKER_FAR)) | $(B)/simcuda/libcuda.so.1
LDLIBS_worker_sim_test += -ldl
LDLIBS_worker_graph_test += -ldl
LDLIBS_worker_capture_test += -ldl
LDLIBS_worker_capture_rules_test += -ldl
LDLIBS_worker_swap_test += -ldl

# The prepare phase, there, too.
UNIT += $(B)/unit/prepare_test
$(B)/unit/prepare_test: $(call obj,tests/unit/worker/prepare_test.c xen-pvgpu-back/worker/frame/prepare.c xen-pvgpu-back/worker/far.c) \
	| $(B)/simcuda/libcuda.so.1 $(B)/simcuda/libcublasLt.so.12 $(B)/simcuda/libcublasLt.so.13
CPPFLAGS_prepare_test = -DSIMCUDA='"$(abspath $(B))/simcuda/libcuda.so.1"' -DSIMLIB='"$(abspath $(B))/simcuda/libcublasLt.so."'
LDLIBS_prepare_test = $(CHECK_LIBS) -ldl

# The canary, on the simulated GPU.
UNIT += $(B)/unit/canary_test
$(B)/unit/canary_test: $(call obj,tests/unit/worker/canary_test.c $(WORKER_CANARY) $(WORKER_FAR)) | $(B)/simcuda/libcuda.so.1
CPPFLAGS_canary_test = -DSIMCUDA='"$(abspath $(B))/simcuda/libcuda.so.1"'
LDLIBS_canary_test = $(CHECK_LIBS) -ldl

# What the gate costs, for tests/bench.
TESTPROGS += $(B)/tests/gatebench
$(B)/tests/gatebench: $(call obj,tests/bench/gatebench.c $(WORKER_FAR)) $(WORKER_FAKE_OBJS) $(WORKER_GPU_OBJS)
LDLIBS_gatebench = -ldl $(WORKER_IMAGE_LIBS)

# The Xen link's end, with what it needs of the frame.
UNIT += $(B)/unit/link_xen_test
$(B)/unit/link_xen_test: $(call obj,tests/unit/worker/link_xen_test.c \
	$(addprefix xen-pvgpu-back/worker/frame/,link.c link_local.c link_xen.c arena.c control.c) \
	xen-pvgpu-back/worker/gpu/mem/chunks.c) $$(CONTRACT)
LDLIBS_link_xen_test = $(CHECK_LIBS) -Wl,--wrap=mmap

# What pvgpud and its successor hear of leases.
UNIT += $(B)/unit/worker_lease_test
$(B)/unit/worker_lease_test: $(call obj,tests/unit/worker/worker_lease_test.c xen-pvgpu-back/worker/frame/lease.c) $$(CONTRACT)
LDLIBS_worker_lease_test = $(CHECK_LIBS)

# The test itself stands for all that loop.c and link.c call.
UNIT += $(B)/unit/loop_test
$(B)/unit/loop_test: $(call obj,tests/unit/worker/loop_test.c $(addprefix xen-pvgpu-back/worker/frame/,loop.c link.c))
LDLIBS_loop_test = $(CHECK_LIBS)

# The same of send.c.
UNIT += $(B)/unit/send_test
$(B)/unit/send_test: $(call obj,tests/unit/worker/send_test.c xen-pvgpu-back/worker/frame/send.c)
LDLIBS_send_test = $(CHECK_LIBS)

# What images declare.
UNIT += $(B)/unit/declared_test
$(B)/unit/declared_test: $(call obj,tests/unit/worker/declared_test.c $(WORKER_IMAGE))
LDLIBS_declared_test = $(CHECK_LIBS) $(WORKER_IMAGE_LIBS)
