# SPDX-License-Identifier: MIT
# Programs of the CUDA runtime API, compiled by clang in CUDA mode with our own headers: the device's side to PTX, which the host's
# side includes as a fat binary. Instrumented builds do without: the library's own code is thin, and clang's host side would not match.
CUDART_CC    ?= clang
CUDART_TESTS := $(if $(SAN),,$(basename $(notdir $(wildcard tests/cudart/*.cu))))
CUDART_FLAGS := -x cuda --cuda-path=/nonexistent -nocudainc -nocudalib -Xclang -target-sdk-version=11.5 -std=c++17 -fno-exceptions -fno-rtti -O2 -ffp-contract=off \
	-Wall -Wextra -Werror -Wno-unknown-cuda-version -Wno-unused-function -Ilibpvgpu/cudart/include -Itests/cudart -I.
CUDART_DEVICE := --cuda-device-only --cuda-gpu-arch=sm_70 -Xclang -target-feature -Xclang +ptx64
CUDART_PROGRAMS := $(CUDART_TESTS:%=$(B)/cudart/%)
TESTPROGS += $(CUDART_PROGRAMS)

$(B)/obj/cudart/%.ptx: tests/cudart/%.cu
	$(Q)mkdir -p $(@D)
	$(Q)$(CUDART_CC) $(CUDART_FLAGS) $(CUDART_DEVICE) -MMD -MP -MT $@ -MF $@.d -S -o $@ $<
	$(Q)sed -i "s/\.global \(.* managed_[a-z]*\)/.global .attribute(.managed) \1/" $@
$(B)/obj/cudart/%.fatbin: $(B)/obj/cudart/%.ptx tests/cudart/fatbin.py
	$(Q)$(PYTHON) tests/cudart/fatbin.py $@ 70 $<
$(B)/obj/cudart/%.o: tests/cudart/%.cu $(B)/obj/cudart/%.fatbin
	$(Q)$(CUDART_CC) $(CUDART_FLAGS) --cuda-host-only -fPIC -Xclang -fcuda-include-gpubinary -Xclang $(B)/obj/cudart/$*.fatbin -c -o $@ $<

CUDART_LINK = $(Q)mkdir -p $(@D) && $(CC) -o $@ $^ -Wl,-rpath,$(abspath $(B)/lib) -pthread -lm -ldl
$(CUDART_PROGRAMS): $(B)/cudart/%: $(B)/obj/cudart/%.o $(B)/lib/libcudart.so.12
	$(CUDART_LINK)

# Some also with the static runtime, and with both kinds of CUDA 13's.
CUDART_STATICS := $(if $(CUDART_TESTS),vecadd errors device fork functions)
CUDART_NEWER   := $(if $(CUDART_TESTS),device memory errors pools)
TESTPROGS += $(CUDART_STATICS:%=$(B)/cudart/%-static) $(CUDART_NEWER:%=$(B)/cudart/%-13) $(CUDART_NEWER:%=$(B)/cudart/%-13static)
$(CUDART_STATICS:%=$(B)/cudart/%-static): $(B)/cudart/%-static: $(B)/obj/cudart/%.o $(B)/cudart/12/libcudart_static.a
	$(CUDART_LINK)
$(B)/obj/cudart/%-13.o: tests/cudart/%.cu $(B)/obj/cudart/%.fatbin
	$(Q)$(CUDART_CC) $(CUDART_FLAGS) -DPVGPU_CUDART=13 --cuda-host-only -fPIC -Xclang -fcuda-include-gpubinary -Xclang $(B)/obj/cudart/$*.fatbin -c -o $@ $<
$(CUDART_NEWER:%=$(B)/cudart/%-13): $(B)/cudart/%-13: $(B)/obj/cudart/%-13.o $(B)/lib/libcudart.so.13
	$(CUDART_LINK)
$(CUDART_NEWER:%=$(B)/cudart/%-13static): $(B)/cudart/%-13static: $(B)/obj/cudart/%-13.o $(B)/cudart/13/libcudart_static.a
	$(CUDART_LINK)

# A program's code as a library that it loads.
TESTPROGS += $(if $(CUDART_TESTS),$(B)/cudart/plugin.so)
$(B)/cudart/plugin.so: $(B)/obj/cudart/plugin.o $(B)/lib/libcudart.so.12
	$(CUDART_LINK) -shared -Wl,-Bsymbolic

.SECONDARY: $(foreach x,ptx fatbin o,$(CUDART_TESTS:%=$(B)/obj/cudart/%.$(x))) $(CUDART_NEWER:%=$(B)/obj/cudart/%-13.o)
-include $(CUDART_TESTS:%=$(B)/obj/cudart/%.ptx.d)

# A unit test is a program that exits with 0.
UNIT += $(B)/unit/cudart_header_test
$(B)/unit/cudart_header_test: tests/cudart/header_test.py $(wildcard libpvgpu/cudart/include/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec $(PYTHON) %s\n' $(abspath $<) >$@
	$(Q)chmod +x $@
UNIT += $(B)/unit/cudart_symbols_test
$(B)/unit/cudart_symbols_test: tests/cudart/symbols_test.py $(B)/lib/libcudart.so.12 $(B)/lib/libcudart.so.13 $(CUDART_STATIC)
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec $(PYTHON) %s %s\n' $(abspath $< $(B)) >$@
	$(Q)chmod +x $@
