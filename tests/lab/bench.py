#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Count the costs of the data path on real Xen; see docs/performance.md. Writes BUILD/bench-lab.json.

Nothing is timed: inside an emulator time means nothing. pvgpu.ko's counters are compared with the interrupts that the
guest's and dom0's kernels count and with the hypercalls that Xen traces. Both sides poll for a number of rounds, not a time.
"""
import argparse
import json
import pathlib
import re
import struct
import sys

import images
import machine
import vgpu
from channel import LabError
from run import Log

# The machine's CPUs, and the rounds of polling before a sleep. PVH guests need one CPU (docs/lab.md); then a poll ends when
# Xen lets the other side run.
SETTINGS = {"pv": (2, "100000"), "pvh": (1, "20000000")}
LIMIT = 1500
TRACE = "/run/trace"
COPIES = "/run/copies"
STATISTICS = "cd /sys/bus/xen/devices/pvgpu-0/statistics && grep . *"
BENCH = f"{vgpu.TOP}/tests/lab-bench"
# Of Xen's trace records.
TRACED = "0x0022f000"          # those of PV guests and of the scheduler
RUNSTATE, RUNNING = 0x00021001, 0
CPU_CHANGE = 0x0001F003
PV_HYPERCALL = 0x0020100D
EVENT_CHANNEL_OP = 32


class Bench:
    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.rows = []
        self.bad = 0

    def row(self, name, value, unit, reference, ratio=None, most=None):
        self.rows.append({"name": name, "value": value, "unit": unit, "reference": reference, "ratio": ratio,
                          "target": None if most is None else f"<= {most}"})
        shown = value if ratio is None else ratio
        verdict = "" if most is None else "ok" if shown <= most else "MISSED"
        self.bad += verdict == "MISSED"
        number = f"{value:.2f}" if isinstance(value, float) else str(value)
        print(f"{name:30}{number:>12} {unit:14}{'' if most is None else f'<= {most}':>8} {verdict:7}{reference}", flush=True)


class Work:
    """lab-bench in a guest, with its two stops."""

    def __init__(self, guest, what, env=""):
        # The last session's memory is returned when its worker has ended.
        guest.machine.wait("the end of the last session", lambda: guest.run(
            "cat /sys/bus/xen/devices/pvgpu-0/sessions", quiet=True).out.strip() == "0")
        poll = SETTINGS[guest.kind][1]
        self.process = guest.start(f"{env} LD_LIBRARY_PATH={vgpu.TOP}/lib PVGPU_POLL_ITERATIONS={poll} {BENCH} {what}")
        self.process.wait_output("^ready$", 180)

    def go(self):
        self.process.write("go\n")
        self.process.wait_output("^done$", 600)

    def end(self):
        self.process.write("end\n")
        r = self.process.wait(180)
        out = r.out.decode(errors="replace") if isinstance(r.out, bytes) else r.out
        if r.status or "right" not in out:
            raise LabError(f"lab-bench: {out.strip()} {r.err}")
        return out


def counters(guest):
    return {k: int(v) for k, v in re.findall(r"^(\w+):(\d+)$", guest.run(STATISTICS, quiet=True).out, re.M)}


def interrupts(place, name):
    """/proc/interrupts: line -> number, of those whose name matches."""
    found = {}
    for line in place.run("cat /proc/interrupts", quiet=True).out.splitlines():
        words = line.split()
        if len(words) > 2 and re.search(name, words[-1]):
            found[words[0]] = sum(int(w) for w in words[1:-1] if w.isdigit())
    return found


def grown(before, after):
    """The sum of the increases of lines that are in both."""
    return sum(after[k] - before[k] for k in after if k in before)


def hypercalls(data, domid):
    """The domain's hypercalls in Xen's trace: op -> number."""
    at, cpu, running, found = 0, 0, {}, {}
    while at + 4 <= len(data):
        head, = struct.unpack_from("<I", data, at)
        at += 4
        event, extra, cycles = head & 0x0FFFFFFF, head >> 28 & 7, head >> 31
        at += 8 * cycles
        words = struct.unpack_from(f"<{extra}I", data, at) if at + 4 * extra <= len(data) else ()
        at += 4 * extra
        if event == CPU_CHANGE and words:
            cpu = words[0] & 0xFFFF
        elif event & ~0xFF0 == RUNSTATE & ~0xFF0 and words:
            who = words[0] >> 16
            if event >> 4 & 0xF == RUNNING:
                running[cpu] = who
            elif running.get(cpu) == who:
                running[cpu] = None
        elif event & ~0x100 == PV_HYPERCALL and words and running.get(cpu) == domid:
            op = words[0] & 0xFFFFF
            found[op] = found.get(op, 0) + 1
    return found


def traced(lab, domid, work):
    """Do the work under xentrace."""
    tracer = lab.dom0.start(f"exec xentrace -D -S 2048 -e {TRACED} {TRACE}", quiet=True)
    lab.wait("the trace", lambda: lab.dom0.run(f"[ -e {TRACE} ] && pidof xentrace", check=False, quiet=True).status == 0)
    work.go()
    pid = lab.dom0.run("pidof xentrace", quiet=True).out.split()[0]
    lab.dom0.run(f"kill -INT {pid}", quiet=True)
    tracer.wait(60)
    data = lab.dom0.get_file(TRACE)
    lab.dom0.run(f"rm {TRACE}", quiet=True)
    return hypercalls(data, domid)


def notified(b, lab, guest, what, n, calls, most, hyper):
    """Notifications and hypercalls of one streamed or awaited run."""
    work = Work(guest, f"{what} {n}")
    before = counters(guest), interrupts(lab.dom0, "pvgpu"), interrupts(guest, "session")
    ops = None
    if guest.kind == "pv":
        ops = traced(lab, guest.domid, work)
    else:
        work.go()
    after = counters(guest), interrupts(lab.dom0, "pvgpu"), interrupts(guest, "session")
    work.end()
    moved = {k: after[0][k] - before[0][k] for k in after[0]}
    kind, of = guest.kind, f"{n} {calls}, {guest.kind}"
    to_worker, to_guest = moved["notifications"], moved["doorbells"]
    b.row(f"{what}_notifications_{kind}", to_worker + to_guest, "events",
          f"{of}: to the worker {to_worker}, to the guest {to_guest}", most=most)
    if hyper:
        b.row(f"{what}_hypercalls_{kind}", moved["hypercalls"], "hypercalls", f"{of}: of pvgpu.ko", most=hyper)
    dom0, own = grown(before[1], after[1]), grown(before[2], after[2])
    b.row(f"{what}_interrupts_{kind}", dom0 + own, "interrupts",
          f"{of}: as dom0's kernel ({dom0}) and the guest's ({own}) count them")
    if ops is not None:
        b.row(f"{what}_xen_events_{kind}", ops.get(EVENT_CHANNEL_OP, 0), "hypercalls",
              f"{of}: event_channel_op of the whole guest, as Xen traced; all hypercalls: {sum(ops.values())}")


def copies(place, folder):
    """Bytes copied by each object, over all processes."""
    total = {}
    out = place.run(f"cat {folder}/[0-9]* 2>/dev/null", check=False, quiet=True).out
    for name, n in re.findall(r"^(\S+) +(\d+)$", out, re.M):
        total[name] = total.get(name, 0) + int(n)
    return total


def copied(b, lab, guest, size):
    """How often pvgpu copies each byte of a pageable copy, without the copies of the worker's libcuda."""
    guest.run(f"mkdir -p {COPIES}", quiet=True)
    for what in ("htod", "dtoh"):
        work = Work(guest, f"{what} {size}", f"LD_PRELOAD={vgpu.TOP}/tests/lab-copies.so COPIES_DIR={COPIES}")
        before = copies(guest, COPIES), copies(lab.dom0, COPIES)
        work.go()
        after = copies(guest, COPIES), copies(lab.dom0, COPIES)
        work.end()
        ours = {}
        for x, y in zip(before, after):
            for name in y:
                if "simcuda" not in name:
                    ours[name] = ours.get(name, 0) + y[name] - x.get(name, 0)
        ours = {k.rpartition("/")[2]: v for k, v in ours.items() if v}
        ratio = round(sum(ours.values()) / size, 2)
        b.row(f"pageable_{what}_copies_{guest.kind}", ratio, "per byte",
              f"{size >> 20} MiB, {guest.kind}, beyond libcuda's own: " +
              ", ".join(f"{k} {v / size:.2f}" for k, v in sorted(ours.items())), ratio, most=2)


def memory_of(guest):
    """Bytes of memory in use in the guest."""
    guest.run("echo 3 > /proc/sys/vm/drop_caches", quiet=True)
    return -int(re.search(r"^MemFree: +(\d+)", guest.run("cat /proc/meminfo", quiet=True).out, re.M)[1]) * 1024


def idle_sessions(b, guest, n):
    work = Work(guest, f"sessions {n}")
    before = memory_of(guest)
    work.go()
    used = memory_of(guest) - before
    out = work.end()
    ring = int(re.search(r"ring (\d+)", out)[1])
    beyond = (used / n - ring) / 1024
    b.row(f"idle_session_kib_{guest.kind}", beyond, "KiB", f"a session's share of {n}, {guest.kind}: beyond the ring's "
          f"{ring >> 10} KiB, with the process's page tables", most=64)


def measure(b, lab, kind):
    lab.dom0.run(f"mkdir -p {COPIES}")
    daemon = vgpu.Pvgpud(lab, env={"PVGPU_POLL_ITERATIONS": SETTINGS[kind][1], "COPIES_DIR": COPIES,
                                   "LD_PRELOAD": f"{vgpu.TOP}/tests/lab-copies.so"}).start()
    guest = lab.create(kind, kind, memory=256, payload=True)
    v = daemon.attach(guest)
    notified(b, lab, guest, "launches", 10000, "streamed launches", 20, 50)
    notified(b, lab, guest, "awaited", 1000, "awaited calls", 20, None)
    copied(b, lab, guest, 8 << 20)
    idle_sessions(b, guest, 16)
    v.detach()
    guest.destroy()
    daemon.stop()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--out", help="where the list goes (default BUILD/bench-lab.json)")
    args = ap.parse_args()
    if reason := machine.available():
        sys.exit(f"lab: {reason}")
    b = Bench(args.build)
    folder = images.build_images(args.build)
    log = Log(b.build / "lab" / "bench")
    print(f"{'name':30}{'value':>12} {'unit':14}{'target':>8}")
    try:
        for kind, (cpus, _) in SETTINGS.items():
            with machine.Machine(folder, machine.Boot(cpus=cpus), log) as lab:
                lab.clock.deadline = lab.clock.passed() + LIMIT
                measure(b, lab, kind)
    except (LabError, AssertionError) as e:
        sys.exit(f"bench-lab failed: {e}\nsee {log.folder}")
    out = args.out or b.build / "bench-lab.json"
    with open(out, "w", encoding="utf-8") as f:
        json.dump(b.rows, f, indent=1)
    print(f"\nwritten to {out}")
    return 1 if b.bad else 0


if __name__ == "__main__":
    sys.exit(main())
