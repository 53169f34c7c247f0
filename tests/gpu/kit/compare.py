# SPDX-License-Identifier: MIT
"""The test programs: directly on the driver, then through pvgpu, on the local link. Output and exit status must be the same."""
import contextlib
import io

import run_programs
from stage import Failed, Item, Stage

STAGE = Stage("programs", "each test program directly, then through pvgpu; the outputs compared", limit_s=150)
LIMIT_S = 20         # of one run, directly or through pvgpu
LONG = {"churn", "crowd", "copies"}  # not in a rehearsal
FAULTY = ["assert", "errors"]        # their kernels go wrong on purpose: a matter of the stage risky


def items(ctx):
    folder = ctx.kit / "programs"
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    for name in (n for n in names if n not in FAULTY and not (ctx.quick and n in LONG)):
        yield program(name)


def program(name):
    return Item(name, lambda ctx: both(ctx, name), 2 * LIMIT_S + 15, needs=[f"programs/{name}"])


def both(ctx, name):
    with ctx.pvgpu(vgpus={"vgpu0": "0"}) as env:
        problems, made = run_programs.both(env, ctx.kit, name, min(LIMIT_S, ctx.remaining() / 2))
    directly, through = made["directly"], made["through pvgpu"]
    ctx.keep(direct_status=directly.status, pvgpu_status=through.status, direct_s=round(directly.seconds, 3),
             pvgpu_s=round(through.seconds, 3), same_output=directly.stdout == through.stdout)
    if problems:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            run_programs.report(name, problems, made)
        with ctx.log("outputs.log") as log:
            log.write(said.getvalue())
        raise Failed("; ".join(problems) + said_last(made))


def said_last(made):
    """The last line on stderr of the first run that failed."""
    for how, result in made.items():
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        if result.status != 0 and lines:
            return f" ({how}: {lines[-1]})"
    return ""
