# SPDX-License-Identifier: MIT
"""A guest runs out of grants or of event channels: programs get an error that names the limit and how to raise it, running
sessions go on, and new ones work again when some are closed."""
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 420
LONG = True
MANY = 60


def open_many(g):
    """Open sessions until one is refused; returns the open ones and the reason of the refusal."""
    opened = []
    for _ in range(MANY):
        c = vgpu.Cuda(g, opened=False, env="PVGPU_DEBUG=1")
        if (got := c.ask("open")) != "CUDA_SUCCESS":
            c.quit()
            return opened, got, c.process.err.decode()
        opened.append(c)
    raise AssertionError(f"{MANY} sessions and no limit met")


def open_one(g):
    c = vgpu.Cuda(g, opened=False)
    if c.ask("open") == "CUDA_SUCCESS":
        return c
    c.quit()
    return None


def check(lab, w, name, config, limit_name):
    g = lab.create(name, "pv", memory=320, payload=True, config=config)
    v = w.pvgpud.attach(g)
    opened, got, said = open_many(g)
    assert opened, said
    assert got in ("CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_DEVICE_UNAVAILABLE"), got
    assert limit_name in said, f"'{said}' does not name {limit_name}"
    opened[0].want("check", "right")
    opened.pop().quit()
    # Its event channel is free when its worker has ended, a moment after the program.
    c = lab.wait("a session in place of the one that was closed", lambda: open_one(g), 120)
    c.want("check", "right")
    for c in [c, *opened]:
        c.quit()
    v.detach()
    g.destroy()


def run(lab, w):
    check(lab, w, "few-grants", "max_grant_frames=4", "max_grant_frames")
    check(lab, w, "few-channels", "max_event_channels=20", "max_event_channels")
