# SPDX-License-Identifier: MIT
# pvgpu.ko, by the kernel's own build system (Kbuild); see docs/module.md. Not part of `all`: it needs a kernel's headers.
#
#   make module [KDIR=/lib/modules/VERSION/build]     $(B)/module/VERSION/pvgpu.ko
#   make module-install [DESTDIR=]                    into that kernel's modules
#   make install                                      puts the source tree for dkms into PREFIX/src
KDIR ?= /lib/modules/$(shell uname -r)/build

# Set when the recipe runs, so that no other target looks for a kernel.
kernel-version = $(shell sed -n 's/.*UTS_RELEASE *"\(.*\)".*/\1/p' $(KDIR)/include/generated/utsrelease.h)
module-folder  = $(abspath $(B))/module/$(kernel-version)

.PHONY: module module-headers module-install install-module-source
module-headers:
	$(Q)[ -f "$(KDIR)/include/generated/utsrelease.h" ] || { \
		echo "pvgpu: no kernel headers in $(KDIR)" >&2; \
		echo "pvgpu: install them (Debian: apt-get install linux-headers-$$(uname -r)), or name a kernel's build folder:" \
			"make module KDIR=/lib/modules/VERSION/build" >&2; exit 1; }

module: $$(KEYS_GEN) | module-headers
	$(Q)linux-pvgpu-front/assemble $(abspath $(B))/gen $(module-folder) $(VERSION)
	$(Q)$(MAKE) --no-print-directory -C $(KDIR) M=$(module-folder) PVGPU_STRICT=$(WERROR) modules

module-install: module
	$(Q)$(INSTALL) -D -m 644 $(module-folder)/pvgpu.ko $(DESTDIR)/lib/modules/$(kernel-version)/extra/pvgpu.ko
	$(Q)[ -n "$(DESTDIR)" ] || depmod -a $(kernel-version)

install-module-source: $$(KEYS_GEN)
	$(Q)rm -rf $(DESTDIR)$(PREFIX)/src/pvgpu-$(VERSION)
	$(Q)linux-pvgpu-front/assemble $(abspath $(B))/gen $(abspath $(DESTDIR)$(PREFIX)/src/pvgpu-$(VERSION)) $(VERSION)
