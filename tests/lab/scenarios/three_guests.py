# SPDX-License-Identifier: MIT
"""Three guests, PV and PVH, work at the same time; the end of one does not affect the others."""
import hashlib

LONG = True


def run(lab):
    names = ["one", "two", "three"]
    guests = lab.create_all(names, ["pv", "pvh", "pv"])
    assert {n: d for n, d in lab.domains().items() if d} == {g.name: g.domid for g in guests}
    jobs = [g.start(f"yes {g.name} | head -c 300000 | sha256sum") for g in guests]
    for g, job in zip(guests, jobs):
        text = (g.name + "\n").encode()
        want = hashlib.sha256((text * (300000 // len(text) + 1))[:300000]).hexdigest()
        assert job.wait().out.split()[0] == want, g.name
    guests[1].destroy()
    assert guests[1].gone()
    for g in (guests[0], guests[2]):
        assert g.run("echo alive").out == "alive\n"
