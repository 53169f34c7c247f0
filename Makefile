# SPDX-License-Identifier: MIT
# pvgpu: one non-recursive Makefile; every folder adds its targets in a build.mk of its own.
#
#   make              all of user space               make demo    four Xen guests share one GPU
#   make check        every test, 12 minutes          make check-full   the long versions too
#   make bench        the speed table                 make fuzz    every fuzzer (SECONDS=60)
#   make install DESTDIR= PREFIX=/usr/local
#
# B is the output folder; SAN=address,undefined or SAN=thread builds an instrumented tree
# (use another B for it: make B=build-asan SAN=address,undefined). WERROR=1 makes warnings errors, as
# `make check` and CI=true do: a compiler that is newer than ours may warn of more.

B      ?= build
SAN    ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
V      ?=
Q      := $(if $(V),,@)

CC      ?= cc
PYTHON  ?= python3
CFLAGS  ?= -O2 -g
WERROR  ?= $(if $(filter true,$(CI)),1)
WARN    := -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wwrite-strings -Wvla -Wno-unused-parameter
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -I. -Ilibpvgpu -Ilibpvgpu/cuda/include -I$(B)/gen
ALLCFLAGS = -std=c11 $(CFLAGS) $(WARN) -fPIC -fvisibility=hidden -pthread $(SANFLAGS)
LDFLAGS  += -pthread $(SANFLAGS)

.SECONDEXPANSION:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

.PHONY: all gen check check-full check-gpu bench fuzz install clean demo packages docs format
all:

# What the folders register.
GEN        :=# generated files that must exist before anything is compiled
PROGS      :=# programs
LIBS       :=# shared libraries
UNIT       :=# unit tests: programs that exit 0 when all is well (libcheck)
TESTPROGS  :=# other things that tests need built

# obj,FOLDER-RELATIVE SOURCES -> objects under $(B)/obj
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

include $(sort $(wildcard libpvgpu/build.mk libpvgpu/*/build.mk linux-pvgpu-front/build.mk xen-pvgpu-back/build.mk \
	xen-pvgpu-back/*/build.mk xenstore-schema/build.mk tests/build.mk tests/*/build.mk docs/build.mk))

all: $$(GEN) $$(PROGS) $$(LIBS)
gen: $$(GEN)
tests: all $$(RUN_UNITS) $$(filter-out $$(addprefix $(B)/tests/,$$(LESS)),$$(TESTPROGS))

packages:
	$(Q).ci/install-packages

$(B)/obj/%.o: %.c | $$(GEN)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CPPFLAGS_$(basename $(notdir $<))) $(ALLCFLAGS) $(CFLAGS_$(basename $(notdir $<))) -MMD -MP -c -o $@ $<

$(B)/obj/gen/%.o: $(B)/gen/%.c | $$(GEN)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -MMD -MP -c -o $@ $<

# A program or a unit test: list its objects as prerequisites, its libraries in LDLIBS_<name>.
define link_program
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS_$(notdir $@)) $(LDLIBS)
endef
# One rule each: a pattern rule with several targets would be one that makes all of them at once.
$(B)/bin/%:
	$(link_program)
$(B)/unit/%:
	$(link_program)
$(B)/tests/%:
	$(link_program)

# A shared library: LDFLAGS_<name> holds soname and version script.
$(B)/lib/%:
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) $(LDFLAGS_$(notdir $@)) -o $@ $(filter %.o %.a,$^) $(LDLIBS_$(notdir $@)) $(LDLIBS)

# ---- tests: the stages are listed in tests/check/stages.py ----
.PHONY: run-unit check-stage
check: packages
	$(Q)$(PYTHON) tests/check/run.py $(if $(CHECK_JSON),--json $(CHECK_JSON))
check-full: packages
	$(Q)$(PYTHON) tests/check/run.py --full $(if $(CHECK_JSON),--json $(CHECK_JSON))
# Thread sanitizer has nothing to see where there is one thread: pvgpud and pvgpuctl have no other.
ONE_THREAD := $(addprefix $(B)/unit/,ptx_%_test sched_%_test sched_test sim_test sizing_test place_test keys_%test config_test \
	decode_test dispatch_test xenbus_%test admission_test ctl_%_test fatbin_test attachd_test policy_doors_test local_check_test \
	ledger_test scrub_test uids_test quarantine_test overdue_test entitle_test judge_test account_%test account_test budget_test alive_test \
	schedule_%test schedule_test bells_test share_test usage_test xenctl_%_test control_flood_test health_sample_test ring_test)
# LESS: patterns of others that are not wanted, and of test programs.
RUN_UNITS = $(filter-out $(if $(findstring thread,$(SAN)),$(ONE_THREAD)) $(addprefix $(B)/unit/,$(LESS)),$(UNIT))
run-unit: tests
	$(Q)tests/check/run_units.sh $(RUN_UNITS)

# ---- install ----
INSTALL ?= install
BINDIR  := $(DESTDIR)$(PREFIX)/bin
SBINDIR := $(DESTDIR)$(PREFIX)/sbin
LIBEXEC := $(DESTDIR)$(PREFIX)/libexec/pvgpu
LIBDIR  := $(DESTDIR)$(PREFIX)/lib/pvgpu
SITEDIR := $(DESTDIR)$(SYSCONFDIR)/pvgpu
include xen-pvgpu-back/xapi/install.mk
VERSION := 0.1.0

$(B)/pvgpu.pc: libpvgpu/pvgpu.pc.in Makefile
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

install: all $(B)/pvgpu.pc
	$(Q)$(INSTALL) -d $(BINDIR) $(SBINDIR) $(LIBEXEC) $(LIBDIR)/simcuda $(DESTDIR)$(PREFIX)/lib/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/pvgpu $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpud $(B)/bin/pvgpu-attachd $(SBINDIR)/
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpuctl $(BINDIR)/
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpu-worker $(B)/bin/pvgpu-health $(LIBEXEC)/
	$(Q)$(INSTALL) -m 644 $(B)/lib/libcuda.so.1 $(B)/lib/libcublas.so.12 $(LIBDIR)/
	$(Q)ln -sf libcuda.so.1 $(LIBDIR)/libcuda.so
	$(Q)$(INSTALL) -m 644 $(B)/simcuda/libcuda.so.1 $(B)/simcuda/libcublas.so.12 $(B)/simcuda/libnvidia-ml.so.1 $(LIBDIR)/simcuda/
	$(Q)$(INSTALL) -m 644 libpvgpu/cuda/include/*.h $(DESTDIR)$(PREFIX)/include/pvgpu/
	$(Q)$(INSTALL) -m 644 $(B)/pvgpu.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	$(Q)for u in xen-pvgpu-back/systemd/*.in; do sed -e 's|@PREFIX@|$(PREFIX)|g' $$u | \
		$(INSTALL) -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$u .in); done
	$(install_xapi)
	$(Q)$(INSTALL) -d $(SITEDIR)
	$(Q)for f in profiles.conf tenants.conf; do [ -e $(SITEDIR)/$$f ] || \
		$(INSTALL) -m 644 xen-pvgpu-back/toolstack/$$f $(SITEDIR)/; done
	$(Q)for s in 1 5 8; do for m in docs/man/*.$$s; do [ ! -e $$m ] || \
		$(INSTALL) -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$$s/; done; done
	$(Q)$(INSTALL) -d $(LIBEXEC)/cloudstack/pvgpu_cloudstack
	$(Q)$(INSTALL) -m 755 xen-pvgpu-back/cloudstack/pvgpu-cloudstack $(BINDIR)/
	$(Q)$(INSTALL) -m 644 xen-pvgpu-back/cloudstack/answers.schema.json xen-pvgpu-back/cloudstack/cloudstack.conf $(LIBEXEC)/cloudstack/
	$(Q)$(INSTALL) -m 644 xen-pvgpu-back/cloudstack/pvgpu_cloudstack/*.py $(LIBEXEC)/cloudstack/pvgpu_cloudstack/

format:
	$(Q)git ls-files '*.c' '*.h' | grep -v -E 'golden|^tests/fuzz/|^tests/kernels/' | xargs clang-format -i

clean:
	rm -rf build build-*

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
