# SPDX-License-Identifier: MIT
"""The hostile frontend against pvgpud in a driver domain, to which xenstore's permissions and limits apply: some attacks of
each kind. A neighbour's second vGPU is served there, too."""
import frontend
import vgpu
import world

WORLD = world.TwoGuests
LIMIT = 1800
LONG = True
ONLY = ("stay_offered", "stay_chunked", "leave_asking", "state_word", "flips_1_4", "keys_deleted", "keys_forbidden", "ref_never",
        "ref_foreign", "port_foreign", "requests_17", "answers_ahead", "storm_control", "commands_far", "dir_foreign",
        "ring_never", "ring_read_only", "chunk_overlap", "chunk_never", "chunk_circle_128", "chunk_uncount_kill",
        "open_cancelled", "open_beyond", "restart_kill", "guest_paused")


def run(lab, w):
    d = lab.create("gpu", "pvh", memory=320, payload=True)
    p = vgpu.Pvgpud(lab, d, **world.CHEAP).start()
    second = p.attach(w.pv, number=1)
    a = frontend.Attacker(lab, p, w.pv, "bad-pv", "pv", env="PVGPU_DEVICE=/dev/pvgpu1")
    a.create()
    for name in ONLY:
        a.check(name)
    a.end()
    second.detach()
    p.stop()
    lab.keepers.remove(p)
    d.destroy()
