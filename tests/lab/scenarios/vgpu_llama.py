# SPDX-License-Identifier: MIT
"""llama.cpp, built from its source by clang (tests/clients/llama_test.py), in a PV and in a PVH guest: with all layers on the vGPU and matrix products by the
forwarding cuBLAS it decodes the tokens that it decodes on the CPU."""
import pathlib
import re
import subprocess

import foreign
import vgpu
import world

LIMIT = 2400
LONG = True
PLACE = "/opt/llama"
LAYERS = "99"           # as many as there are
# OpenBLAS takes the emulated processor for one that has 3DNow.
WORKER_ENV = {"LD_LIBRARY_PATH": f"{PLACE}/lib", "OPENBLAS_CORETYPE": "Prescott"}


def run(lab):
    build = pathlib.Path(lab.images).parent.parent
    model, cpu, gpu = foreign.built([build / "llama" / name for name in ("model.gguf", "cpu/run", "gpu/run")], "check-llama")
    want = subprocess.run([cpu, model, LAYERS], capture_output=True, text=True, check=True, timeout=300).stdout
    # The far end computes by OpenBLAS, which it opens by name.
    foreign.bring(lab.dom0, PLACE, {}, {"libcublas.so.12": build / "simcuda/libcublas.so.12", "libopenblas.so.0": None})
    pvgpud = vgpu.Pvgpud(lab, env=WORKER_ENV, libcublas=f"{PLACE}/lib/libcublas.so.12", **world.CHEAP).start()
    for guest in lab.create_all(["pv", "pvh"], ["pv", "pvh"], memory=384, payload=True):
        foreign.bring(guest, PLACE, {"run": gpu, "model.gguf": model}, {"libcublas.so.12": build / "lib/libcublas.so.12"})
        v = pvgpud.attach(guest)
        decode(guest, want)
        v.wait_statistics(sessions=0, sessions_failed=0, memory_used=0)
        v.detach()
        guest.destroy()
    pvgpud.stop()
    lab.dom0.run(f"rm -r {PLACE}")


def decode(guest, want):
    env = f"PVGPU_LOG=calls PVGPU_POLL_ITERATIONS=0 LD_LIBRARY_PATH={vgpu.TOP}/lib:{PLACE}/lib"
    r = guest.run(f"{env} {PLACE}/run {PLACE}/model.gguf {LAYERS} 2>/tmp/said; s=$?; grep -v ' cu' /tmp/said | tail -n 20 >&2; "
                  "grep -o 'offloaded .* layers to GPU' /tmp/said; grep -o 'cublas[A-Za-z_0-9]*' /tmp/said | sort -u; exit $s", limit=1200, check=False)
    assert r.status == 0, f"{guest.name}: status {r.status}: {r.err[-800:]}"
    tokens, *said = r.out.splitlines(True)
    assert tokens == want, f"{guest.name}: tokens {tokens}, on the CPU {want}"
    assert re.search(r"^offloaded (\d+)/\1 layers", "".join(said), re.M), f"{guest.name}: {said[:1]}"
    assert {"cublasSgemm_v2\n", "cublasGemmEx\n"} <= set(said), f"{guest.name}: no products by cuBLAS: {said}"
