# SPDX-License-Identifier: MIT
"""One item of a stage, in a process of its own with a time limit. Whatever it does, its row is all that it costs."""
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback

import stage as stages

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_S = 5      # to clean up, for an item whose time is over


class Ended(BaseException):
    """In an item's process: its time is over, or the run is ended."""


adopts = False   # the kernel makes this process the parent of those whose own has ended


def prctl(option, value):
    return ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0


def adopt():
    global adopts
    adopts = prctl(PR_SET_CHILD_SUBREAPER, 1)


def one_line(error):
    text = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, (stages.Failed, stages.Absent))
    return (text if known else f"{type(error).__name__}: {text}")[:500]


def parents():
    """pid -> parent's pid, of all processes; those that have ended are left out."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            found[int(pid)] = int(parent)
    return found


def marked(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return f"{stages.MARK}={os.environ[stages.MARK]}".encode() in f.read().split(b"\0")
    except (OSError, KeyError):
        return False


def descendants():
    """All that this process has started, directly or not, also where its parent is gone: this process is their parent then.
    Where a sandbox does not know that the mark in their environment tells."""
    tree = parents()
    mine, more = set(), {os.getpid()}
    while more:
        more = {pid for pid, parent in tree.items() if parent in more} - mine
        mine |= more
    return mine if adopts else mine | {pid for pid in tree if pid != os.getpid() and pid not in mine and marked(pid)}


def end_all(limit_s=10.0):
    """Every descendant; the number of those that do not end, as one that hangs in the driver may."""
    end = time.monotonic() + limit_s
    while True:
        left = descendants()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        reap()
        if not left or time.monotonic() > end:
            return len(left)
        select.select([], [], [], 0.01)


def reap():
    """Those that have ended and whose parent this process has become."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class Child:
    """The item's process as the run sees it."""

    def __init__(self, item, make_context, log_path):
        self.values, self.verdicts, self.files, self.end = {}, {}, {}, None
        self.status = None           # of waitpid
        self.rest = b""
        sys.stdout.flush()
        sys.stderr.flush()
        self.read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read_end)
            self._be_child(item, make_context, write_end, log_path)
        os.close(write_end)

    @staticmethod
    def _be_child(item, make_context, pipe, log_path):
        """Never returns."""
        def tell(**what):
            data = json.dumps(what, default=str).encode() + b"\n"
            while data:
                data = data[os.write(pipe, data):]

        def ended(*_):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Ended()
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, ended)
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            for fd, path, flags in ((0, "/dev/null", os.O_RDONLY), (1, log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
                got = os.open(path, flags, 0o644)
                os.dup2(got, fd)
                os.close(got)
            os.dup2(1, 2)
            context = make_context(tell)
            for name in item.needs:
                context.path(name)
            values = item.function(context)
            tell(end="ok", values=values or {})
        except stages.Absent as e:
            tell(end="absent", why=one_line(e))
        except Ended:
            tell(end="ended")
        except BaseException as e:  # pylint: disable=broad-except
            traceback.print_exc()
            tell(end=e.status if isinstance(e, stages.Failed) else "failed", why=one_line(e))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def hear(self, say):
        """What it has said since; False: it says nothing more."""
        data = os.read(self.read_end, 1 << 16)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            what = json.loads(line)
            self.values.update(what.get("keep") or {})
            if "verdict" in what:
                name, verdict, detail = what["verdict"]
                if self.verdicts.get(name, {}).get("verdict") != stages.FAILS:
                    self.verdicts[name] = {"verdict": verdict, "detail": detail}
            if "leave" in what:
                self.files.update([what["leave"]])
            if "say" in what:
                say(what["say"])
            if "end" in what:
                self.end = what
                self.values.update(what.get("values") or {})
        return bool(data)

    def poll(self):
        """Whether the process has ended."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # end_all() has met it
                pid, status = self.pid, 0
            if pid:
                self.status = status
        return self.status is not None

    def watch(self, limit_s, say, tick, stopping):
        """Until it has ended, its time is over or the run is stopped: None, "timeout" or "stopped"."""
        deadline = time.monotonic() + limit_s
        why, listening = None, True
        while not self.poll() or listening:
            now = time.monotonic()
            if why is None and (stopping() or now > deadline):
                why = "stopped" if stopping() else "timeout"
                deadline = now + GRACE_S
                os.kill(self.pid, signal.SIGTERM)
            elif why is not None and now > deadline:
                break
            ready = select.select([self.read_end] if listening else [], [], [], 0.05)[0]
            if ready:
                listening = self.hear(say)
            elif self.poll():
                # A process that it has left behind may hold the pipe open.
                break
            tick()
        return why


def run(item, make_context, log_path, limit_s, say=print, tick=lambda: None, stopping=lambda: False):
    """make_context: (tell, scratch folder) -> Context. The item's row; "files" in it are texts that it leaves."""
    begin = time.monotonic()
    scratch = tempfile.mkdtemp(prefix="pvgpu-kit-")
    child = Child(item, lambda tell: make_context(tell, scratch), log_path)
    why = child.watch(limit_s, say, tick, stopping)
    stuck = end_all()
    child.poll()
    os.close(child.read_end)
    shutil.rmtree(scratch, ignore_errors=True)
    row = {"name": item.name, "status": "", "seconds": round(time.monotonic() - begin, 2), "values": child.values}
    if why == "stopped":
        row.update(status="skipped", why="the run was ended here")
    elif why == "timeout":
        row.update(status="timeout", why=f"did not end in {limit_s:.3g} s")
    elif child.end:
        row.update(status=child.end["end"], **({"why": child.end["why"]} if child.end.get("why") else {}))
    else:
        signalled = child.status is not None and os.WIFSIGNALED(child.status)
        name = signal.Signals(os.WTERMSIG(child.status)).name if signalled else "no word"
        row.update(status="crashed", why=f"its process ended with {name}")
    row.update({k: v for k, v in (("assumptions", child.verdicts), ("files", child.files)) if v})
    if stuck:
        row["why"] = "; ".join(filter(None, [row.get("why"), f"{stuck} processes of it do not end"]))
    return row
