#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Complex sums by LLVM rest on warps that keep pace: with turns of 512 instructions, as the simulated GPU once had, `omp_complex` must find its sums cleared
before they are read. A run in which it finds nothing has lost what it is there for."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

WRONG = "1 teams, block 0: 0 +0i"


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build")
    build = pathlib.Path(p.parse_args().build).resolve()
    with tempfile.TemporaryDirectory(prefix="pvgpu-pace-") as folder:
        env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(build / "simcuda"), "SIMCUDA_GPU": f"{folder}/gpu", "SIMCUDA_TURN": "512",
               "OMP_TARGET_OFFLOAD": "mandatory"}
        done = subprocess.run([build / "offload-llvm/omp_complex"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode == 1 and WRONG in done.stderr:
        print("ok   omp_complex finds a simulated GPU whose warps do not keep pace")
        return 0
    print(f"FAIL omp_complex with SIMCUDA_TURN=512: status {done.returncode}, not 1 with \"{WRONG}\"\n{done.stderr}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
