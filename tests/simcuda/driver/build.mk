# SPDX-License-Identifier: MIT
# The driver half of the simulated GPU, linked with the PTX engine into $(B)/simcuda/libcuda.so.1.
SIMCUDA_DRIVER_OBJS := $(call obj,$(sort $(wildcard tests/simcuda/driver/*.c)))
SIMCUDA_IMAGE_OBJS  := $(call obj,libpvgpu/image/fatbin.c libpvgpu/image/unpack.c)

# pvgpud --simulated serves it.
SIMCUDA_LIB := $(B)/simcuda/libcuda.so.1
LIBS += $(SIMCUDA_LIB)
TESTPROGS += $(B)/simcuda/libcuda.so

$(SIMCUDA_LIB): $(SIMCUDA_DRIVER_OBJS) $(SIMCUDA_IMAGE_OBJS) $$(SIMCUDA_PTX_OBJS)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-z,now \
		-Wl,-Bsymbolic $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o %.a,$^) -lzstd -llz4 -lm $(LDLIBS)

$(B)/simcuda/libcuda.so: $(SIMCUDA_LIB)
	$(Q)ln -sf libcuda.so.1 $@

# Tests: linked against the library itself.
SIMCUDA_TESTS := device memory stream kernel error share fault heap spin
SIMCUDA_TEST_LIBS = -L$(B)/simcuda -lcuda -Wl,-rpath,$(abspath $(B)/simcuda) $(CHECK_LIBS)
UNIT += $(SIMCUDA_TESTS:%=$(B)/unit/simcuda_%_test) $(B)/unit/fatbin_test

define simcuda_test
$(B)/unit/simcuda_$(1)_test: $(call obj,tests/simcuda/test/simcuda_$(1)_test.c) | $(B)/simcuda/libcuda.so
LDLIBS_simcuda_$(1)_test = $$(SIMCUDA_TEST_LIBS)
endef
$(foreach t,$(SIMCUDA_TESTS),$(eval $(call simcuda_test,$(t))))

# Not linked against the library: this test loads it itself.
UNIT += $(B)/unit/simcuda_entry_test
$(B)/unit/simcuda_entry_test: $(call obj,tests/simcuda/test/simcuda_entry_test.c) | $(SIMCUDA_LIB)
CPPFLAGS_simcuda_entry_test := -DSIMCUDA_PATH='"$(abspath $(SIMCUDA_LIB))"'
LDLIBS_simcuda_entry_test := $(CHECK_LIBS) -ldl

$(B)/unit/fatbin_test: $(call obj,tests/simcuda/test/fatbin_test.c) $(SIMCUDA_IMAGE_OBJS)
LDLIBS_fatbin_test = -lzstd -llz4 $(CHECK_LIBS)

# pvgpud --simulated resets its GPU by it.
PROGS += $(B)/simcuda/simcuda-reset
$(B)/simcuda/simcuda-reset: $(call obj,tests/simcuda/simcuda-reset.c)
	$(link_program)

# Prints a table of the processes that use the GPU.
TESTPROGS += $(B)/tests/simcuda-top
$(B)/tests/simcuda-top: $(call obj,tests/simcuda/simcuda-top.c)
