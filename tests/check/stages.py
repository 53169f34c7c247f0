# SPDX-License-Identifier: MIT
"""The stages of `make check` and, with full, of `make check-full`: one list, in the order they run."""
from dataclasses import dataclass, field

MAKE = "make --no-print-directory"


@dataclass
class Stage:
    name: str
    what: str
    commands: list = field(default_factory=list)
    limit: int = 900       # seconds for one command
    needed: bool = False   # nothing after it makes sense without it
    beside: bool = False   # runs beside those after it: it uses one processor


def stages(full=False):
    fuzz = 600 if full else 3
    kills = 200 if full else 20
    san = {"asan": "address,undefined", "tsan": "thread"}
    out = [
        Stage("build", "everything, with the default compiler",
              [f"{MAKE} -j2 tests lab-built"], needed=True),
        Stage("unit", "unit tests", [f"{MAKE} run-unit"]),
        Stage("rules", "include rules, generated documents, test kernels, shell scripts",
              ["python3 tests/check/include_rules.py", "python3 tests/check/include_rules_test.py",
               "python3 tests/check/language.py", "python3 tests/check/language_test.py",
               f"{MAKE} check-docs", f"{MAKE} check-kernels"]),
        Stage("protocol", "descriptions, generator, numbers.lock, our cuda.h against an SDK's, this version and the next",
              [f"{MAKE} check-protocol", f"{MAKE} check-planted", f"{MAKE} check-versions"]),
        Stage("spin", "the wake-up protocol, model-checked", [f"{MAKE} check-spin"]),
        Stage("programs", "every test program, directly on simcuda and through pvgpu",
              [f"{MAKE} check-programs"]),
        Stage("mutation", "faults switched on in simcuda must make the programs fail",
              [f"{MAKE} check-mutation"]),
        Stage("simcuda-fuzz", "random kernels on simcuda against a model on the CPU; planted faults are found",
              [f"{MAKE} check-simcuda-fuzz KERNELS={100000 if full else 300}"], limit=7200 if full else 900),
        Stage("lifecycle", f"start, drain, hand-over, garbage, {kills} kills",
              [f"KILLS={kills} {MAKE} check-lifecycle"], limit=3600 if full else 900),
        Stage("hostile", "a hostile guest on the ring, the sockets and in images", [f"{MAKE} check-hostile"]),
        Stage("scheduler", "the simulator's targets, shares of GPU time, pools, watchdog",
              [f"{MAKE} check-{what}" for what in ("sim", "shares", "pools", "watchdog")]),
        Stage("gpu-kit", "what runs on a real GPU, here on the simulated one" + (", also in a bare Debian system" if full else ""),
              [f"{MAKE} check-gpu-{what}" for what in ("probe", "trace", "timeslice", "measure", "kit")] +
              ([f"{MAKE} gpu-kit-rehearsal"] if full else []), limit=1800 if full else 900),
        Stage("valgrind", "workers, pvgpud, the guest's side and unit tests under valgrind" if full else
              "workers and pvgpud under valgrind",
              [f"{MAKE} check-valgrind" + (" FULL=1" if full else "")], limit=7200 if full else 900),
        # For its warnings: what it makes is not run.
        Stage("clang", "everything, with clang", [f"{MAKE} -j2 tests B=build-clang CC=clang CFLAGS=-O0"]),
    ]
    # What is instrumented is slow; the long versions are for the build without. The simulated GPU's interpreter is then
    # only seen at work, in the programs.
    stress = "" if full else "PVGPU_STRESS=0.1 "
    less = "" if full else " LESS=ptx_%_test CFLAGS='-O1 -g1'"
    for name, kinds in san.items():
        b = f"B=build-{name} SAN={kinds}{less}"
        out.append(Stage(name, f"unit tests and programs under {kinds}",
                         [f"{MAKE} -j2 tests {b}", f"{stress}{MAKE} run-unit {b}", f"{MAKE} check-programs-san {b}"]))
    # Nothing waits for it, much of what follows waits for other things than processors, and `build` has made what both want.
    lab = Stage("lab", "real Xen in QEMU: " + ("every scenario, each on a machine of its own" if full else "scenarios"),
                ["LAB_PATIENCE=3 " + ("" if full else "LAB_SANDBOX=off ") + f"{MAKE} lab " + ("ALONE=1" if full else "QUICK=1")], limit=7200 if full else 1800,
                beside=not full)
    out.insert(4 if full else 2, lab)
    # Nothing waits for it: of the long one hours, beside all others and a little behind them.
    fuzzing = Stage("fuzz", f"every fuzzer for {fuzz} s from its corpus",
                    [("nice -n 5 " if full else "") + f"{MAKE} fuzz FUZZ_SECONDS={fuzz}"], limit=fuzz * 20 + 600, beside=True)
    out.insert(1 if full else len(out) - 1, fuzzing)
    if full:
        out.append(Stage("module", "pvgpu.ko for four kernels, with sparse, and as on an older one",
                         [f"{MAKE} check-module"], limit=1800))
    return out
