#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the stages of stages.py, print the time of each and what it took of a processor, close with 'N passed, N failed'.

A stage is a list of commands. Each command's tests are counted from what it prints (libcheck's
"Checks: N, Failures: N, Errors: N", unittest's "Ran N tests", our own "N passed, N failed"); a command that prints
none of these counts as one test. A command that fails shows what its log says of each failed test (failures.py) and the end of the
log; the last thing that is printed names all of them with a few lines each. Stages of a lane run one after the other beside all that follow
them in the list, and are waited for at the end.
"""
import argparse
import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import failures
import stages as stage_list

CHECK = re.compile(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)")
UNITTEST = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)", re.M)
UNITTEST_SKIP = re.compile(r"skipped=(\d+)")
PLAIN = re.compile(r"(?:^|\s)(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")


def count(text, ok):
    """(passed, failed, skipped) that a command's output speaks of."""
    passed = failed = skipped = 0
    seen = False
    for m in CHECK.finditer(text):
        n, bad = int(m[1]), int(m[2]) + int(m[3])
        passed, failed, seen = passed + n - bad, failed + bad, True
    for m in UNITTEST.finditer(text):
        passed, seen = passed + int(m[1]), True
    for m in UNITTEST_BAD.finditer(text):
        bad = sum(int(x) for x in re.findall(r"(?:failures|errors)=(\d+)", m[1]))
        passed, failed = passed - bad, failed + bad
    for m in UNITTEST_SKIP.finditer(text):
        passed, skipped = passed - int(m[1]), skipped + int(m[1])
    for m in PLAIN.finditer(text):
        passed, failed, seen = passed + int(m[1]), failed + int(m[2]), True
        skipped += int(m[3] or 0)
    if not seen:
        passed, failed = (1, 0) if ok else (0, 1)
    elif not ok and failed == 0:
        failed = 1
    return passed, failed, skipped


running = set()  # process groups
starts = threading.Lock()  # held while a command begins, which is not in `running` yet
stopping = threading.Event()
SHOWN = 20       # failed tests of one command whose texts are shown


def wait(p, limit):
    """Wait for a command, end its process group after limit seconds; returns (exit status or None, processor seconds of
    all that it waited for)."""
    late = threading.Event()

    def end(sig):
        late.set()
        os.killpg(p.pid, sig)
    timers = [threading.Timer(limit, end, [signal.SIGTERM]), threading.Timer(limit + 10, end, [signal.SIGKILL])]
    for t in timers:
        t.daemon = True
        t.start()
    os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)  # the pid stays taken until no timer can use it
    for t in timers:
        t.cancel()
        t.join()
    running.discard(p.pid)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return None if late.is_set() else p.returncode, used.ru_utime + used.ru_stime


class Interrupt:
    """A signal ends the check with KeyboardInterrupt, but not while this thread begins a command: that would be left behind."""

    def __init__(self):
        self.beginning = self.late = False

    def __call__(self, sig, frame):
        if self.beginning:
            self.late = True
        else:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def deferred(self):
        """Only the main thread takes signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.beginning = True
        try:
            yield
        finally:
            self.beginning = False
        if self.late:
            raise KeyboardInterrupt


interrupt = Interrupt()


def begin(cmd, log):
    with interrupt.deferred(), starts:
        if stopping.is_set():
            sys.exit()  # ends a lane's thread
        p = subprocess.Popen(cmd, shell=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        running.add(p.pid)
    return p


def run_command(cmd, log, limit):
    """Run one shell command in a process group of its own; returns (ok, output, processor seconds)."""
    start = log.tell()
    log.write(f"$ {cmd}\n".encode())
    log.flush()
    begun = time.monotonic()
    p = begin(cmd, log)
    rc, used = wait(p, limit)
    if rc is None:
        log.write(f"\ncheck: stopped after {limit} s\n".encode())
    log.write(f"check: {time.monotonic() - begun:.0f} s, {used:.0f} s of a processor\n".encode())
    log.flush()
    with open(log.name, "rb") as f:
        f.seek(start)
        return rc == 0, f.read().decode(errors="replace"), used


def show(stage, cmd, text, found):
    """Print what a failed command's log says of its failed tests, and the log's end where it says nothing of any."""
    lines = [line for f in found[:SHOWN] for line in f.text()]
    if len(found) > SHOWN:
        lines.append(f"... {len(found) - SHOWN} more failures")
    if not found:
        lines = text.splitlines()[-40:]
    print(f"\n--- {stage.name}: failed: {cmd}\n" + "\n".join(lines) + "\n---", flush=True)


def run_stage(stage, logdir):
    """([passed, failed, skipped], seconds, processor seconds, [Failure])"""
    path = os.path.join(logdir, stage.name + ".log")
    total = [0, 0, 0]
    used = 0
    bad = []
    begun = time.monotonic()
    with open(path, "wb") as log:
        for cmd in stage.commands:
            if stopping.is_set():
                break
            ok, text, cpu = run_command(cmd, log, stage.limit)
            used += cpu
            for i, n in enumerate(count(text, ok)):
                total[i] += n
            if not ok:
                found = failures.find(text)
                show(stage, cmd, text, found)
                bad += found or [failures.Failure(cmd, text.splitlines()[-4:])]
                if stage.needed:
                    break
    return total, time.monotonic() - begun, used, bad


def end_all():
    """End the commands that run, which have sessions of their own: the terminal's key reaches none of them."""
    with starts:
        stopping.set()
    for group in list(running):
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(group, signal.SIGTERM)


class Lanes:
    """Stages of one lane run one after the other, each lane in a thread of its own."""

    def __init__(self, run):
        self.run, self.queues, self.threads = run, {}, []

    def add(self, stage):
        if stage.lane not in self.queues:
            q = self.queues[stage.lane] = queue.SimpleQueue()
            self.threads.append(threading.Thread(target=self.work, args=(q,), daemon=True))
            self.threads[-1].start()
        self.queues[stage.lane].put(stage)

    def work(self, q):
        while stage := q.get():
            self.run(stage)

    def drop(self):
        """Begin none of those that wait."""
        for q in self.queues.values():
            with contextlib.suppress(queue.Empty):
                while True:
                    q.get_nowait()

    def join(self):
        for q in self.queues.values():
            q.put(None)
        for t in self.threads:
            t.join()


def run_all(todo, logdir):
    """Rows of (stage, passed, failed, skipped, seconds, processor seconds, failures) in the order of the stages."""
    rows = {}

    def one(stage):
        (p, f, k), secs, cpu, bad = run_stage(stage, logdir)
        rows[stage.name] = (stage.name, p, f, k, secs, cpu, bad)
        name = f"{stage.name}: " if stage.lane else ""
        print(f"        {name}{p} passed, {f} failed in {secs:.0f} s" + (f", {k} skipped" if k else ""), flush=True)
        return f

    lanes = Lanes(one)
    for i, s in enumerate(todo, 1):
        print(f"[{i}/{len(todo)}] {s.name}: {s.what}" + (f" (beside the next ones, {s.lane})" if s.lane else ""), flush=True)
        if s.lane:
            lanes.add(s)
        elif one(s) and s.needed:
            print(f"check: {s.name} failed and the rest needs it", flush=True)
            lanes.drop()
            end_all()
            break
    lanes.join()
    return [rows[s.name] for s in todo if s.name in rows]


def summary(rows, seconds):
    """Print the table and, where something failed, what; returns the number of failed tests."""
    passed, failed, skipped = (sum(r[i] for r in rows) for i in (1, 2, 3))
    print(f"\n{'stage':16}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}{'cpu s':>9}")
    for name, p, f, k, secs, cpu, _ in rows:
        print(f"{name:16}{p:8}{f:8}{k:9}{secs:9.0f}{cpu:9.0f}")
    print(f"{'total':16}{passed:8}{failed:8}{skipped:9}{seconds:9.0f}{sum(r[5] for r in rows):9.0f}\n")
    # Last: a reader may have only the end of this.
    for name, *_, bad in rows:
        for f in bad[:SHOWN]:
            print(f"FAILED {name}: {f.name}\n" + "".join(f"    {line[:400]}\n" for line in failures.brief(f)), end="")
        if len(bad) > SHOWN:
            print(f"FAILED {name}: {len(bad) - SHOWN} more, see its log")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return failed


def write_json(path, rows, seconds):
    """The table, with a row for the whole, as tests/bench/results.py takes it."""
    table = [*rows, ("total", *(sum(r[i] for r in rows) for i in (1, 2, 3)), seconds, sum(r[5] for r in rows))]
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"rows": [{"stage": name, "passed": p, "failed": bad, "skipped": k, "seconds": round(secs), "cpu_s": round(cpu)}
                            for name, p, bad, k, secs, cpu, *_ in table]}, f, indent=1)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true", help="the long versions too")
    ap.add_argument("--list", action="store_true", help="name the stages and end")
    ap.add_argument("--logs", default="build/check", help="where the logs go (default %(default)s)")
    ap.add_argument("--json", metavar="FILE", help="write what was counted to FILE, for make results")
    ap.add_argument("stage", nargs="*", help="only these stages")
    args = ap.parse_args()
    todo = stage_list.stages(full=args.full)
    unknown = set(args.stage) - {s.name for s in todo}
    if unknown:
        ap.error("no such stage: " + ", ".join(sorted(unknown)))
    if args.stage:
        todo = [s for s in todo if s.name in args.stage]
    if args.list:
        for s in todo:
            print(f"{s.name:14} {s.what}")
        return 0
    os.environ.setdefault("WERROR", "1")  # a plain build may have a newer compiler, which warns of more
    os.makedirs(args.logs, exist_ok=True)
    if not args.full and not args.stage:
        print("make check takes 17 to 31 minutes on two cores", flush=True)
    begun = time.monotonic()
    for sig in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(sig, interrupt)  # the commands have sessions of their own: nobody else ends them
    try:
        rows = run_all(todo, args.logs)
    except KeyboardInterrupt:
        end_all()
        print("check: interrupted", flush=True)
        return 130
    seconds = time.monotonic() - begun
    if args.json:
        write_json(args.json, rows, seconds)
    return 1 if summary(rows, seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
