#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four Xen guests share one GPU: real Xen, dom0 and guests in an emulated machine.

Two PV and two PVH guests get a vGPU each, with different weights, and run different CUDA programs at the same time; every
program checks its results against a computation of its own. On the way all four ask for the whole GPU, one vGPU is detached
while its guest uses it, and one worker is killed. The emulated machine has no GPU, so the one that is shared is the simulated
one (PTX on the CPU).

The shares are the scheduler's work, not that of the emulator's one CPU: while they are counted the four programs pause, and the
GPU's time is taken by kernels that sleep (device time, hardly any CPU time), with many of them queued. The GPU is exclusive: kernels
that end late delay the others and do not overlap with theirs, and a guest's GPU time and waiting time are together the time in
which it had work. shares.py says over which span the simulated GPU's account is read, and when it is a verdict. A wrong share is a
failure; shares that cannot be measured, because this machine is too busy, are none.
"""
import argparse
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
os.environ.setdefault("LAB_PATIENCE", "3")  # of the lab's time limits: this machine may have other work
import images  # noqa: E402
import machine  # noqa: E402
import shares  # noqa: E402
import vgpu  # noqa: E402
from channel import PATIENCE, LabError, short  # noqa: E402
from progress import Heartbeat  # noqa: E402
from run import Log  # noqa: E402

LIMIT = 3600                # seconds for all; beside much other work it takes many times as long as alone
# Kernels that sleep for 150 ms each, at one go, 64 of them queued. From one's end to the next one's begin the emulated processor takes 15 to 30 ms.
BUSY = "occupy 1000000000 150000 64 1 150000"
LOOK = 4.0                  # seconds between two looks at what everybody got; one takes a third of a second of the only processor
ATTEMPTS = 2                # to measure shares
BEGIN_LIMIT = 180           # seconds until a span may begin
SPAN_LIMIT = 180            # seconds of a span
# pvgpud's limits, for an emulator that other work on this machine may hold up for seconds.
PATIENT = {"open_timeout_ms": "60000", "worker_start_timeout_ms": "300000", "worker_grace_ms": "15000",
           "canary_limit_ms": "120000"}
CTL = f"{vgpu.TOP}/bin/pvgpuctl"
CLIENTS = [  # guest, kind, weight, memory, program with its arguments, what it is
    ("alice", "pv", 100, "128M", "matmul 32", "tiled matrix product"),
    ("bob", "pvh", 200, "128M", "nbody 32 2", "n-body in double precision"),
    ("carol", "pv", 100, "64M", "histogram 5000", "atomic histogram"),
    ("dave", "pvh", 400, "256M", "scan 2000", "prefix sum"),
]
# Runs the program again and again until told to stop, and none while told to pause; a line for each run.
LOOP = """i=0
while [ ! -e /run/stop ]; do
    if [ -e /run/pause ]; then
        echo "paused $i"
        while [ -e /run/pause ]; do sleep 1; done
    fi
    i=$((i + 1))
    if out=$({program} 2>&1); then echo "right $i"; else echo "wrong $i: $(echo "$out" | tail -n 1)"; fi
done
echo stopped"""


class Story(Heartbeat):
    """What the reader sees: numbered steps with the time since the beginning, and what goes on in long ones."""

    def __init__(self, steps):
        super().__init__(lambda: self.doing())
        self.steps, self.at, self.doing = steps, 0, lambda: "starts"

    def step(self, text):
        self.at += 1
        self.tell(f"\n[{self.at}/{self.steps}] {time.monotonic() - self.begun:3.0f} s  {text}")

    def say(self, text):
        self.tell("\n".join(f"      {line}" for line in text.rstrip("\n").split("\n")))


class Diary(Log):
    """The log of the emulated machine, which remembers its last entry that is no output of a command."""
    last = "the emulated machine boots"

    def __call__(self, text):
        super().__call__(text)
        entry = text.partition("] ")[2]
        if entry and not entry.startswith(" "):
            self.last = short(entry, 90)


class Stage(machine.Machine):
    """The emulated machine, whose diary names what is waited for."""

    def wait(self, what, condition, limit=60):
        self.log.last = f"waits for {what}"
        return super().wait(what, condition, limit)


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

    @property
    def pauses(self):
        return len(self.lines("paused"))

    def stop(self):
        self.guest.run("touch /run/stop")
        self.loop.wait(180)


def pvgpuctl(lab, words, check=True):
    return lab.dom0.run(f"{CTL} {words}", check=check, limit=180).out


def show(story, lab, clients):
    story.say("$ pvgpuctl list")
    story.say(pvgpuctl(lab, "list"))
    story.say("program runs that ended with right results so far: " + ", ".join(f"{c.guest.name} {c.right}" for c in clients))


def attach_all(story, lab, clients):
    for c in clients:
        words = f"attach {c.guest.name} --memory {c.memory} --weight {c.weight}"
        story.say(f"$ pvgpuctl {words}")
        pvgpuctl(lab, words + " --timeout 120")
    for c in clients:
        c.guest.run("ls /dev/pvgpu0 && grep '^pvgpu ' /proc/modules")
    story.say("in each guest the driver pvgpu.ko has loaded by itself, and there is /dev/pvgpu0 now")


def wait_runs(lab, clients, more):
    """Until each of them has made so many more right runs."""
    goal = {c: c.right + more for c in clients}
    lab.wait("right results in all guests", lambda: all(c.right >= goal[c] for c in clients), 300)


def pause(lab, clients, yes):
    """The clients' programs: run no further one, or go on."""
    seen = {c: c.pauses for c in clients}
    for c in clients:
        c.guest.run("touch /run/pause" if yes else "rm /run/pause")
    if yes:
        lab.wait("the programs to pause", lambda: all(c.pauses > seen[c] for c in clients), 180)


def look(lab, clients):
    """What each guest has used up to now."""
    command = f"{vgpu.TOP}/tests/simcuda-top {vgpu.GPU} && cat /proc/uptime && {CTL} --run-dir {vgpu.RUN_DIR} tree /vgpu"

    def ask():
        r = lab.dom0.run(command, check=False, quiet=True)
        return r.status == 0 and r.out  # or pvgpud, starved of CPU, did not answer in pvgpuctl's time
    seen = shares.parse(lab.wait("pvgpud to answer", ask, 180))
    named = shares.Look(seen.at, {c.guest.name: seen.used[c.guest.domid] for c in clients})
    lab.log(f"    {named}")
    return named


def until(lab, loads, clients, looks, enough, limit):
    """Look again and again until it is enough, or the limit (seconds) is over."""
    end = lab.clock.passed() + limit * PATIENCE
    while not enough() and lab.clock.passed() < end:
        lab.pause(LOOK)
        for load in loads:
            load.check()
        looks.append(look(lab, clients))


def measure(story, lab, clients, loads):
    """The verdict on the shares. The span of an attempt is chosen before it is looked at."""
    weights = {c.guest.name: c.weight for c in clients}
    looks = [look(lab, clients)]
    for attempt in range(1, ATTEMPTS + 1):
        until(lab, loads, clients, looks, lambda: shares.may_begin(looks, weights), BEGIN_LIMIT)
        begin = len(looks) - 1
        story.say(f"measured over the next {shares.SPAN:.0f} s of GPU time, by the simulated GPU's own account:")
        story.doing = lambda: f"{shares.total(looks[begin], looks[-1]):.0f} of {shares.SPAN:.0f} s of GPU time"
        until(lab, loads, clients, looks, lambda: shares.total(looks[begin], looks[-1]) >= shares.SPAN, SPAN_LIMIT)
        story.doing = lambda: lab.log.last
        found = shares.verdict(looks, begin, weights)
        if not found.unmeasured:
            break
        story.say(f"could not measure shares: {found.unmeasured}" + ("; once more" if attempt < ATTEMPTS else ""))
    return found


def share(story, lab, clients):
    """All keep the GPU busy: who gets how much of it, and what pvgpud shows meanwhile. Returns the verdict."""
    pools = "/local/domain/0/data/pvgpu/pools"
    pause(lab, clients, True)
    lab.store.write(pools, "default mode=exclusive slice_ms=30")    # the emulator is slow: long turns
    loads = [vgpu.Load(c.guest, BUSY) for c in clients]
    found = measure(story, lab, clients, loads)
    story.say("$ pvgpuctl list")
    story.say(pvgpuctl(lab, "list"))
    if not found.unmeasured:
        weights = sum(c.weight for c in clients)
        story.say(f"{'guest':8}{'weight':>8}{'promised':>14}{'got':>14}")
        for c in clients:
            story.say(f"{c.guest.name:8}{c.weight:8}{c.weight / weights:14.1%}{found.shares[c.guest.name]:14.1%}")
    if found.wrong:
        story.say(f"WRONG: {', '.join(found.wrong)} had work all the time, and not what the weights promise within {100 * shares.NEAR:.0f} points")
    for load in loads:
        load.kill()
    lab.dom0.run(f"xenstore-rm {pools}")
    pause(lab, clients, False)
    return found


def detach_one(story, lab, client, others):
    seen = {c: c.wrong for c in others}
    before = client.wrong
    lab.wait(f"{client.guest.name}'s program to use the GPU", lambda: workers(lab, client), 120)
    story.say(f"$ pvgpuctl detach {client.guest.name}")
    pvgpuctl(lab, f"detach {client.guest.name} --timeout 120")
    lab.wait(f"{client.guest.name}'s program to notice", lambda: client.wrong > before, 120)
    story.say(f"{client.guest.name}'s program ended with an error: {client.lines('wrong')[before].partition(': ')[2]}")
    client.stop()
    wait_runs(lab, others, 1)
    return unmoved(story, seen)


def unmoved(story, seen):
    """Say whether other guests' programs, with their number of errors before, have had none since."""
    bad = [c.guest.name for c, wrong in seen.items() if c.wrong > wrong]
    if bad:
        story.say(f"a program of {', '.join(bad)} failed, too: {', '.join(seen_error(c) for c in seen if c.guest.name in bad)}")
    else:
        story.say(f"the programs of {', '.join(c.guest.name for c in seen)} went on with right results")
    return not bad


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
    story.say(f"{client.guest.name}'s program ended with an error: {client.lines('wrong')[before].partition(': ')[2]}")
    wait_runs(lab, [client, *others], 1)
    story.say("its next run got a new worker, and right results")
    return unmoved(story, seen)


def play(story, lab):
    xen, linux = (lab.dom0.run(f"xl info {key}").out.strip() for key in ("xen_version", "release"))
    story.say(f"Xen {xen} runs, and dom0, the domain that controls it, with Linux {linux}")
    daemon = vgpu.Pvgpud(lab, **PATIENT).start()
    story.say("pvgpud, pvgpu's daemon, runs in dom0 and serves the GPU")
    guests = lab.create_all([c[0] for c in CLIENTS], [c[1] for c in CLIENTS], payload=True)
    clients = [Client(g, *c[2:]) for g, c in zip(guests, CLIENTS)]
    for c in clients:
        story.say(f"{c.guest.name + ',':6} a {c.guest.kind.upper() + ' guest,':10} will run the CUDA program "
                  f"'{c.program}': {c.what}")
    story.step("each guest gets a vGPU of its own, while it runs")
    attach_all(story, lab, clients)
    story.step("each guest runs its program again and again, all four at once")
    for c in clients:
        c.start()
    wait_runs(lab, clients, 1)
    show(story, lab, clients)
    story.step("each guest has work for the whole GPU, all the time: it is shared by their weights")
    found = share(story, lab, clients)
    story.step(f"{clients[2].guest.name}'s vGPU is detached while a program uses it")
    calm = detach_one(story, lab, clients[2], [c for c in clients if c is not clients[2]])
    rest = [c for c in clients if c is not clients[2]]
    story.step(f"{rest[0].guest.name}'s worker, the process in dom0 that does its program's work on the GPU, is killed")
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
    story.say(f"left behind in dom0: {len(left)} processes, {memory:.0f} MiB of GPU memory, 0 vGPUs")
    return clients, found, calm and not left and not lab.complaints


def keep_logs(lab):
    lab.clock.deadline = time.monotonic() + 60 * PATIENCE
    try:
        for keeper in [*lab.guests.values(), *lab.keepers]:
            keeper.keep_logs()
    except LabError as e:
        lab.say(f"not all logs could be kept: {e}")
    lab.log.save("console", bytes(lab.console).decode(errors="replace"))


def images_so_far(lab):
    """What there is of the images, for a reader who waits for them."""
    files = sum(len(names) for _, _, names in os.walk(lab / "root"))
    made = len(list(lab.glob("images/*")))
    return f"{len(list(lab.glob('cache/*.deb')))} packages downloaded, {files} files unpacked, {made} of 5 images made"


def fate(found):
    """The last words on the shares."""
    if found.unmeasured:
        return f"Shares were not measured: {found.unmeasured}."
    return "Shares were WRONG, see above." if found.wrong else "Each got the share of the GPU that its weight promises."


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    args = ap.parse_args()
    if reason := machine.available():
        sys.exit(f"demo: {reason}")
    with Story(8) as story:
        return perform(story, pathlib.Path(args.build).resolve())


def perform(story, build):
    """The images and the play; returns the exit status."""
    story.doing = lambda: images_so_far(build / "lab")
    story.step("images of Xen, dom0 and guests, from Debian packages (kept for the next time)")
    folder = images.build_images(build)
    log = Diary(build / "lab" / "demo")
    story.doing = lambda: log.last
    story.step("real Xen, dom0 and four guests start")
    try:
        with Stage(folder, machine.Boot(), log) as lab:
            lab.clock.deadline = time.monotonic() + LIMIT
            try:
                clients, found, good = play(story, lab)
            finally:
                keep_logs(lab)
    except (LabError, AssertionError) as e:
        sys.exit(f"\ndemo failed: {e}\nsee {log.folder}")
    right = sum(c.right for c in clients)
    story.tell(f"\nIn {time.monotonic() - story.begun:.0f} s, on real Xen: four guests (PV and PVH) shared one GPU and ran {right} programs "
               f"with right results:\n{', '.join(f'{c.guest.name} {c.right}' for c in clients)}. One vGPU was detached under load and one "
               f"worker was killed.\n{'Only the guests that they belonged to noticed.' if good else 'Not all was as it should be, see above.'} "
               f"{fate(found)}\nAll logs are in {log.folder}")
    return 0 if good and not found.wrong and min(c.right for c in clients) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
