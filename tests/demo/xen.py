#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four Xen guests share one GPU: real Xen, dom0 and guests in an emulated machine.

Two PV and two PVH guests get a vGPU each, with different weights, and run different CUDA programs at the same time; every
program checks its results against a computation of its own. On the way one vGPU is detached while its guest uses it, and one
worker is killed. The emulated machine has no GPU, so the one that is shared is the simulated one (PTX on the CPU).
"""
import argparse
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
import images  # noqa: E402
import machine  # noqa: E402
import vgpu  # noqa: E402
from channel import LabError  # noqa: E402
from run import Log  # noqa: E402

LIMIT = 900
BUSY = "occupy 1000000000 10000 8"   # kernels of 10 ms, one after the other
COUNTED = 8_000_000         # microseconds of GPU time in which shares are compared
CTL = f"{vgpu.TOP}/bin/pvgpuctl"
CLIENTS = [  # guest, kind, weight, memory, program with its arguments, what it is
    ("alice", "pv", 100, "128M", "matmul 32", "tiled matrix product"),
    ("bob", "pvh", 200, "128M", "nbody 32 2", "n-body in double precision"),
    ("carol", "pv", 100, "64M", "histogram 5000", "atomic histogram"),
    ("dave", "pvh", 400, "256M", "scan 2000", "prefix sum"),
]
# Runs the program again and again until told to stop; a line for each run.
LOOP = """i=0
while [ ! -e /run/stop ]; do
    i=$((i + 1))
    if out=$({program} 2>&1); then echo "right $i"; else echo "wrong $i: $(echo "$out" | tail -n 1)"; fi
done
echo stopped"""


class Story:
    """What the reader sees: numbered steps with the time since the beginning."""

    def __init__(self, steps):
        self.steps, self.at, self.begun = steps, 0, time.monotonic()

    def step(self, text):
        self.at += 1
        print(f"\n[{self.at}/{self.steps}] {time.monotonic() - self.begun:3.0f} s  {text}", flush=True)

    @staticmethod
    def say(text=""):
        for line in text.rstrip("\n").split("\n"):
            print(f"      {line}", flush=True)


class Client:
    """A guest with a vGPU, and the program that runs in it."""

    def __init__(self, guest, weight, memory, program, what):
        self.guest, self.weight, self.memory, self.program, self.what = guest, weight, memory, program, what
        self.loop = None

    def start(self):
        self.loop = self.guest.start(LOOP.format(program=vgpu.program(*self.program.split(" ", 1))))

    def lines(self, word):
        text = bytes(self.loop.out).decode(errors="replace") if self.loop else ""
        return re.findall(rf"^{word} .*$", text, re.M)

    @property
    def right(self):
        return len(self.lines("right"))

    @property
    def wrong(self):
        return len(self.lines("wrong"))

    def stop(self):
        self.guest.run("touch /run/stop")
        self.loop.wait(180)


def pvgpuctl(lab, words, check=True):
    return lab.dom0.run(f"{CTL} {words}", check=check, limit=180).out


def show(story, lab, clients):
    story.say("$ pvgpuctl list")
    story.say(pvgpuctl(lab, "list"))
    story.say("checked runs so far: " + ", ".join(f"{c.guest.name} {c.right}" for c in clients))


# Of the GPU. One emulated processor also has to launch all the work, that of four other programs among it.
NEAR = 0.08


def attach_all(story, lab, clients):
    for c in clients:
        words = f"attach {c.guest.name} --memory {c.memory} --weight {c.weight}"
        story.say(f"$ pvgpuctl {words}")
        pvgpuctl(lab, words + " --timeout 120")
    for c in clients:
        node = c.guest.run("ls -l /dev/pvgpu0 && cat /proc/modules | grep -o '^pvgpu '").out.split("\n")
        story.say(f"{c.guest.name:6} ({c.guest.kind}): pvgpu.ko loaded by itself: {node[0].split()[-1]}")


def wait_runs(lab, clients, more):
    """Until each of them has made so many more right runs."""
    goal = {c: c.right + more for c in clients}
    lab.wait("right results in all guests", lambda: all(c.right >= goal[c] for c in clients), 300)


def share(story, lab, daemon, clients):
    """All keep the GPU busy: who gets how much of it, as pvgpud charges it, and what xenstore shows meanwhile."""
    pools = "/local/domain/0/data/pvgpu/pools"
    lab.store.write(pools, "default slice_ms=30")    # the emulator is slow: long turns
    loads = [vgpu.Load(c.guest, BUSY) for c in clients]
    first = daemon.charged()
    lab.wait("all to use the GPU", lambda: all(t > first[k] for k, t in daemon.charged().items()))
    first = daemon.charged()

    def used():
        now = daemon.charged()
        return {c: now[c.guest.domid, 0] - first[c.guest.domid, 0] for c in clients}
    lab.wait("GPU time to be charged", lambda: sum(used().values()) >= COUNTED, 180)
    got = used()
    total, weights = sum(got.values()), sum(c.weight for c in clients)
    story.say("$ pvgpuctl list")
    story.say(pvgpuctl(lab, "list"))
    story.say(f"{'guest':8}{'weight':>8}{'share by weight':>18}{'share it got':>15}")
    for c in clients:
        story.say(f"{c.guest.name:8}{c.weight:8}{c.weight / weights:18.1%}{got[c] / total:15.1%}")
    for load in loads:
        load.kill()
    lab.dom0.run(f"xenstore-rm {pools}")
    fair = all(abs(got[c] / total - c.weight / weights) < NEAR for c in clients)
    if not fair:
        story.say(f"that is more than {NEAR:.0%} of the GPU away from the weights")
    return fair


def detach_one(story, lab, client, others):
    seen = {c: c.wrong for c in others}
    before = client.wrong
    lab.wait(f"{client.guest.name}'s program to use the GPU", lambda: workers(lab, client), 120)
    story.say(f"$ pvgpuctl detach {client.guest.name}")
    pvgpuctl(lab, f"detach {client.guest.name} --timeout 120")
    lab.wait(f"{client.guest.name}'s program to notice", lambda: client.wrong > before, 120)
    story.say(f"{client.guest.name}'s program ended with an error, not with a hang:")
    story.say("    " + client.lines("wrong")[before].partition(": ")[2])
    client.stop()
    wait_runs(lab, others, 1)
    return all(c.wrong == seen[c] for c in others)


def workers(lab, client):
    """The pids of the workers that serve it now."""
    tree = lab.dom0.run(f"{CTL} --run-dir {vgpu.RUN_DIR} tree /vgpu", check=False, quiet=True).out
    return re.findall(rf"xen-{client.guest.domid}-0-\w+/session/\d+/pid\W+(\d+)", tree)


def kill_worker(story, lab, client, others):
    seen = {c: c.wrong for c in others}
    before = client.wrong

    def killed():
        pids = workers(lab, client)
        for pid in pids:
            lab.dom0.run(f"kill -9 {pid}", check=False)
        return pids and lost()

    def lost():
        """That run may just have ended: then the next one's worker is tried."""
        right = client.right
        lab.wait("the run's end", lambda: client.wrong > before or client.right > right, 180)
        return client.wrong > before
    lab.wait(f"a run of {client.guest.name} that lost its worker", killed, 240)
    story.say(f"{client.guest.name}'s program ended with: {client.lines('wrong')[before].partition(': ')[2]}")
    wait_runs(lab, [client, *others], 1)
    story.say("its next run has a new session and right results")
    return all(c.wrong == seen[c] for c in others)


def play(story, lab):
    story.step("real Xen, dom0 and four guests start")
    story.say(lab.dom0.run("xl info | grep -E '^xen_version|^release' | sed 's/ *: */: /'").out.replace("\n", ", ") + "dom0 is up")
    daemon = vgpu.Pvgpud(lab).start()
    story.say("pvgpud serves the simulated GPU in dom0")
    guests = lab.create_all([c[0] for c in CLIENTS], [c[1] for c in CLIENTS], payload=True)
    clients = [Client(g, *c[2:]) for g, c in zip(guests, CLIENTS)]
    for c in clients:
        story.say(f"{c.guest.name:6} {c.guest.kind:4} domain {c.guest.domid}: will run {c.program} ({c.what})")
    story.step("each guest gets a vGPU, while it runs")
    attach_all(story, lab, clients)
    story.step("all four compute at once; the vGPUs as xenstore shows them:")
    for c in clients:
        c.start()
    for _ in range(2):
        wait_runs(lab, clients, 1)
        show(story, lab, clients)
    story.step("all four want the whole GPU: it is shared by their weights")
    fair = share(story, lab, daemon, clients)
    story.step("a vGPU is detached while its guest uses it")
    calm = detach_one(story, lab, clients[2], [c for c in clients if c is not clients[2]])
    rest = [c for c in clients if c is not clients[2]]
    story.step("a worker is killed in the middle of its work")
    calm &= kill_worker(story, lab, rest[0], rest[1:])
    show(story, lab, rest)
    story.step("the end: programs stop, vGPUs are detached, nothing stays")
    for c in rest:
        c.stop()
    pvgpuctl(lab, f"detach {rest[0].guest.name} --timeout 120")
    for c in rest[1:]:
        c.guest.destroy()
    clients[2].guest.destroy()
    rest[0].guest.destroy()
    lab.wait("the vGPUs of destroyed guests to go", lambda: not lab.store.tree("/local/domain/0/backend/pvgpu"), 120)
    memory = daemon.gpu_memory()[1]
    daemon.stop()
    left = [p for p in lab.processes() if "pvgpu" in p and "agent" not in p]
    story.say(f"left behind: {len(left)} processes in dom0, {memory:.0f} MiB of GPU memory, 0 vGPUs")
    if not calm:
        story.say("somebody else noticed: see the log")
    return clients, calm and fair and not left and not lab.complaints


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    args = ap.parse_args()
    if reason := machine.available():
        sys.exit(f"demo: {reason}")
    story = Story(8)
    print("pvgpu demo: four Xen guests, one GPU")
    story.step("images of Xen, dom0 and guests, from Debian packages (kept for the next time)")
    folder = images.build_images(args.build)
    log = Log(pathlib.Path(args.build).resolve() / "lab" / "demo")
    try:
        with machine.Machine(folder, machine.Boot(), log) as lab:
            lab.clock.deadline = time.monotonic() + LIMIT
            clients, good = play(story, lab)
    except (LabError, AssertionError) as e:
        sys.exit(f"\ndemo failed: {e}\nsee {log.folder}")
    total = sum(c.right for c in clients)
    print(f"\nIn {time.monotonic() - story.begun:.0f} s, on real Xen: four guests (PV and PVH) shared one GPU and ran {total} programs "
          f"with checked, right results:\n{', '.join(f'{c.guest.name} {c.right}' for c in clients)}. One vGPU was detached under load, "
          f"one worker was killed{': only' if good else '.'}\n"
          f"{'their own guests noticed' if good else 'Not all was as it should be, see above'}. What everybody said: {log.folder}")
    return 0 if good and min(c.right for c in clients) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
