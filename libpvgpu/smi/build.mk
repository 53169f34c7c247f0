# SPDX-License-Identifier: MIT
# pvgpu-smi: over the management library's own code, so that it needs no search for the library.
PROGS += $(B)/bin/pvgpu-smi
$(B)/bin/pvgpu-smi: $(call obj,$(sort $(wildcard libpvgpu/smi/*.c))) $$(PVGPU_ML_OBJS)
$(call obj,$(wildcard libpvgpu/smi/*.c)): CPPFLAGS += -DPVGPU_VERSION='"$(VERSION)"'
