# SPDX-License-Identifier: MIT
# The driver half of the simulated GPU, linked with the PTX engine into $(B)/simcuda/libcuda.so.1.

SIMCUDA_DRIVER_SRC := arbiter attributes compute config context copy ctx_state device engine errors \
	event exec fault function host image init launch library memory memset module mutate \
	occupancy pointer pool print procaddr ranges refused stream versions vmm
SIMCUDA_DRIVER_OBJS := $(call obj,$(SIMCUDA_DRIVER_SRC:%=tests/simcuda/driver/%.c))
SIMCUDA_IMAGE_OBJS  := $(call obj,libpvgpu/image/fatbin.c)

SIMCUDA_LIB := $(B)/simcuda/libcuda.so.1
LIBS += $(SIMCUDA_LIB) $(B)/simcuda/libcuda.so

$(SIMCUDA_LIB): $(SIMCUDA_DRIVER_OBJS) $(SIMCUDA_IMAGE_OBJS) $$(SIMCUDA_PTX_OBJS)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-z,now \
		-Wl,-Bsymbolic $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o %.a,$^) -lzstd -llz4 -lm $(LDLIBS)

$(B)/simcuda/libcuda.so: $(SIMCUDA_LIB)
	$(Q)ln -sf libcuda.so.1 $@
