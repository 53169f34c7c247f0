# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1.
PVGPU_CUDA_OBJS := $(call obj,$(addprefix libpvgpu/cuda/,context.c copy.c copy3d.c current.c device.c error.c event.c \
	exporttable.c fork.c function.c handle.c host.c hostfunc.c image.c init.c jit.c kernel.c launch.c library.c \
	memory.c memory_map.c memset.c misc.c module.c occupancy.c output.c pointer.c primary.c procaddr.c staging.c \
	stream.c thread.c) libpvgpu/image/fatbin.c) \
	$(addprefix $(B)/obj/gen/,pvgpu_stubs.o cuda_refused.o cuda_procaddr.o)

LIBS += $(B)/lib/libcuda.so.1 $(B)/lib/libcuda.so
$(B)/lib/libcuda.so.1: $(PVGPU_CUDA_OBJS) $$(PVGPU_LINK_OBJS) | $(B)/gen/libcuda.map
LDFLAGS_libcuda.so.1 = -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-z,defs -Wl,--version-script=$(B)/gen/libcuda.map
LDLIBS_libcuda.so.1 = -lzstd -llz4

$(B)/lib/libcuda.so: $(B)/lib/libcuda.so.1
	$(Q)ln -sf libcuda.so.1 $@
