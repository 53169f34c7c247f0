# SPDX-License-Identifier: MIT
"""pvgpu.ko is unloaded and loaded again twenty times, with a program after every fifth, while another process changes a key beside
the frontend's own all the time, at which the kernel looks at its state; while a program has the device open it cannot be unloaded,
and the attempt does not affect the program."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
ROUNDS = 20


def check(lab, w, g, rounds):
    v = w.vgpus[g]
    c = vgpu.Cuda(g)
    r = g.run("rmmod pvgpu", check=False)
    assert r.status and "temporarily unavailable" in r.err, vars(r)
    c.want("check", "right")
    c.quit()
    key = f"device/pvgpu/{v.number}/poke"
    poke = g.start(f"touch /run/poke; while [ -e /run/poke ]; do xenstore-write {key} x; done")
    for i in range(rounds):
        g.run("rmmod pvgpu")
        assert not g.run("ls /dev | grep pvgpu", check=False).out
        v.wait_states(vgpu.CLOSED, vgpu.CLOSED)
        g.run("modprobe pvgpu")
        v.wait_connected()
        if i % 5 == 4:
            assert vgpu.run_program(g, "vecadd").status == 0
    g.run("rm /run/poke")
    poke.wait()
    g.run(f"xenstore-rm {key}")


def run(lab, w):
    check(lab, w, w.pv, ROUNDS // 2)
    check(lab, w, w.pvh, ROUNDS // 2)
