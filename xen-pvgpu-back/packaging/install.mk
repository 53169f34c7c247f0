# SPDX-License-Identifier: MIT
# What the rules of `make install` have in common, here and in an old dom0's source tree.
#
# install_man,PAGES
define install_man
	$(Q)for m in $(1); do $(INSTALL) -d $(MANDIR)/man$${m##*.} && $(INSTALL) -m 644 $$m $(MANDIR)/man$${m##*.}/; done
endef
# install_unit,TEMPLATE
define install_unit
	$(Q)$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' $(1) >$(DESTDIR)$(UNITDIR)/$(basename $(notdir $(1)))
	$(Q)chmod 644 $(DESTDIR)$(UNITDIR)/$(basename $(notdir $(1)))
endef
