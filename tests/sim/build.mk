# SPDX-License-Identifier: MIT
PVSIM_OBJS := $(call obj,$(sort $(wildcard tests/sim/*.c)))

TESTPROGS += $(B)/tests/pvsim
$(B)/tests/pvsim: $(PVSIM_OBJS) $$(SIM_OBJS)
LDLIBS_pvsim = -ljansson -lm

# All scenarios, the fleets among them, and pictures of them: a few minutes. SIM="--only latency" ...
.PHONY: sim check-sim
sim: $(B)/tests/pvsim
	$(Q)$(B)/tests/pvsim --out $(B)/sim.json $(SIM); rc=$$?; \
		[ ! -s $(B)/sim.json ] || $(PYTHON) tests/sim/plot.py $(B)/sim.json $(B)/sim && exit $$rc

# What `make check` has time for.
check-sim: $(B)/tests/pvsim
	$(Q)mkdir -p $(B)/check
	$(Q)$(B)/tests/pvsim --quick --quiet --out $(B)/check/sim.json
	$(Q)test "$$($(B)/tests/pvsim --tenants 1:100:1:0x2,4:500:8:3000:high --duration 1 --out $(B)/check/tenants.json | grep -c ^tenant_)" = 3
