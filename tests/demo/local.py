#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four clients share one GPU through pvgpu; one worker is killed on the way, and pvgpud is restarted under load.

Each client has a vGPU with its own memory quota and runs another CUDA program again and again; every program checks
its results against a computation of its own. Uses NVIDIA's GPU where there is one, else the simulated one.
"""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pvgpu_env import PvgpuEnv, wait_for  # noqa: E402
from run_programs import gpu_library  # noqa: E402

CLIENTS = [  # vGPU, memory, program with its sizes, what it is
    ("alice", "256M", ["matmul", "512"], "tiled matrix product"),
    ("bob", "512M", ["nbody", "2048", "20"], "n-body in double precision"),
    ("carol", "256M", ["histogram", "50000000"], "atomic histogram"),
    ("dave", "1G", ["streams"], "streams and events"),
]


def say(text=""):
    print(text, flush=True)


class Client(threading.Thread):
    """Runs its program again and again until told to stop."""

    def __init__(self, env, vgpu, program):
        super().__init__(daemon=True)
        self.env, self.vgpu = env, vgpu
        self.argv = [os.path.join(env.build, "programs", program[0]), *program[1:]]
        self.right = self.wrong = 0
        self.last_error = ""
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            p = self.env.popen(self.argv, name=self.vgpu, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            out, err = p.communicate()
            if p.returncode == 0:
                self.right += 1
            else:
                self.wrong += 1
                text = (err or out)
                text = text.decode(errors="replace") if isinstance(text, bytes) else text
                self.last_error = (text.strip().splitlines() or [f"exit status {p.returncode}"])[-1]


def table(env, clients):
    tree = env.tree()["vgpu"]
    say(f"    {'vGPU':8}{'GPU memory':>12}{'in use':>9}{'programs now':>14}{'so far':>8}{'right results':>15}")
    for c in clients:
        v = tree[c.vgpu]
        mib = 1 << 20
        say(f"    {c.vgpu:8}{int(v['memory']) // mib:>8} MiB{int(v['memory-used']) // mib:>5} MiB"
            f"{len(v.get('session', {})):>14}{v['sessions-total']:>8}{c.right:>15}")
    say()


def watch(env, clients, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(2)
        table(env, clients)


def kill_a_worker(env, victim, clients):
    others = {c.vgpu: c.wrong for c in clients if c is not victim}
    before = victim.wrong

    def killed():
        for s in env.sessions(victim.vgpu).values():
            os.kill(int(s["pid"]), signal.SIGKILL)
            try:
                return wait_for("the victim's error", lambda: victim.wrong > before, 3)
            except TimeoutError:
                return False  # that run had just ended: try the next one
        return False
    wait_for("a run that lost its worker", killed, 60)
    say(f"    {victim.vgpu}'s program ended with: {victim.last_error}")
    right = victim.right
    wait_for("a new session", lambda: victim.right > right, 60)
    calm = all(c.wrong == others[c.vgpu] for c in clients if c is not victim)
    say(f"    {victim.vgpu}'s next run got a new worker and right results; the other clients' programs "
        f"{'noticed nothing' if calm else 'FAILED, TOO'}\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", help="the build folder (default %(default)s)")
    ap.add_argument("--seconds", type=int, default=8, help="length of each watching part (default %(default)s)")
    args = ap.parse_args()
    folder = gpu_library(None)
    gpu = folder and os.path.join(folder, "libcuda.so.1")
    say("pvgpu demo: four clients, one GPU")
    say(f"[1/5] the GPU: {'NVIDIA, through ' + gpu if gpu else 'simulated (PTX on the CPU), since this machine has none'}")
    with PvgpuEnv(vgpus={v: m for v, m, _, _ in CLIENTS}, build=args.build, libcuda=gpu,
                  sim={"SIMCUDA_MEMORY": "4G"}) as env:
        say("[2/5] the daemon pvgpud serves four vGPUs; each client has one and runs its program again and again:")
        for vgpu, memory, program, what in CLIENTS:
            say(f"    {vgpu:8} {memory:>4} of GPU memory, runs '{' '.join(program)}' ({what})")
        clients = [Client(env, v, p) for v, _, p, _ in CLIENTS]
        for c in clients:
            c.start()
        say("\n[3/5] every two seconds, what pvgpud says of each vGPU:")
        watch(env, clients, args.seconds)
        say(f"[4/5] the process that works for {clients[1].vgpu}'s program on the GPU, its worker, is killed:")
        kill_a_worker(env, clients[1], clients)
        wrong = sum(c.wrong for c in clients)
        say("[5/5] pvgpud itself is killed and started again; programs that are running go on:")
        env.restart()
        watch(env, clients, args.seconds // 2)
        for c in clients:
            c.stopping.set()
        for c in clients:
            c.join(120)
        lost = sum(c.wrong for c in clients) - wrong
        right = sum(c.right for c in clients)
    say(f"done: {right} program runs with right results in four vGPUs on one GPU; a worker was killed, and its client recovered;")
    say(f"pvgpud was restarted, which cost {lost} runs; nothing was left behind (processes, sockets, memory).")
    return 0 if lost == 0 and min(c.right for c in clients) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
