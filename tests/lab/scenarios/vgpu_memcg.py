# SPDX-License-Identifier: MIT
"""A program in a memory cgroup of its guest has the GPU as any other: it maps its ring and its arena. Before Linux 5.11 pages
that are charged to such a cgroup cannot be mapped. PV and PVH."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 300
LONG = True
GROUP = "/tmp/cgroup/one"


def check(w, g):
    # Debian 11 and older mount no cgroups in such a small system, and neither do others.
    g.run(f"""set -e
        mkdir -p /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup
        echo +memory >/tmp/cgroup/cgroup.subtree_control
        mkdir {GROUP}""")
    env = f"{vgpu.GUEST_ENV} PVGPU_DEBUG=1"
    out = g.run(f"sh -c 'echo $$ >{GROUP}/cgroup.procs && cat /proc/self/cgroup && {env} exec {vgpu.TOP}/programs/vecadd'", limit=180)
    assert "0::/one" in out.out, out.out
    assert "vecadd: 100003 sums, digest " in out.out, out.out
    assert "cannot" not in out.err, out.err
    w.pvgpud.wait_workers(0)
    g.run(f"rmdir {GROUP} && umount /tmp/cgroup && rmdir /tmp/cgroup")


def run(lab, w):
    check(w, w.pv)
    check(w, w.pvh)
