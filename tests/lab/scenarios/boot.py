# SPDX-License-Identifier: MIT
"""Xen and dom0 are up, and the toolstack works."""
import re

LONG = True


def run(lab):
    info = lab.dom0.run("xl info").out
    version = re.search(r"^xen_version\s*:\s*(\S+)", info, re.M)
    assert version and version[1].startswith("4."), info
    assert "hvm" in re.search(r"^virt_caps\s*:(.*)", info, re.M)[1], "this machine offers no PVH guests"
    assert lab.dom0.run("cat /sys/hypervisor/type").out.strip() == "xen"
    assert lab.domains() == {"Domain-0": 0}
    assert lab.store.read("/local/domain/0/domid") == "0"
    lab.store.write("/lab", "here")
    assert lab.store.wait("/lab") == "here"
    lab.dom0.run("xenstore-rm /lab")
    assert lab.store.read("/lab") is None
    for device in ("evtchn", "gntdev", "gntalloc", "privcmd"):
        lab.dom0.run(f"[ -c /dev/xen/{device} ]")
    lab.wait_console("Xen version 4")
