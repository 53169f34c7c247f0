# SPDX-License-Identifier: MIT
"""More and more sessions: what each takes of the device's and the host's memory, how long its start takes, and what fails
first. Natively, as plain processes, and through pvgpu."""
import statistics

from meters import MeterError, Meters
from nvml import Nvml, NvmlError
from pvgpu_env import wait_for
from stage import Failed, Item, Stage

STAGE = Stage("density", "1 to 100 sessions: memory and start of each, the first failure", limit_s=180, needs=["tests/gpu-meter"])
STEPS = (1, 2, 8, 32, 64, 100)
AT_ONCE = 4


def items(ctx):
    yield Item("sessions", sessions("pvgpu"), limit_s=120)
    yield Item("processes", sessions("native"), limit_s=90)
    for n in (8, 2, 1):
        yield Item(f"connections_{n}", connections(n), limit_s=30)
    yield Item("stack", stack, limit_s=30)


# ---- memory ----

def pss(pid):
    """Bytes of the host's memory that a process has, what it shares counted in part; where the system does not say that,
    all that it has resident. None: it has gone."""
    for name, key in (("smaps_rollup", "Pss:"), ("smaps", "Pss:"), ("status", "VmRSS:")):
        try:
            with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as f:
                found = [int(line.split()[1]) for line in f if line.startswith(key)]
        except (OSError, ValueError):
            continue
        if found:
            return sum(found) * 1024
    return None


def pss_of(pids):
    return [b for b in map(pss, pids) if b is not None]


class Device:
    """How much of the device's memory is in use: by NVML, or by what a process of the kit's own is told."""

    def __init__(self, ctx, env, meters):
        self.observer = meters.open()
        try:
            self.nvml = Nvml(ctx.nvml, env.sim) if ctx.nvml else None
        except NvmlError:
            self.nvml = None

    def used(self):
        """By both: {"cuda": ..., "nvml": ...} in bytes."""
        said = self.observer.do("memory")
        used = {"cuda": said["total_bytes"] - said["free_bytes"]}
        try:
            if self.nvml:
                used["nvml"] = self.nvml.memory()["used"]
        except NvmlError:
            self.nvml = None
        return used


def more(now, before):
    return {k: now[k] - before[k] for k in now if k in before}


# ---- items ----

def daemon(ctx, most, **kw):
    return ctx.pvgpu(vgpus={"vgpu0": f"memory=0,max_sessions={most + 8}"},
                     settings={"spare_workers": 1 if ctx.quick else AT_ONCE}, **kw)


def serving(env):
    return [int(s["pid"]) for s in env.sessions().values()]


def spares(env):
    """Until as many wait as there were in the beginning: theirs is device memory, too."""
    want = int(env.settings["spare_workers"])
    try:
        wait_for("spare workers", lambda: int(env.read("/daemon/spare-workers")) >= want, 20)
    except TimeoutError:
        pass  # one that does not start is what a session's failure tells


def sessions(side):
    """Up to the last step, or the first that fails: which is pvgpu's failure, and of plain processes something to know."""
    def measure(ctx):
        steps = [n for n in STEPS if n <= (8 if ctx.quick else STEPS[-1])]
        name = "vgpu0" if side == "pvgpu" else None
        why, all_ = None, []
        with daemon(ctx, steps[-1]) as env, Meters(ctx, env) as meters:
            device = Device(ctx, env, meters)
            spares(env)
            first = device.used()
            ctx.keep(observed_bytes=first["cuda"], pvgpud_bytes=pss(env.pid) or -1)
            for n in steps:
                if ctx.remaining() < 30 and n > 8:
                    ctx.keep(not_tried=n)
                    break
                try:
                    grow(meters, all_, name, n)
                except MeterError as e:
                    why = failure(ctx, env, all_, e)
                    break
                look(ctx, env, device, first, all_, name, n)
            ctx.keep(most=len(all_))
            for m in [m for m in meters.all if m not in all_ and m is not device.observer]:
                meters.kill(m)
            meters.close(all_)
            given_back(ctx, env, device, first, name)
        if why and name:
            raise Failed(why)

    return measure


def grow(meters, all_, name, n):
    """Some at the same time, until there are n; how long its start took is kept with each."""
    while len(all_) < n:
        part = [meters.begin(name) for _ in range(min(AT_ONCE if len(all_) >= 2 else 1, n - len(all_)))]
        for m in part:
            m.start_ns = meters.opened(m)["start_ns"]
            all_.append(m)


def failure(ctx, env, all_, e):
    """Of session N+1: what it said, and pvgpud."""
    lines = [line for line in env.log_tail(60).splitlines() if any(w in line for w in ("error", "warning", "failed", "did not"))]
    ctx.keep(first_failure=len(all_) + 1, first_failure_text=str(e), first_failure_log=lines[-5:])
    return f"session {len(all_) + 1}: {e}"


def look(ctx, env, device, first, all_, name, n):
    if name:
        spares(env)
    used = more(device.used(), first)
    starts = [m.start_ns for m in all_[-max(1, n // 2):]]
    values = {f"device_{k}_bytes_each": v // n for k, v in used.items()}
    values.update(start_p50_ns=statistics.median(starts), start_max_ns=max(starts))
    clients = pss_of(m.pid for m in all_)
    values["client_bytes_each"] = sum(clients) // max(1, len(clients))
    if name:
        workers = pss_of(serving(env))
        values.update(workers=len(workers), worker_bytes_each=sum(workers) // max(1, len(workers)), pvgpud_bytes=pss(env.pid) or -1)
    ctx.keep(**{f"at_{n}_{k}": v for k, v in values.items()})


def given_back(ctx, env, device, first, name):
    """They have ended: is everything as it was?"""
    if name:
        env.wait_sessions(0, limit=max(5, ctx.remaining() - 10))
        spares(env)
        ctx.keep(sessions_failed=int(env.read("/vgpu/vgpu0/sessions-failed")))
    slack = 64 << 20
    try:
        wait_for("memory", lambda: device.used()["cuda"] <= first["cuda"] + slack, 15)
        ctx.keep(given_back=1)
    except TimeoutError:
        ctx.keep(given_back=0)
    ctx.keep(**{f"left_{k}_bytes": v for k, v in more(device.used(), first).items()})


def connections(n):
    """CUDA_DEVICE_MAX_CONNECTIONS of workers and of plain processes: what one of them takes, and what it costs."""
    def measure(ctx):
        extra = {"CUDA_DEVICE_MAX_CONNECTIONS": str(n)}
        count = 2 if ctx.quick else 4
        with daemon(ctx, count, worker_env=extra) as env, Meters(ctx, env) as meters:
            device = Device(ctx, env, meters)
            for side, name in (("native", None), ("pvgpu", "vgpu0")):
                spares(env)
                before = device.used()
                all_ = [meters.begin(name, extra) for _ in range(count)]
                starts = [meters.opened(m)["start_ns"] for m in all_]
                spares(env)
                used = more(device.used(), before)
                row = all_[0].do("launch", 200 if ctx.quick else 5000)
                ctx.keep(**{f"{side}_device_{k}_bytes_each": v // count for k, v in used.items()},
                         **{f"{side}_start_p50_ns": statistics.median(starts), f"{side}_row_done_ns": row["row_done_ns"]})
                meters.close(all_)
                if name:
                    env.wait_sessions(0)

    return measure


def stack(ctx):
    """Device memory that a context has after its stack limit was set and a kernel has run."""
    with daemon(ctx, 1) as env, Meters(ctx, env) as meters:
        device = Device(ctx, env, meters)
        for side, name in (("native", None), ("pvgpu", "vgpu0")):
            m = meters.open(name)
            before = device.used()
            for kib in (1, 4, 16, 64):
                try:
                    m.do("limit", "stack", kib << 10)
                    m.do("sync", "auto", 2)
                except MeterError as e:
                    ctx.keep(**{f"{side}_stack_{kib}k_error": str(e)})
                    break
                ctx.keep(**{f"{side}_stack_{kib}k_{k}_bytes": v for k, v in more(device.used(), before).items()})
            meters.close([m])
