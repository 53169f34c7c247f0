# SPDX-License-Identifier: MIT
"""Random programs in a guest while its vGPU is attached and detached, the guest saved, restored, migrated and destroyed, workers and pvgpud killed, and
memory parked and brought back, at random: LAB_CHAOS_ROUNDS rounds with the seed LAB_CHAOS_SEED (a new one, which is printed). Each value is right, each
lost session has a defined error, a program beside them in another guest is right from beginning to end, and after each round no worker and no byte of the
GPU is left."""
import os
import random
import re

import vgpu
import world


class Parking(world.TwoGuests):
    """Memory leaves soon after it has come back."""
    PVGPUD = {"park_idle_ms": "20"}


WORLD = Parking
ROUNDS = int(os.environ.get("LAB_CHAOS_ROUNDS", "12"))
LIMIT = 400 + 90 * ROUNDS
LONG = True
# Without new memory, whose kernels take long on an emulated processor.
KINDS = "check,copy,between,memset,kernel,graph,host,event,gate"
KEPT = 2  # MiB, which a program looks at after pauses
ERRORS = ("CUDA_ERROR_DEVICE_UNAVAILABLE",)


class Client:
    """chaos-client until it is told to end."""

    def __init__(self, guest, rng):
        words = f"{rng.randrange(1 << 30)} 0 {rng.choice((1, 2))} {KINDS} {KEPT}"
        self.guest = guest
        self.process = guest.start(f"{vgpu.GUEST_ENV} exec {vgpu.TOP}/tests/chaos-client {words}")
        self.process.wait_output("^ready", 180)

    def end(self, limit=180):
        self.process.close()
        return self.process.wait(limit)

    def is_right(self):
        r = self.end()
        assert r.status == 0 and r.out == "ready\nright\n", f"{self.guest.name}: {r.status}, {r.out!r}, {r.err!r}"

    def is_lost(self):
        """It ends by itself with an error that says so; or it was told to end first, and all was right."""
        r = self.process.wait(180)
        error = re.search(r"error (CUDA_ERROR_\w+)", r.out)
        assert r.status == 3 and error and error[1] in ERRORS, f"{self.guest.name}: {r.status}, {r.out!r}, {r.err!r}"


class Chaos:
    def __init__(self, lab, w, rng):
        self.lab, self.w, self.rng = lab, w, rng
        self.guest = self.vgpu = None
        self.made = 0

    def open(self):
        """A guest with a vGPU."""
        if not self.guest:
            self.made += 1
            self.guest = self.lab.create(f"chaos-{self.made}", self.rng.choice(("pv", "pvh")), memory=256, payload=True)
        if not self.vgpu:
            self.vgpu = self.w.pvgpud.attach(self.guest, memory="100M")

    def round(self):
        self.open()
        clients = [Client(self.guest, self.rng) for _ in range(self.rng.randint(0, 2))]
        # Xen cannot log which pages a PV guest writes where it is itself emulated: a PV guest does not migrate.
        move = self.save if self.guest.kind == "pv" else self.rng.choice((self.save, self.migrate))
        act = self.rng.choice((self.detach, move, move, self.destroy, self.kill_pvgpud, self.kill_workers, self.nothing))
        self.lab.say(f"chaos: {act.__name__} with {len(clients)} programs")
        self.park()
        check = act()
        for c in clients:
            if check:
                check(c)
        self.w.pvgpud.wait_workers(1)  # the one beside them
        self.open()
        r = self.guest.run(f"{vgpu.GUEST_ENV} {vgpu.TOP}/tests/chaos-client {self.rng.randrange(1 << 30)} 5 1 {KINDS}", limit=180)
        assert r.out == "ready\nright\n", (r.out, r.err)
        self.w.pvgpud.wait_workers(1)

    def park(self):
        """From now on memory of idle sessions is parked, or stays on the GPU: of one vGPU's or of both."""
        for v in self.rng.sample((self.vgpu, self.w.vgpus[self.w.pvh]), self.rng.randint(1, 2)):
            v.ctl(self.rng.choice(("park", "park", "resume")))

    # what is done, and what programs see of it

    def nothing(self):
        return Client.is_right

    def detach(self):
        self.vgpu.detach()
        self.vgpu = None
        return Client.is_lost

    def save(self):
        self.guest.save("/run/saved")
        self.vgpu.remove()
        self.guest.restore("/run/saved", before=self.vgpu.attach)
        self.lab.dom0.run("rm /run/saved")
        self.vgpu.wait_connected(180)
        return Client.is_lost

    def migrate(self):
        old = self.vgpu.directories()
        self.guest.migrate(before=self.vgpu.attach)
        self.vgpu.remove(*old)
        self.vgpu.wait_connected(180)
        return Client.is_lost

    def destroy(self):
        domid = self.guest.domid
        self.guest.destroy()
        self.lab.wait("the domain's end", lambda: domid not in self.lab.domains().values())
        self.vgpu.remove()
        self.guest = self.vgpu = None
        return None

    def kill_pvgpud(self):
        self.w.pvgpud.restart()
        return Client.is_right

    def kill_workers(self):
        mine = [p for p in self.w.pvgpud.workers() if p != self.beside_worker]
        if mine:
            self.lab.dom0.run(f"kill -9 {' '.join(map(str, mine))}")
        return Client.is_lost

    def close(self):
        if self.vgpu:
            self.vgpu.detach()
        if self.guest:
            self.guest.destroy()


def run(lab, w):
    seed = int(os.environ.get("LAB_CHAOS_SEED", random.randrange(1 << 24)))
    lab.say(f"chaos: seed {seed}, {ROUNDS} rounds")
    print(f"vgpu-chaos: LAB_CHAOS_SEED={seed} LAB_CHAOS_ROUNDS={ROUNDS}", flush=True)
    chaos = Chaos(lab, w, random.Random(seed))
    beside = Client(w.pvh, random.Random(seed))
    chaos.beside_worker, = w.pvgpud.wait_workers(1)
    w.vgpus[w.pvh].ctl("park")
    w.pvgpud.wait_log(" MiB are parked, ", 180)
    for n in range(ROUNDS):
        lab.say(f"chaos: round {n}")
        chaos.round()
    beside.is_right()
    lab.say(f"chaos: memory was parked {w.pvgpud.log().count(' MiB are parked, ')} times")
    w.pvgpud.wait_workers(0)
    chaos.close()
    # Its policy is as it was with a new vGPU only.
    v = w.vgpus[w.pvh]
    v.detach()
    v.attach()
    v.wait_connected()
