# SPDX-License-Identifier: MIT
"""dom0 and a driver domain that boot systemd run pvgpu-attachd and pvgpud as the installed units. A guest's program goes on, with right
results, while pvgpud is restarted, hangs until the watchdog ends it, and is killed; a stop drains it. The hardened units leave the
programs what they need, and workers' sandboxes are closed as without them. pvgpud's unit resets the GPU by the installed command."""
import re

import machine
import service
import vgpu
from channel import PATIENCE

BOOT = machine.Boot(service=True)
LIMIT = 2400
LONG = True
VM = """[vm]
name = {name}
[vgpu 0]
uuid = {uuid}
backend = {backend}
memory = 256M
kernel-limit = 0
"""
# Nothing but a pvgpud that stands still may be too slow for systemd in the emulator: the lab's own limits end what hangs.
DROP_IN = f"[Service]\nWatchdogSec={60 * PATIENCE:.0f}\nTimeoutStartSec=infinity\nTimeoutStopSec=infinity\n"


# Stands for NVIDIA's tool: it needs what pvgpud's unit has not, and resets the simulated GPU.
NVIDIA_SMI = f"""#!/bin/sh
[ "$1 $2" = "--gpu-reset -i" ] || exit 2
grep -q "^NoNewPrivs:.0" /proc/self/status && grep -q "^CapEff:.0*1*[37]*f*$" /proc/self/status || {{ echo "few privileges"; exit 3; }}
touch /etc/reset-was-here || exit 4
[ ! -e /run/in-use ] || {{ echo "GPU is in use by another client"; exit 19; }}
SIMCUDA_GPU={vgpu.GPU} exec {service.PREFIX}/lib/pvgpu/simcuda/simcuda-reset "$3"
"""


def check_goes_on(p, c, interrupt, line):
    """A program computes while interrupt() replaces pvgpud by another, which adopts its worker."""
    before, pid = p.wait_workers(1, service.SLOW), p.pid
    c.tell("copy 500000 30")
    assert c.answer("copy") == "1"
    interrupt()
    assert p.pid != pid
    assert p.wait_workers(1, service.SLOW) == before, "the worker was not adopted"
    assert c.answer("copy", 600) == "right"
    c.want("check", "right")
    p.wait_log(line, service.SLOW)


def hang(p):
    pid = p.pid
    p.place.run(f"kill -STOP {pid}")
    p.next(pid)


def check_sandbox(p):
    """As the unit's restrictions leave it: every door shut, and the worker what it must be."""
    bad = [line for line in p.log().splitlines() if "sandbox" in line and "absent here" not in line]
    assert not bad, bad
    worker, = p.wait_workers(1, service.SLOW)
    status = dict(re.findall(r"^(\w+):\s*(.*)$", p.place.run(f"cat /proc/{worker}/status").out, re.M))
    assert status["Uid"].split()[0] != "0" and status["CapBnd"] == "0" * 16 and status["Seccomp"] == "2", status
    spared = p.place.run(f"cat /proc/{p.pid}/oom_score_adj /proc/{worker}/oom_score_adj").out.split()
    assert int(spared[0]) < 0 < int(spared[1]), spared


def check_stop(p, v, c):
    c.want("spin", "CUDA_SUCCESS")
    p.stop()
    c.is_lost()
    c.quit()
    assert p.show("ActiveState", "Result") == ["inactive", "success"]
    assert p.place.run("pidof pvgpu-worker pvgpu-health", check=False, limit=service.SLOW).out == ""
    p.start()
    v.wait_connected(service.SLOW)
    assert vgpu.run_program(v.guest, "vecadd").status == 0


def check_reset(lab, p):
    """The command of the default setting, from pvgpud's unit; what nvidia-smi says when it refuses reaches the operator."""
    p.place.put_file("/usr/local/bin/nvidia-smi", NVIDIA_SMI.encode())
    p.place.run("chmod +x /usr/local/bin/nvidia-smi; touch /run/in-use")
    reset = f"{vgpu.CTL} gpu reset default --backend {p.domid} --timeout 600"
    r = lab.dom0.run(reset, check=False, limit=2 * service.SLOW)
    assert r.status == 1 and re.search("ended with status [1-9].*: GPU is in use by another client", r.err), (r.status, r.err)
    p.place.run("rm /run/in-use")
    r = lab.dom0.run(reset, check=False, limit=2 * service.SLOW)
    assert (r.status, r.err) == (0, "") and "was reset and is in use again" in r.out, (r.status, r.out, r.err)
    p.wait_log(f"resets the GPU: {service.PREFIX}/\\S*libexec/pvgpu/pvgpu-gpu-reset GPU-", service.SLOW)
    left = p.place.run(f"ls {vgpu.RUN_DIR}; rm /etc/reset-was-here").out
    assert "gpu-reset" not in left, left


def keep_attachd_log(lab):
    log = lab.dom0.run("journalctl -q --no-pager -o cat -u pvgpu-attachd", limit=service.SLOW).out
    lab.log.save("attachd", log)
    return log


def start_attachd(lab, v, backend):
    """pvgpu-attachd attaches the vGPU of its configuration."""
    lab.dom0.run("mkdir -p /etc/pvgpu/vms.d; systemctl start pvgpu-attachd", limit=service.SLOW)
    lab.dom0.put_file(f"/etc/pvgpu/vms.d/{v.guest.name}.conf",
                      VM.format(name=v.guest.name, uuid=v.uuid, backend=backend.name).encode())
    try:
        lab.dom0.run("systemctl reload pvgpu-attachd", limit=service.SLOW)
        v.wait_connected(service.SLOW)
    finally:
        keep_attachd_log(lab)


def stop_attachd(lab):
    lab.dom0.run("rm -r /etc/pvgpu/vms.d; systemctl stop pvgpu-attachd", limit=service.SLOW)
    log = keep_attachd_log(lab)
    assert not re.search("error|warning|denied", log), log
    assert service.failed_units(lab.dom0) == []


def run(lab):
    d = lab.create("gpu", "pvh", memory=512, service=True)
    guest = lab.create("guest", "pv", memory=256, payload=True)
    p = service.Service(lab, d, drop_in=DROP_IN, gpu_reset=None)
    p.systemctl("enable")
    p.start()
    v = vgpu.Vgpu(p, guest, 0)
    start_attachd(lab, v, d)
    check_reset(lab, p)
    c = vgpu.Cuda(guest)
    check_sandbox(p)
    p.systemctl("reload")
    p.wait_log("reload: .*; log_level is info", service.SLOW)
    check_goes_on(p, c, p.restart, "handing over: 1 session continues")
    check_goes_on(p, c, lambda: hang(p), r"Watchdog timeout")
    check_goes_on(p, c, p.kill, r"status=9/KILL")
    assert p.show("NRestarts") == ["2"]
    check_stop(p, v, c)
    verified = d.run(f"systemd-analyze verify --man=no {service.PREFIX}/lib/systemd/system/{service.UNIT}", limit=service.SLOW)
    assert not verified.err, verified.err
    assert service.failed_units(d) == []
    v.detach()
    stop_attachd(lab)
    p.stop()
    p.keep_logs()
    lab.keepers.remove(p)
