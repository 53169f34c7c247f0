# SPDX-License-Identifier: MIT
# pvgpu: one non-recursive Makefile; every folder adds its targets in a build.mk of its own.
#
#   make              all of user space               make demo    four Xen guests share one GPU
#   make check        every test: 17 to 31 minutes on two cores      make check-full   the long versions too
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

# Optimising the generated part of a test takes longer than all that it runs.
$(B)/obj/gen/simcublas_front.o $(B)/obj/gen/pvgpu_wire_test.o $(B)/obj/tests/programs/conform.o: override CFLAGS := $(filter-out -O%,$(CFLAGS)) -O0
# The simulated GPU computes for all programs.
$(B)/obj/tests/simcuda/%.o: override CFLAGS := $(patsubst -O0,-O1,$(CFLAGS))

# PLAIN: a tree without sanitizers, of the same sources, whose objects of the simulated GPU and its libraries are used in place of
# instrumented ones.
define plain
$(B)/obj/$(1).o: $(PLAIN)/obj/$(1).o
	$$(Q)mkdir -p $$(@D)
	$$(Q)ln -f $$< $$@
endef
$(if $(PLAIN),$(foreach o,tests/simcuda/% tests/simlibs/% gen/simcublas_front,$(eval $(call plain,$(o)))))

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
.PHONY: run-unit check-starved check-mends check-stage
check: packages
	$(Q)$(PYTHON) tests/check/run.py $(if $(CHECK_JSON),--json $(CHECK_JSON))
check-full: packages
	$(Q).ci/install-packages tests/clients/host-packages
	$(Q)$(PYTHON) tests/check/run.py --full $(if $(CHECK_JSON),--json $(CHECK_JSON))
# Patterns of unit tests. ONLY: those that are wanted; LESS: those that are not, and test programs that are not.
RUN_UNITS = $(filter-out $(addprefix $(B)/unit/,$(LESS)),$(filter $(addprefix $(B)/unit/,$(or $(ONLY),%)),$(UNIT)))
run-unit: tests
	$(Q)tests/check/run_units.sh $(if $(findstring thread,$(SAN)),$$($(PYTHON) tests/check/threads.py $(RUN_UNITS)),$(RUN_UNITS))
check-starved: tests
	$(Q)tests/check/starved.py tests/check/run_units.sh $(RUN_UNITS)
check-mends: tests
	$(Q)$(PYTHON) tests/check/mends.py --build $(B)

# ---- install: by parts, which are the packages of xen-pvgpu-back/packaging ----
INSTALL ?= install
BINDIR  := $(DESTDIR)$(PREFIX)/bin
SBINDIR := $(DESTDIR)$(PREFIX)/sbin
LIBEXEC := $(DESTDIR)$(PREFIX)/libexec/pvgpu
LIBDIR  := $(DESTDIR)$(PREFIX)/lib/pvgpu
MANDIR  := $(DESTDIR)$(PREFIX)/share/man
SITEDIR := $(DESTDIR)$(SYSCONFDIR)/pvgpu
UNITDIR ?= $(PREFIX)/lib/systemd/system
PKGCONFIGDIR ?= $(PREFIX)/lib/pkgconfig
VERSION := 0.1.0

.PHONY: install-back install-tools install-cloudstack install-guest install-dev
install: install-back install-tools install-cloudstack install-guest install-dev

# Man pages that are not of the tools.
MAN_BACK := docs/man/pvgpud.8 docs/man/pvgpud.conf.5 docs/man/pvgpu-worker.8 docs/man/pvgpu-health.8 docs/man/pvgpu-exporter.8
MAN_CLOUDSTACK := docs/man/pvgpu-cloudstack.8 docs/man/pvgpu-cloudstack.conf.5
include xen-pvgpu-back/packaging/install.mk

# The page that alerts link to, as those who get the alerts reach it.
RUNBOOKS ?= file://$(PREFIX)/share/pvgpu/monitoring/alerts.md
MONITORDIR := $(DESTDIR)$(PREFIX)/share/pvgpu/monitoring
.PHONY: install-monitoring
install-monitoring:
	$(Q)$(INSTALL) -d $(MONITORDIR)
	$(Q)$(INSTALL) -m 644 docs/operators/alerts.md $(wildcard xen-pvgpu-back/exporter/monitoring/grafana-*.json) $(MONITORDIR)/
	$(Q)sed 's|file:///usr/share/pvgpu/monitoring/alerts.md|$(RUNBOOKS)|' xen-pvgpu-back/exporter/monitoring/alerts.yml >$(MONITORDIR)/alerts.yml
	$(Q)chmod 644 $(MONITORDIR)/alerts.yml

install-back: all install-monitoring
	$(Q)$(INSTALL) -d $(BINDIR) $(SBINDIR) $(LIBEXEC) $(LIBDIR)/simcuda
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpu-exporter $(BINDIR)/
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpud $(SBINDIR)/
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpu-worker $(B)/bin/pvgpu-health $(B)/bin/pvgpu-gpu-reset $(LIBEXEC)/
	$(Q)$(INSTALL) -m 644 $(B)/simcuda/libcuda.so.1 $(SIMCUBLAS) $(SIMCUBLASLT) $(B)/simcuda/libnvidia-ml.so.1 $(LIBDIR)/simcuda/
	$(Q)$(INSTALL) -m 755 $(B)/simcuda/simcuda-reset $(LIBDIR)/simcuda/
	$(call install_unit,xen-pvgpu-back/systemd/pvgpud.service.in)
	$(call install_unit,xen-pvgpu-back/systemd/pvgpu-exporter.service.in)
	$(call install_man,$(MAN_BACK))

# install-tools is in xen-pvgpu-back/packaging/tools.mk, which an old dom0 uses, too.
TOOLS_BIN  := $(B)/bin
TOOLS_UNIT := xen-pvgpu-back/systemd/pvgpu-attachd.service.in
TOOLS_MAN  := $(filter-out $(MAN_BACK) $(MAN_CLOUDSTACK),$(wildcard docs/man/*.[158]))
install-tools: all
include xen-pvgpu-back/packaging/tools.mk

# On the host that talks to CloudStack, which need not be one of Xen's.
CLOUDSTACK := xen-pvgpu-back/cloudstack
install-cloudstack:
	$(Q)$(INSTALL) -d $(BINDIR) $(LIBEXEC)/cloudstack/pvgpu_cloudstack
	$(Q)$(INSTALL) -m 755 $(CLOUDSTACK)/pvgpu-cloudstack $(BINDIR)/
	$(Q)$(INSTALL) -m 644 $(CLOUDSTACK)/answers.schema.json $(CLOUDSTACK)/cloudstack.conf $(LIBEXEC)/cloudstack/
	$(Q)$(INSTALL) -m 644 $(CLOUDSTACK)/pvgpu_cloudstack/*.py $(LIBEXEC)/cloudstack/pvgpu_cloudstack/
	$(call install_unit,xen-pvgpu-back/systemd/pvgpu-cloudstack.service.in)
	$(Q)$(INSTALL) -D -m 644 xen-pvgpu-back/systemd/pvgpu-cloudstack.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/pvgpu-cloudstack.conf
	$(call install_man,$(MAN_CLOUDSTACK))

# What a guest loads: every library of ours that has the name of one of NVIDIA's, and (linux-pvgpu-front/build.mk) the module's source.
GUEST_LIBS = $(foreach l,$(filter $(B)/lib/%,$(LIBS)),$(if $(findstring .so.,$(l)),$(l)))
# Programs that load the driver's library themselves (Halide's, LLVM's offloading) ask for libcuda.so, which NVIDIA's driver has, too.
install-guest: all install-module-source
	$(Q)$(INSTALL) -d $(LIBDIR) $(BINDIR)
	$(Q)$(INSTALL) -m 755 $(B)/bin/pvgpu-run $(B)/bin/pvgpu-smi $(BINDIR)/
	$(call install_man,libpvgpu/run/pvgpu-run.1 libpvgpu/smi/pvgpu-smi.1)
	$(Q)$(INSTALL) -m 644 $(GUEST_LIBS) $(LIBDIR)/
	$(Q)cp -P $(B)/lib/libcuda.so $(LIBDIR)/
	$(Q)$(INSTALL) -d $(LIBDIR)/lib
	$(Q)$(INSTALL) -m 644 $(B)/lib/$(AUDIT) $(LIBDIR)/
	$(Q)$(INSTALL) -m 644 $(B)/lib/lib/$(AUDIT) $(LIBDIR)/lib/
	$(call audit_links,$(LIBDIR))
	$(Q)$(INSTALL) -D -m 644 linux-pvgpu-front/60-pvgpu.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-pvgpu.rules

# For pvgpu-acceptance: where a tenant's programs run. No package has them.
.PHONY: install-programs
install-programs: $(TEST_PROGRAMS)
	$(Q)$(INSTALL) -d $(LIBDIR)/programs
	$(Q)$(INSTALL) -m 755 $(TEST_PROGRAMS) $(LIBDIR)/programs/

install-dev: all
	$(Q)$(INSTALL) -d $(LIBDIR)/cuda12 $(LIBDIR)/cuda13 $(DESTDIR)$(PREFIX)/include/pvgpu $(DESTDIR)$(PKGCONFIGDIR)
	$(Q)$(INSTALL) -m 644 libpvgpu/cuda/include/*.h libpvgpu/cudart/include/*.h $(DESTDIR)$(PREFIX)/include/pvgpu/
	$(Q)$(INSTALL) -m 644 $(B)/cudart/12/libcudart_static.a $(LIBDIR)/cuda12/
	$(Q)$(INSTALL) -m 644 $(B)/cudart/13/libcudart_static.a $(LIBDIR)/cuda13/
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' libpvgpu/pvgpu.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/pvgpu.pc
	$(Q)chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/pvgpu.pc

format:
	$(Q)git ls-files '*.c' '*.h' | grep -v -E 'golden|^tests/fuzz/|^tests/kernels/' | xargs clang-format -i

clean:
	rm -rf build build-*

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
