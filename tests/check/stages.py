# SPDX-License-Identifier: MIT
"""The stages of `make check` and, with full, of `make check-full`: one list, in the order they run."""
from dataclasses import dataclass, field

MAKE = "make --no-print-directory"


@dataclass
class Stage:
    name: str
    what: str
    commands: list = field(default_factory=list)
    limit: int = 1800      # seconds for one command: a busy machine is slow
    needed: bool = False   # nothing after it makes sense without it
    lane: str = ""         # runs beside those after it, one after the other with those of its lane


# Of make check: unit tests that run without a sanitizer, and all others with. They have little to do with memory and threads, or are
# seen at work in the programs (the simulated GPU's interpreter), or are floods that take seconds each. And tools that only other stages use.
LESS = "ptx_%_test simcuda_%_test sched_%_test sim_test sizing_test place_test entitle_test judge_test overdue_test budget_test usage_test share_test " \
       "schedule_clock_test schedule_pieces_test xenbus_events_test control_flood_test " \
       "pvsim schedbench gatebench pvbench attack witness chaos-client pvgpu-worker-cheat pvgpu-worker-escape ptxrun"


# Of the programs those that would take half of all the time; what they do with threads others do too.
LESS_PROGRAMS = "arrays copies crowd"
SEED = "PVGPU_SCHED_SEED=1"  # of the properties' random runs; check-full has a new one each time, which it prints
LONG = "long"  # the lane of the lab, which has a processor for itself, and of asan after it


def sanitized(full):
    """Stages under sanitizers. Instrumented code is slow; the long versions are for the build without."""
    stress = "" if full else f"PVGPU_STRESS=0.1 {SEED} "
    # Instrumented code takes as long to optimise as it then saves.
    for name, kinds, flags in ("asan", "address,undefined", "PLAIN=build"), ("tsan", "thread", ""):
        b = f"B=build-{name} SAN={kinds}" + ("" if full else f" ONLY= LESS='{LESS}' LESS_PROGRAMS='{LESS_PROGRAMS}' CFLAGS='-O0 -g1' {flags}")
        yield Stage(name, f"unit tests and programs under {kinds}",
                    [f"{MAKE} -j2 tests {b}", f"{stress}{MAKE} run-unit {b}", f"{MAKE} check-programs-san {b}"],
                    lane=LONG if name == "asan" and not full else "")


def waiting(full):
    """Stages that wait for time and each other more than they compute."""
    kills = 200 if full else 20
    return [
        Stage("lifecycle", f"start, drain, hand-over, garbage, {kills} kills",
              [("PVGPU_MANY=1000,100 " if full else "") + f"KILLS={kills} {MAKE} check-lifecycle"], limit=3600 if full else 1800),
        Stage("scheduler", "the simulator's targets, shares of GPU time, pools, watchdog",
              [f"{MAKE} check-{what}" for what in ("sim", "shares", "pools", "watchdog")]),
        Stage("exporter", "statistics over HTTP, a real Prometheus", [f"{MAKE} check-exporter"] + ([f"{MAKE} check-page"] if full else [])),
        *([Stage("parking", "memory that is parked and comes back 10,000 times under programs at work", [f"{MAKE} check-parking"])] if full else []),
        *([Stage("oversubscribe", "vGPUs with three times the GPU's memory, and a hundred that are idle", [f"{MAKE} check-oversubscribe"])] if full else []),
        *([Stage("acceptance", "pvgpu-acceptance, with all test programs", [f"{MAKE} check-acceptance"])] if full else []),
        Stage("soak", f"100 sessions, and hostile guests beside them, for {'30 minutes' if full else 'a minute'}",
              [f"{MAKE} {'soak' if full else 'check-soak'}"], limit=10800 if full else 1800),
        Stage("chaos", "random programs and faults, " + ("half an hour with a new seed" if full else "a minute with a fixed seed") + ", and seeds that have failed",
              [f"{MAKE} {'chaos' if full else 'check-chaos'}"], limit=7200 if full else 1800),
        Stage("gpu-kit", "what runs on a real GPU, here on the simulated one" + (", also in a bare Debian system" if full else ""),
              [f"{MAKE} check-gpu-{what}" for what in ("probe", "trace", "timeslice", "measure", "kit")] +
              ([f"{MAKE} gpu-kit-rehearsal"] if full else []), limit=1800),
    ]


def stages(full=False):
    fuzz = 600 if full else 1
    runs = 10 ** 6  # of the fuzzers of what is hostile: see FUZZ_MANY
    waiters = waiting(full)
    for s in waiters:
        s.lane = "" if full else "waiting"
    lab = Stage("lab", "real Xen in QEMU: " + ("every scenario, each on a machine of its own" if full else "scenarios"),
                ([f"{MAKE} lab-others"] if full else []) + ["LAB_PATIENCE=6 " + ("" if full else "LAB_SANDBOX=off ") + f"{MAKE} lab " + ("ALONE=1" if full else "QUICK=1 JOBS=1")],
                limit=7200 if full else 3600, lane="" if full else LONG)
    fuzzing = Stage("fuzz", f"every fuzzer for {fuzz} s from its corpus",
                    [f"nice -n 5 {MAKE} fuzz FUZZ_SECONDS={fuzz}" + (f" FUZZ_RUNS={runs}" if full else " FUZZ_MORE=-O0")],
                    limit=fuzz * 20 + (4 * runs // 100 if full else 0) + 1800, lane="fuzz" if full else "waiting")
    asan, tsan = sanitized(full)
    early = [
        # The lab is the longest of all: it begins with what it needs.
        Stage("build-lab", "what the lab boots", [f"{MAKE} -j2 lab-built"], needed=True),
        *([] if full else [lab]),
        Stage("build", "everything, with the default compiler", [f"{MAKE} -j2 tests"], needed=True),
        *([fuzzing] if full else [asan, *waiters, fuzzing]),  # check-full: beside all others and a little behind them
    ]
    out = early + [
        Stage("unit", "unit tests, short benchmarks", [("" if full else f"PVGPU_STRESS=0.25 {SEED} ") + f"{MAKE} run-unit", f"{MAKE} check-isa-values", f"{MAKE} check-bench"]),
        *([Stage("starved", "unit tests whose processes are stopped at random, as where processor time is short", [f"{MAKE} check-starved"], limit=3600)]
          if full else []),
        *([Stage("mends", "mends after attacks on Xen, taken out one at a time: the test of each must fail", [f"{MAKE} check-mends"], limit=3600)] if full else []),
        Stage("rules", "include rules, generated documents, systemd's units, test kernels, shell scripts, packages' files",
              ["python3 tests/check/run_test.py",
               "python3 tests/check/include_rules.py", "python3 tests/check/include_rules_test.py",
               "python3 tests/check/language.py", "python3 tests/check/language_test.py", "python3 tests/check/durations.py", "python3 tests/check/links.py", "python3 tests/check/links_test.py", "python3 tests/check/units_test.py -v", "python3 tests/lab/clock_test.py",
               "python3 tests/demo/shares_test.py", "python3 tests/demo/progress_test.py", "python3 tests/demo/terminal_test.py",
               f"{MAKE} check-docs", f"{MAKE} check-kernels", f"{MAKE} check-packaging"]),
        *([Stage("xl", "libxl and xl with our patches: Xen 4.17's, also what it does without Xen, and the newest one's", [f"{MAKE} check-xl"], limit=7200), lab]
          if full else []),
        *([Stage("lab-kernels", "the lab's basic scenarios with guests' other kernels", [f"LAB_PATIENCE=6 {MAKE} lab-kernels"],
                 limit=7200)] if full else []),
        Stage("protocol", "descriptions, generator, numbers.lock, our cuda.h against an SDK's, this version and the next, the xe plugin, pvgpuctl's --json",
              [f"{MAKE} check-protocol", *([f"{MAKE} check-planted"] if full else []), f"{MAKE} check-versions", ("PVGPU_CYCLES=50 " if full else "") + f"{MAKE} check-xapi", f"{MAKE} check-answers", f"{MAKE} check-cdi", f"{MAKE} check-readme"]
              + ([f"{MAKE} check-attachd", f"{MAKE} check-statistics-load"] if full else [])),
        # The protocol of the ring has not changed for long, and the model takes its time.
        *([Stage("spin", "the wake-up protocol, model-checked", [f"{MAKE} check-spin"])] if full else []),
        Stage("cloudstack", "pvgpu-cloudstack between doubles of CloudStack and of a pool", [f"{MAKE} check-cloudstack"]),
        Stage("programs", "every test program, directly on simcuda and through pvgpu",
              [("CONFORM_ROUNDS=50 " if full else "") + f"{MAKE} check-programs"] + ([f"{MAKE} check-called"] if full else [])),
        Stage("offload", "OpenMP and OpenACC programs that GCC offloads, directly on simcuda and through pvgpu",
              [f"{MAKE} check-offload"] + ([f"{MAKE} check-{what}" for what in ("libgomp", "offload-llvm", "libomptarget")] if full else []), limit=7200 if full else 1800),
        Stage("clients", "FFmpeg's CUDA filters and Halide's pipelines, directly on simcuda and through pvgpu, against the CPU; the guest's NVML",
              [f"{MAKE} check-clients", f"{MAKE} check-nvml", f"{MAKE} check-halide"] +
              ([f"{MAKE} check-{what}" for what in ("numba", "gstreamer", "monitors", "torch", "podman", "grafana", "imports", "jax", "frameworks", "cuda-python", "llama")] if full else []),
              limit=5400 if full else 1800),  # the first time a chroot is filled from a mirror
        Stage("mutation", "faults switched on in simcuda must make the programs fail",
              [f"{MAKE} check-mutation"]),
        Stage("simcuda-fuzz", "random kernels on simcuda against a model on the CPU; planted faults are found",
              [f"{MAKE} check-simcuda-fuzz RANDOM_KERNELS={100000 if full else 300}"], limit=7200 if full else 900),
        *(waiters if full else []),
        Stage("hostile", "a hostile guest on the ring, the sockets and in images",
              [f"{MAKE} check-hostile"] + ([f"{MAKE} check-hostile-tame"] if full else []), limit=1800 if full else 900),
        Stage("valgrind", "workers, pvgpud, the guest's side and unit tests under valgrind" if full else
              "workers and pvgpud under valgrind",
              [f"{MAKE} check-valgrind" + (" FULL=1" if full else "")], limit=7200 if full else 1800),
        # The fuzzers, whose compiler clang is, have most of the code that reads what others send.
        *([Stage("clang", "everything, with clang, for its warnings", [f"{MAKE} -j2 tests B=build-clang CC=clang CFLAGS=-O0"])] if full else []),
        *([asan] if full else []),
        tsan,
    ]
    if not full:
        # The lab has a processor for itself, and stages that wait have one as soon as they want it. Tests are only a little
        # nicer: beside another load they would starve.
        for s in out:
            s.commands = [f"ONLY='{LESS}' {c}" for c in s.commands]
            if (not s.lane or s is asan) and s is not early[0]:
                s.commands = [f"nice -n {5 if '-j2' in c else 2} env {c}" for c in s.commands]
    if full:
        out.append(Stage("module", "pvgpu.ko for four kernels, with sparse, and as on an older one",
                         [f"{MAKE} check-module"], limit=1800))
        out.append(Stage("packages", "Debian packages and the RPM: built, installed in clean systems, used, purged",
                         [f"{MAKE} check-packages"], limit=5400))
    return out
