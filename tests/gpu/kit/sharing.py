# SPDX-License-Identifier: MIT
"""Several tenants that all want the GPU: natively, where the GPU's own time slices share it among processes, and as vGPUs.

Their kernels are arithmetic, of as many steps as take so long on the idle GPU: what is done of them is GPU time that a tenant
has really got. A kernel that waits for the GPU's clock would be done at the same time as another one that has the GPU."""
import statistics
import time

from meters import Meters, jain, jain_of_windows, monotonic_in
from nvml import Nvml, NvmlError
from pvgpu_env import marked_processes
from stage import Absent, Failed, Item, Stage

STAGE = Stage("sharing", "2, 8 and 32 tenants: shares, totals, latency, the books, NVML's view", limit_s=200,
              needs=["tests/gpu-meter"])
SMALL_GPU = 64 << 30
INFLIGHT = 8
SAME_US = 20000
SIMULATED = "pvgpu simulated GPU"


def items(ctx):
    """What decides most comes first, and what takes longest last."""
    yield Item("nvml", nvml_view, limit_s=30)
    yield Item("tenants_2", tenants(2), limit_s=60)
    yield Item("priority", priority, limit_s=60)
    yield Item("weights", weights, limit_s=30)
    yield Item("estimates", estimates, limit_s=45)
    for n in () if ctx.quick else (8, 32):
        yield Item(f"tenants_{n}", tenants(n), limit_s=60 if n < 32 else 120)


def observing(spares):
    """An honest worker that pvgpud finds guilty goes on, so that the rest is measured, too; check_honest says so."""
    return {"spare_workers": spares, "test_judge_observes": "1"}


def memory(ctx):
    """Of a vGPU. A context of an H200 takes 516 MiB, and counts as the vGPU's once it has been measured."""
    return "memory=2G" if ctx.facts.get("gpu", {}).get("memory_total_bytes", 0) > SMALL_GPU else "memory=48M"


def seconds(ctx, usual):
    return 1 if ctx.quick else usual


def lengths(ctx):
    """Of kernels, in microseconds."""
    return (500,) if ctx.quick else (500, 5000)


# ---- what tenants do ----

def calibrated(meter, *us):
    """us -> iterations of arithmetic, on an idle GPU; 0, which is naps, on the simulated one: there arithmetic takes the
    processors that everything else here needs."""
    if meter.device == SIMULATED:
        return {u: 0 for u in us}
    return {u: meter.do("calibrate", u)["iterations"] for u in us}


def busy_start(meters, us, how_long, iterations, inflight=INFLIGHT):
    """All of them from one instant on."""
    at = monotonic_in(0.05 + 0.005 * len(meters))
    for m in meters:
        m.start("busy", us, how_long, inflight, iterations, at)
    return at


def busy_end(meters, how_long):
    return [m.end_well(how_long + 60) for m in meters]


def busy(meters, us, how_long, iterations):
    busy_start(meters, us, how_long, iterations)
    return busy_end(meters, how_long)


def shares(said, alone):
    """alone: kernels that one did alone in the same time."""
    windows = [a["windows"] for a in said]
    in_seconds = jain_of_windows(windows, 10)
    return {"jain_1s_min": round(min(in_seconds), 4), "jain_1s_p50": round(statistics.median(in_seconds), 4),
            "jain_100ms_p50": round(statistics.median(jain_of_windows(windows, 1)), 4),
            "jain_whole": round(jain([a["done_in_time"] for a in said]), 4),
            "total_ratio": round(sum(a["done_in_time"] for a in said) / max(1, alone), 4),
            "done": sum(a["done_in_time"] for a in said)}


# ---- pvgpud's books ----

def books(env):
    """vGPU -> its numbers, of now."""
    keys = ("gpu-time", "wait-time", "throttled-time", "slices", "launches", "sessions-failed", "faults")
    return {n: {k: int(v[k]) for k in keys} for n, v in env.tree()["vgpu"].items()}


def spent(before, after, key):
    return {n: after[n][key] - before[n][key] for n in before}


def pool(env):
    tree = env.tree()["pool"]["default"]
    return {k: int(tree[k]) for k in ("handovers", "handover-time", "wakeups")}


def check_honest(ctx, env):
    """No worker cheats here: one that was ended for cheating, or would have been, was so wrongly."""
    after = books(env)
    failed = [f"{n}: {env.read(f'/vgpu/{n}/last-reason')}" for n, v in after.items() if v["sessions-failed"] or v["faults"]]
    suspected = [line.partition("not ended, although it ")[2] for line in env.log().splitlines() if "not ended, although it " in line]
    ctx.keep(accounting=env.read("/daemon/accounting") or "", honest_ended=len(failed), honest_suspected=len(suspected),
             honest_suspected_of=suspected[:4])
    if failed:
        raise Failed("pvgpud ended honest workers: " + "; ".join(failed[:3]))
    if suspected:
        raise Failed("pvgpud suspects honest workers: one " + suspected[0])


def charged(said, took, us):
    """What was charged against the time that the kernels took which were done, in all and of each tenant."""
    done = sum(a["done"] for a in said)
    each = [c / (a["done"] * us) for c, a in zip(took, said) if a["done"]]
    return {"charged_us": sum(took), "kernels_us": done * us, "charged_ratio": round(sum(took) / max(1, done * us), 4),
            "charged_ratio_min": round(min(each, default=0), 4), "charged_ratio_max": round(max(each, default=0), 4)}


# ---- items ----

def keep(ctx, prefix, values):
    ctx.keep(**{f"{prefix}_{k}": v for k, v in values.items()})


def tenants(n):
    """n that saturate the GPU, natively and as vGPUs of equal weight."""
    def measure(ctx):
        names = [f"v{i}" for i in range(n)]
        how_long = seconds(ctx, 4)
        with ctx.pvgpu(vgpus={v: memory(ctx) for v in names}, settings=observing(1 if ctx.quick else 4)) as env:
            steps = None
            for side in ("native", "pvgpu"):
                with Meters(ctx, env) as all_:
                    meters, said = all_.open_all([None] * n if side == "native" else names)
                    ctx.keep(**{f"{side}_start_p50_ns": statistics.median(a["start_ns"] for a in said)})
                    steps = steps or calibrated(meters[0], *lengths(ctx))
                    for us in lengths(ctx):
                        measure_busy(ctx, env, side, meters, us, how_long, steps[us])
                    all_.close()
            check_honest(ctx, env)
        return {"tenants": n, "seconds": how_long}

    return measure


def measure_busy(ctx, env, side, meters, us, how_long, iterations):
    # Half as long, and counted twice.
    alone = 2 * busy(meters[:1], us, how_long / 2, iterations)[0]["done_in_time"]
    before, then = books(env), pool(env)
    said = busy(meters, us, how_long, iterations)
    prefix = f"{side}_{us}us"
    keep(ctx, prefix, {"alone_done": alone, **shares(said, alone)})
    if side != "pvgpu":
        return
    after, now = books(env), pool(env)
    took = spent(before, after, "gpu-time")
    keep(ctx, prefix, charged(said, [took[m.name] for m in meters], us))
    keep(ctx, prefix, {"jain_charged": round(jain(list(took.values())), 4), "handovers": now["handovers"] - then["handovers"],
                       "handover_us": now["handover-time"], "slices": sum(spent(before, after, "slices").values()),
                       "wait_us": sum(spent(before, after, "wait-time").values())})


def latency(ctx, high, low, iterations, low_us, low_iterations):
    """Of one kernel of 500 us and its end, every 5 ms or so; low: one that saturates the GPU meanwhile, or None."""
    n = 20 if ctx.quick else 200
    if low:
        # Longer than the requests take, whatever becomes of them: it is ended when they are done.
        begun = busy_start([low], low_us, 600, low_iterations)
        time.sleep((begun - time.monotonic_ns()) / 1e9 + 0.1)
    said = high.do("latency", 500, 5000, n, iterations, limit=120)
    return {k: said[f"latency_{k}_ns"] for k in ("p50", "p99", "max")}


def priority(ctx):
    """One of class high that asks now and then, beside one of class low that saturates the GPU."""
    vgpus = {"high": f"{memory(ctx)},priority=high", "low": f"{memory(ctx)},priority=low"}
    with ctx.pvgpu(vgpus=vgpus, settings=observing(2)) as env:
        steps = None
        for side, names in (("native", (None, None)), ("pvgpu", ("high", "low"))):
            with Meters(ctx, env) as all_:
                high = all_.open(names[0])
                steps = steps or calibrated(high, 500, 100, 5000)
                alone = latency(ctx, high, None, steps[500], 0, 0)
                keep(ctx, f"{side}_alone", {f"{k}_ns": v for k, v in alone.items()})
                for us in (100,) if ctx.quick else (100, 5000):
                    low = all_.open(names[1])
                    beside = latency(ctx, high, low, steps[500], us, steps[us])
                    all_.kill(low)
                    keep(ctx, f"{side}_beside_{us}us", {f"{k}_ns": v for k, v in beside.items()})
                    keep(ctx, f"{side}_beside_{us}us", {f"{k}_ratio": round(v / alone[k], 4) for k, v in beside.items()})
                all_.close()
        check_honest(ctx, env)


def weights(ctx):
    """1 to 3."""
    how_long = seconds(ctx, 6)
    with ctx.pvgpu(vgpus={"one": memory(ctx), "three": f"{memory(ctx)},weight=300"}, settings=observing(2)) as env:
        with Meters(ctx, env) as all_:
            meters, _ = all_.open_all(["one", "three"])
            for us, steps in calibrated(meters[0], *lengths(ctx)).items():
                before = books(env)
                said = busy(meters, us, how_long, steps)
                took = spent(before, books(env), "gpu-time")
                done = [a["done_in_time"] for a in said]
                keep(ctx, f"{us}us", {"part_done_ratio": round(done[1] / max(1, sum(done)), 4),
                                      "part_charged_ratio": round(took["three"] / max(1, sum(took.values())), 4)})
            all_.close()
        check_honest(ctx, env)
    return {"wanted_ratio": 0.75}


def estimates(ctx):
    """What pvgpud charges, against what events on the device and the calibrated kernels say: of one alone, whose time is
    charged by estimates, and of two. What NVML has counted of a worker is the item nvml's."""
    how_long = seconds(ctx, 3)
    cases = ((500, INFLIGHT),) if ctx.quick else ((20, 32), (500, INFLIGHT), (5000, INFLIGHT), (500, 1))
    with ctx.pvgpu(vgpus={"a": memory(ctx), "b": memory(ctx)}, settings=observing(2)) as env:
        with Meters(ctx, env) as all_:
            meters, _ = all_.open_all(["a", "b"])
            steps = calibrated(meters[0], *(us for us, _ in cases))
            for us, inflight in cases:
                for who in (meters[:1], meters):
                    before = books(env)
                    busy_start(who, us, how_long, steps[us], inflight)
                    said = busy_end(who, how_long)
                    took = spent(before, books(env), "gpu-time")
                    values = charged(said, [took[m.name] for m in who], us)
                    if len(who) == 1:
                        span = said[0]["event_span_ms"] * 1000
                        values["event_span_us"] = round(span)
                        values["charged_to_span_ratio"] = round(took["a"] / max(1, span), 4)
                    keep(ctx, f"{'alone' if len(who) == 1 else 'two'}_{us}us_deep{inflight}", values)
            all_.close()
        check_honest(ctx, env)
    return {"far_end_count": "not among pvgpud's keys"}


def nvml_view(ctx):
    """Which pids NVML names, with how much memory, how often it has samples of their use, and what these add up to."""
    if not ctx.nvml:
        raise Absent("no libnvidia-ml.so.1")
    how_long = seconds(ctx, 3)
    with ctx.pvgpu(vgpus={"a": memory(ctx), "b": memory(ctx)}, settings=observing(2)) as env, Meters(ctx, env) as all_:
        try:
            nvml = Nvml(ctx.nvml, env.sim)
        except NvmlError as e:
            raise Absent(str(e)) from None
        native, other = all_.open_all([None, None])[0]
        steps = calibrated(native, 500)[500]
        vgpus, _ = all_.open_all(["a", "b"])
        ours = {int(next(iter(env.sessions(v).values()))["pid"]): v for v in ("a", "b")}
        guests = {m.pid for m in vgpus}
        others = set(marked_processes(env.mark)) - {native.pid, other.pid, *ours, *guests}
        try:
            named = nvml.processes()
            ctx.keep(processes_named=len(named), native_named=int(native.pid in named), workers_named=sum(p in named for p in ours),
                     guests_named=sum(p in named for p in guests), spares_named=sum(p in named for p in others),
                     strangers=len(set(named) - {native.pid, other.pid, *ours, *guests, *others}),
                     native_memory_bytes=named.get(native.pid) or -1,
                     worker_memory_bytes=[named.get(p) or -1 for p in ours])
        except NvmlError as e:
            ctx.keep(processes_error=str(e))
        pids = {native.pid: "native", other.pid: "other", **ours}
        for name, who in (("all", [native, *vgpus]), ("native", [native]), ("natives", [native, other]), ("vgpus", vgpus)):
            if name == "all" or not ctx.quick:
                watch(ctx, nvml, name, who, pids, how_long, steps)
        all_.close()
        check_honest(ctx, env)


def watch(ctx, nvml, prefix, who, pids, how_long, iterations):
    """NVML's samples while some are busy: what they sum up to, beside the kernels that each has done."""
    # Its clock is the real one; what is older belongs to what was before.
    begun = int(time.time() * 1e6)
    seen, used, stamps = begun, {}, {}
    busy_start(who, 500, how_long, iterations)
    end = time.monotonic() + how_long + 0.3
    while time.monotonic() < end:
        time.sleep(0.02)
        try:
            # Those of one period may differ a little.
            rows = nvml.samples(seen - SAME_US)
        except NvmlError as e:
            keep(ctx, prefix, {"samples_error": str(e)})
            break
        for pid, at, sm in rows:
            last = stamps.setdefault(pid, [begun])
            if at > last[-1]:
                used[pid] = used.get(pid, 0) + (at - last[-1]) * sm / 100
                last.append(at)
                seen = max(seen, at)
    for m, a in zip(who, busy_end(who, how_long)):
        # A native one is on the GPU itself, a vGPU's worker is for it.
        pid = m.pid if m.pid in pids else next(p for p, name in pids.items() if name == m.name)
        keep(ctx, f"{prefix}_{pids[pid]}", sampled(stamps.get(pid, []), used.get(pid, 0), a["done"] * 500))
    # Of a sandbox's processes NVML may have other ids than the sandbox.
    others = set(stamps) - set(pids)
    keep(ctx, prefix, {"others_sampled": len(others), "others_nvml_us": round(sum(used[p] for p in others))})


def sampled(stamps, used_us, kernels_us):
    periods = [b - a for a, b in zip(stamps, stamps[1:])]
    return {"samples": len(periods), "period_p50_us": statistics.median(periods) if periods else -1,
            "period_max_us": max(periods, default=-1), "nvml_us": round(used_us), "kernels_us": kernels_us,
            "nvml_ratio": round(used_us / max(1, kernels_us), 4)}
