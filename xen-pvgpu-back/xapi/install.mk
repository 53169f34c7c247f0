# SPDX-License-Identifier: MIT
# What `make install` puts on hosts with xapi: programs into LIBEXEC; plugin, hooks and units only where xapi's folder of plugins is. Needs
# DESTDIR, PREFIX, SYSCONFDIR, LIBEXEC, INSTALL and Q.
XAPI_PLUGINS := $(DESTDIR)$(SYSCONFDIR)/xapi.d/plugins
XAPI_HOOKS   := vm-pre-start vm-pre-migrate
define install_xapi
	$(Q)$(INSTALL) -d $(LIBEXEC)/xapi
	$(Q)for p in pvgpu pvgpu-hook pvgpu-rrdd pvgpu-xapi; do sed -e 's|/usr/local/bin/pvgpuctl|$(PREFIX)/bin/pvgpuctl|' xen-pvgpu-back/xapi/$$p | \
		$(INSTALL) -m 755 /dev/stdin $(LIBEXEC)/xapi/$$p; done
	$(Q)$(INSTALL) -m 644 xen-pvgpu-back/xapi/pvgpu_xapi.py xen-pvgpu-back/xapi/answers.schema.json $(LIBEXEC)/xapi/
	$(Q)[ ! -d $(XAPI_PLUGINS) ] || { $(INSTALL) -m 755 $(LIBEXEC)/xapi/pvgpu $(XAPI_PLUGINS)/ && \
		units=$(DESTDIR)$(or $(UNITDIR),$(PREFIX)/lib/systemd/system) && $(INSTALL) -d $$units && \
		for u in xen-pvgpu-back/xapi/*.service.in; do sed -e 's|@PREFIX@|$(PREFIX)|g' $$u | \
			$(INSTALL) -m 644 /dev/stdin $$units/$$(basename $$u .in); done && \
		for h in $(XAPI_HOOKS); do $(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)/xapi.d/$$h && \
			ln -sf $(PREFIX)/libexec/pvgpu/xapi/pvgpu-hook $(DESTDIR)$(SYSCONFDIR)/xapi.d/$$h/50-pvgpu; done; }
endef
