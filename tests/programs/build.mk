# SPDX-License-Identifier: MIT
# Driver-API programs: linked with the stub, they find the libcuda.so.1 to use in LD_LIBRARY_PATH.
PROGRAM_NAMES := $(filter-out common errors_calls errors_faults lt lt_more lt_roles,$(basename $(notdir $(wildcard tests/programs/*.c))))
TEST_PROGRAMS := $(PROGRAM_NAMES:%=$(B)/programs/%)
TESTPROGS     += $(TEST_PROGRAMS)
PROGRAM_LIBS_fatbin := -llz4 -lzstd
PROGRAM_LIBS_math   := -lm
PROGRAM_LIBS_textures := -lm
PROGRAM_LIBS_mipmaps := -lm
PROGRAM_LIBS_cublas := -lm -ldl
PROGRAM_LIBS_cublaslt := -lm -ldl
PROGRAM_LIBS_trainstep := -lm -ldl
PROGRAM_LIBS_conform := -ldl
PROGRAM_LIBS_present := -ldl
PROGRAM_LIBS_forms := -ldl
PROGRAM_LIBS_settings := -ldl
PROGRAM_LIBS_refusals := -ldl
PROGRAM_LIBS_nbody  := -lm
PROGRAM_LIBS_decoder := -lm
# A number must round after each operation, as the kernels' do.
CFLAGS_nbody        := -ffp-contract=off
CFLAGS_decoder      := -ffp-contract=off

$(B)/programs/cublaslt: $(call obj,tests/programs/lt.c tests/programs/lt_more.c tests/programs/lt_roles.c)
$(B)/programs/trainstep: $(call obj,tests/programs/lt.c)
$(B)/programs/errors: $(call obj,tests/programs/errors_calls.c tests/programs/errors_faults.c)

# All PTX texts are in an archive; the linker takes those that a program names.
$(B)/obj/kernels/kernels.a: $(KERNELS:%=$(B)/obj/kernels/%.o)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/programs/%: $(B)/obj/tests/programs/%.o $(B)/obj/tests/programs/common.o \
		$(B)/obj/kernels/kernels.a $(B)/stubs/libcuda.so
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a %.so,$^) $(PROGRAM_LIBS_$*) -pthread

.SECONDARY: $(PROGRAM_NAMES:%=$(B)/obj/tests/programs/%.o) $(KERNELS:%=$(B)/obj/kernels/%.o)

.PHONY: test-programs
test-programs: $(TEST_PROGRAMS)
