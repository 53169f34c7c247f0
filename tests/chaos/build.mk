# SPDX-License-Identifier: MIT
# Random programs and random faults on the local link, with a seed; on Xen it is the lab's scenario vgpu-chaos.
TESTPROGS += $(B)/tests/chaos-client
$(B)/tests/chaos-client: $(call obj,tests/chaos/client.c tests/programs/common.c) $(B)/obj/kernels/kernels.a | $(B)/stubs/libcuda.so
LDLIBS_chaos-client = -L$(B)/stubs -lcuda
