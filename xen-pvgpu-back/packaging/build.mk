# SPDX-License-Identifier: MIT
# Packages of Debian, an RPM for an old dom0, and the source tree that it is built from.
#
#   make deb           $(B)/deb/*.deb: pvgpu-back, pvgpu-tools, pvgpu-guest, libpvgpu-dev
#   make rpm           $(B)/rpm/RPMS/x86_64/pvgpu-tools-*.rpm, and its source package
#   make dom0          the tools as an old dom0 builds them, in $(B)/dom0
#   make dom0-source   only that folder
PACKAGING   := xen-pvgpu-back/packaging
DOM0_FOLDER = $(B)/dom0/pvgpu-tools-$(VERSION)

# The sources of a list of objects; those of generated ones are gen/NAME.c.
sources_of = $(patsubst $(B)/obj/%.o,%.c,$(1))
# Of the archive, what the tools take.
DOM0_CONTRACT := $(addprefix xen-pvgpu-back/contract/,log.c alive.c)
DOM0_CTL      = $(call sources_of,$(PVGPUCTL_OBJS))
DOM0_ATTACHD  = $(call sources_of,$(ATTACHD_OBJS)) $(DOM0_CONTRACT) $(sort $(wildcard xen-pvgpu-back/confine/*.c))
DOM0_XENOPSD  = $(call sources_of,$(XENOPSD_OBJS)) xen-pvgpu-back/contract/log.c $(sort $(wildcard xen-pvgpu-back/confine/*.c))

.PHONY: packaging-packages deb rpm dom0-source dom0
packaging-packages:
	$(Q).ci/install-packages $(PACKAGING)/packages

# The programs are there for the .d files beside their objects.
dom0-source: $(B)/bin/pvgpuctl $(B)/bin/pvgpu-attachd $(B)/bin/pvgpu-vgpu
	$(Q)$(PACKAGING)/dom0/assemble $(B) $(DOM0_FOLDER) --pvgpuctl $(DOM0_CTL) --attachd $(DOM0_ATTACHD) --xenopsd $(DOM0_XENOPSD)
dom0: dom0-source
	$(Q)env -u MAKEFLAGS $(MAKE) --no-print-directory -C $(DOM0_FOLDER) WARN=$(if $(WERROR),-Werror)

deb: packaging-packages
	$(Q)$(PACKAGING)/make-deb $(abspath $(B))/deb
rpm: packaging-packages dom0-source
	$(Q)$(PACKAGING)/make-rpm $(abspath $(DOM0_FOLDER)) $(abspath $(B))/rpm
