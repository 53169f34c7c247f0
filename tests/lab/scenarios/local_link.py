# SPDX-License-Identifier: MIT
"""The local link inside a guest: pvgpud, a worker on the simulated GPU, and programs, in a PV and in a PVH guest."""
TOP = "/opt/pvgpu"
LIMIT = 420
LONG = True


def check(lab, kind):
    g = lab.create(kind, kind, memory=640, payload=True)
    daemon = g.start(f"exec {TOP}/bin/pvgpud --run-dir /run/pvgpu --set libcuda={TOP}/simcuda/libcuda.so.1 "
                     f"--set env=SIMCUDA_GPU=/dev/shm/gpu --vgpu vgpu0:memory=256M")
    lab.wait("pvgpud's socket", lambda: not g.run("[ -S /run/pvgpu/vgpu0.sock ]", check=False, quiet=True).status or
             daemon.gone_without("its socket"))
    direct = f"SIMCUDA_GPU=/dev/shm/direct LD_LIBRARY_PATH={TOP}/simcuda"
    through = f"PVGPU_SOCKET=/run/pvgpu/vgpu0.sock LD_LIBRARY_PATH={TOP}/lib"
    for program in ("vecadd", "matmul"):
        want = g.run(f"{direct} {TOP}/programs/{program}", limit=120)
        got = g.run(f"{through} {TOP}/programs/{program}", limit=120)
        assert (got.out, got.err) == (want.out, want.err), "through pvgpu the program prints something else"
    ctl = f"{TOP}/bin/pvgpuctl --run-dir /run/pvgpu"
    lab.wait("the sessions to end", lambda: g.run(f"{ctl} read /vgpu/vgpu0/sessions", quiet=True).out.strip() == "0")
    daemon.kill()
    assert daemon.wait().status == 0
    left = g.run("ps -o args | grep '[p]vgpu'", check=False).out
    assert not left, left
    g.destroy()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
