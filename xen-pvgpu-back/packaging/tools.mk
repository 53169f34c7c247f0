# SPDX-License-Identifier: MIT
# install-tools: pvgpuctl, pvgpu-acceptance, pvgpu-attachd, pvgpu-vgpu, the xe plugin, the site's files. Read by the Makefile and, in the source tree that
# `make dom0-source` makes, by dom0/Makefile; both set the places, TOOLS_BIN, TOOLS_UNIT, TOOLS_MAN and the functions.
#
# Where xapi looks for plugins; a host without xapi has no such folder, and gets neither units nor hooks of xapi's.
XAPI_PLUGINS  := $(DESTDIR)$(SYSCONFDIR)/xapi.d/plugins
XAPI_PROGRAMS := $(filter-out %.py %.in %.json,$(notdir $(wildcard xen-pvgpu-back/xapi/pvgpu*)))
XAPI_UNITS    := $(wildcard xen-pvgpu-back/xapi/*.service.in)
XAPI_HOOKS    := vm-pre-start vm-pre-migrate

install-tools:
	$(Q)$(INSTALL) -d $(BINDIR) $(SBINDIR) $(LIBEXEC)/xapi $(SITEDIR)
	$(Q)$(INSTALL) -m 755 $(TOOLS_BIN)/pvgpuctl xen-pvgpu-back/acceptance/pvgpu-acceptance $(BINDIR)/
	$(Q)$(INSTALL) -m 755 $(TOOLS_BIN)/pvgpu-attachd $(SBINDIR)/
	$(Q)$(INSTALL) -m 755 $(TOOLS_BIN)/pvgpu-vgpu $(LIBEXEC)/xapi/
	$(Q)for p in $(XAPI_PROGRAMS); do sed -e 's|/usr/local/bin/pvgpuctl|$(PREFIX)/bin/pvgpuctl|' xen-pvgpu-back/xapi/$$p | \
		$(INSTALL) -m 755 /dev/stdin $(LIBEXEC)/xapi/$$p; done
	$(Q)$(INSTALL) -m 644 $(wildcard xen-pvgpu-back/xapi/*.json xen-pvgpu-back/xapi/*.py) $(LIBEXEC)/xapi/
	$(Q)[ ! -d $(XAPI_PLUGINS) ] || { $(INSTALL) -m 755 $(LIBEXEC)/xapi/pvgpu $(XAPI_PLUGINS)/ && \
		$(INSTALL) -d $(DESTDIR)$(UNITDIR) && \
		for u in $(XAPI_UNITS); do sed -e 's|@PREFIX@|$(PREFIX)|g' $$u | \
			$(INSTALL) -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$(basename $$u .in); done && \
		for h in $(XAPI_HOOKS); do $(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)/xapi.d/$$h && \
			ln -sf $(PREFIX)/libexec/pvgpu/xapi/pvgpu-hook $(DESTDIR)$(SYSCONFDIR)/xapi.d/$$h/50-pvgpu; done; }
	$(Q)for f in profiles.conf tenants.conf; do [ -e $(SITEDIR)/$$f ] || \
		$(INSTALL) -m 644 xen-pvgpu-back/toolstack/$$f $(SITEDIR)/; done
	$(Q)$(INSTALL) -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions
	$(Q)$(TOOLS_BIN)/pvgpuctl completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pvgpuctl
	$(Q)$(TOOLS_BIN)/pvgpuctl completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_pvgpuctl
	$(Q)chmod 644 $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pvgpuctl $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_pvgpuctl
	$(call install_unit,$(TOOLS_UNIT))
	$(call install_man,$(TOOLS_MAN))
