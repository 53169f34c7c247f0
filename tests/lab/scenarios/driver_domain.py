# SPDX-License-Identifier: MIT
"""One guest serves another: it maps the other's grants and binds its event channel, as dom0 would.

The programs' output is compared with Xen's own tables."""
import re

PAGES, ROUNDS = 16, 50
LIMIT = 420
LONG = True


def grants_of(lab, domid):
    """Xen's table of a domain's active grants: a list of the domains that may map each."""
    text = lab.hypervisor_log("g")
    part = re.search(rf"grant-table for remote d{domid} (.*?)(?=grant-table for remote|\Z)", text, re.S)
    assert part, f"Xen does not list domain {domid}'s grants"
    return [int(peer) for peer in re.findall(r"^\(XEN\) \[0x[0-9a-f]+\] +(\d+) 0x", part[1], re.M)]


def check(lab, kind):
    front, back = lab.create_all([f"{kind}-front", f"{kind}-back"], kind)
    assert grants_of(lab, front.domid).count(back.domid) == 0

    granting = front.start(f"lab-grants grant {back.domid} {PAGES} {ROUNDS}")
    m = granting.wait_output(r"^port (\d+) refs ([\d ]+)$")
    # The keys go through xenstore, where the owner must let the other read.
    front.run(f"xenstore-write data/lab/port {m[1]} data/lab/refs '{m[2]}'")
    path = f"/local/domain/{front.domid}/data/lab"
    assert back.run(f"xenstore-read {path}/port", check=False).status, "another guest could read without being let"
    for key in ("port", "refs"):
        front.run(f"xenstore-chmod data/lab/{key} n{front.domid} r{back.domid}")
    port = back.run(f"xenstore-read {path}/port").out.strip()
    refs = back.run(f"xenstore-read {path}/refs").out.strip()

    mapping = back.start(f"lab-grants map {front.domid} {port} {ROUNDS} {refs}")
    for p in (granting, mapping):
        m = p.wait_output(r"^rounds (\d+) events (\d+)$", 120)
        assert int(m[1]) == ROUNDS
        # Binding makes one more event.
        assert ROUNDS <= int(m[2]) <= ROUNDS + 1, f"{m[2]} events in {ROUNDS} rounds"

    assert grants_of(lab, front.domid).count(back.domid) == PAGES
    assert lab.connected(front, back) == lab.connected(back, front) == 1

    mapping.close()
    assert mapping.wait().status == 0
    granting.close()
    assert granting.wait().status == 0
    lab.wait("the end of the grants", lambda: grants_of(lab, front.domid).count(back.domid) == 0)
    assert lab.connected(front, back) == lab.connected(back, front) == 0

    # Mapping a grant that was given to another domain is refused.
    granting = front.start("lab-grants grant 0 1 0")
    m = granting.wait_output(r"^port (\d+) refs ([\d ]+)$")
    r = back.run(f"lab-grants map {front.domid} {m[1]} 1 {m[2]}", check=False)
    assert r.status == 1 and "mapping the other domain's pages" in r.err, vars(r)
    granting.close()
    assert granting.wait().status == 0
    front.destroy()
    back.destroy()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
