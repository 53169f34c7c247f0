# SPDX-License-Identifier: MIT
"""Guests are destroyed while they serve or are served: nothing is left in Xen or in xenstore.

The runner compares xenstore, domains, dom0's processes and event channels after every scenario. This one also compares
memory, and tests the time in which another guest still maps the destroyed guest's pages."""
LIMIT = 420
LONG = True
PAGES = 4


def serve(lab, front, back):
    """front grants pages to back, which maps them; both keep them."""
    granting = front.start(f"lab-grants grant {back.domid} {PAGES} 3")
    m = granting.wait_output(r"^port (\d+) refs ([\d ]+)$")
    mapping = back.start(f"lab-grants map {front.domid} {m[1]} 3 {m[2]}")
    mapping.wait_output("^rounds 3")
    return granting, mapping


def check(lab, kind):
    free = lab.free_memory()
    store = lab.store.tree()
    front, back = lab.create_all(["front", "back"], kind)
    assert lab.free_memory() < free and lab.store.tree() != store

    # The granting guest is destroyed first: it cannot be freed while the other maps its pages.
    serving, mapping = serve(lab, front, back)
    front.destroy()
    assert not lab.store.tree(f"/local/domain/{front.domid}"), "xenstore still knows the guest"
    assert front.domid in lab.domains().values(), "freed although its pages are mapped"
    mapping.close()
    assert mapping.wait().status == 0
    lab.wait("the end of the granting guest", lambda: front.domid not in lab.domains().values())

    # The serving guest is destroyed first: the other lives on.
    front = lab.create("front", kind)
    granting, mapping = serve(lab, front, back)
    back.destroy()
    lab.wait("the end of the serving guest", lambda: back.domid not in lab.domains().values())
    assert not lab.connected(front, back)
    granting.close()
    assert granting.wait().status == 0
    assert front.run("echo alive").out == "alive\n"
    front.destroy()

    lab.wait("all memory to come back", lambda: lab.free_memory() == free)
    lab.wait("xenstore to be as before", lambda: lab.store.tree() == store)


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
