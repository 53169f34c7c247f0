# SPDX-License-Identifier: MIT
"""A guest is paused with work in flight: the other guest's work goes on, nothing of the paused one is lost, and after
unpause it finishes with right results. Meanwhile pvgpud opens and closes other sessions."""
import vgpu
import world

WORLD = world.TwoGuests
LONG = True
LIMIT = 420


PAUSED = ("pv", "pvh")


def run(lab, w):
    for kind in PAUSED:
        g, other = w.guests[kind], w.guests["pv" if kind == "pvh" else "pvh"]
        copies, kernel = vgpu.Cuda(g), vgpu.Cuda(g)
        copies.tell("copy 300000 60")
        assert copies.answer("copy") == "1"
        kernel.want("spin", "CUDA_SUCCESS")
        g.pause()
        assert "p" in g.state()
        # Whole programs run in the other guest meanwhile.
        assert vgpu.run_program(other, "vecadd").status == 0
        # Its output from before the pause has arrived by now.
        said = bytes(copies.process.out)
        assert vgpu.run_program(other, "streams").status == 0
        assert bytes(copies.process.out) == said, "a paused guest goes on"
        assert w.vgpus[g].states() == (vgpu.CONNECTED, vgpu.CONNECTED)
        g.unpause()
        assert copies.answer("copy", 300) == "right"
        kernel.want("stop", "CUDA_SUCCESS")
        kernel.want("sync", "CUDA_SUCCESS")
        kernel.want("check", "right")
        for c in (copies, kernel):
            c.quit()
