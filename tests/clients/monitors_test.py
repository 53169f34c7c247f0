# SPDX-License-Identifier: MIT
"""gpustat, nvitop, nvtop and pynvml as Debian 13 has them, in a chroot with our libnvidia-ml.so.1: each shows the vGPU as pvgpuctl has it,
and says nothing on standard error. Needs root and a mirror of Debian's."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "integration"), str(HERE.parent / "packaging")]
import chroot  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir, program, wait_for  # noqa: E402

SUITE, CLIENTS = "trixie", ("gpustat", "nvitop", "nvtop", "python3-pynvml")
MIB = 1 << 20
LIMIT = 300
PYNVML = """
import json, pynvml as n
n.nvmlInit()
assert n.nvmlDeviceGetCount() == 1
d = n.nvmlDeviceGetHandleByIndex(0)
m, u = n.nvmlDeviceGetMemoryInfo(d), n.nvmlDeviceGetUtilizationRates(d)
assert n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(n.nvmlDeviceGetUUID(d))) == 0
assert n.nvmlDeviceGetMemoryInfo(d, version=n.nvmlMemory_v2).used == m.used
assert n.nvmlDeviceGetTemperature(d, n.NVML_TEMPERATURE_GPU) == 40
assert n.nvmlSystemGetDriverVersion() == "580.65.06"
try:
    n.nvmlDeviceGetSerial(d)
    raise SystemExit("a serial number")
except n.NVMLError_NotSupported:
    pass
p = [(p.pid, p.usedGpuMemory) for p in n.nvmlDeviceGetComputeRunningProcesses(d)]
print(json.dumps({"name": n.nvmlDeviceGetName(d), "total": m.total, "used": m.used, "use": u.gpu, "processes": p}))
n.nvmlShutdown()
"""


class Monitors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            raise unittest.SkipTest("a chroot needs root and debootstrap")
        cls.system = chroot.Chroot(pathlib.Path(build_dir()) / "monitors", SUITE, CLIENTS, "contrib non-free")
        try:
            cls.system.bootstrap()
        except chroot.Missing as e:
            raise unittest.SkipTest(str(e)) from e
        cls.addClassCleanup(cls.system.remove)
        cls.system.unpack()
        root = cls.system.root
        for folder in "opt/pvgpu", "mnt":
            (root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(build_dir(), "lib", "libnvidia-ml.so.1"), root / "opt/pvgpu")
        (root / "opt/pvgpu/ask.py").write_text(PYNVML)
        cls.pvgpu = PvgpuEnv(vgpus={"vgpu0": "1G", "vgpu1": "512M"})
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()
        cls.busy = [cls.occupy(name, mib) for name, mib in (("vgpu0", 64), ("vgpu1", 32))]

    @classmethod
    def occupy(cls, name, mib):
        p = cls.pvgpu.popen([os.path.join(build_dir(), "programs", "occupy"), "1000000000", "2000", "8", str(mib), "2000"], name,
                            stdout=subprocess.DEVNULL)

        def stop():
            p.send_signal(signal.SIGKILL)
            p.wait()

        cls.addClassCleanup(stop)
        wait_for("its memory", lambda: int(cls.pvgpu.read(f"/vgpu/{name}/memory-used")) >= mib * MIB)
        return p

    def used(self):
        said = subprocess.run([program("pvgpuctl"), "stats", "--json", "--run-dir", self.pvgpu.run_dir], capture_output=True, check=True)
        return next(v["memory-used"] for v in json.loads(said.stdout)["vgpus"] if v["name"] == "vgpu0")

    def client(self, command):
        """What it prints. The processes are those of the machine, as pvgpud has them."""
        enter = 'mount --rbind /proc "$1/proc" && mount --bind "$2" "$1/mnt" && exec chroot "$1" /usr/bin/env -i PATH=/usr/bin:/bin TERM=xterm ' \
                'HOME=/root LC_ALL=C.UTF-8 LD_LIBRARY_PATH=/opt/pvgpu PVGPU_SOCKET=/mnt/vgpu0.sock sh -c "$3"'
        done = subprocess.run(["unshare", "--mount", "sh", "-c", enter, "sh", self.system.root, self.pvgpu.run_dir, command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{command}: {done.stdout}")
        self.assertNotIn(f" {self.busy[1].pid} ", done.stdout)
        return done.stdout

    def test_pynvml(self):
        said = json.loads(self.client("python3 /opt/pvgpu/ask.py"))
        self.assertEqual((said["name"], said["total"]), ("pvgpu simulated GPU", 1 << 30))
        self.assertEqual(said["used"], self.used())
        self.assertIn([self.busy[0].pid, self.used()], said["processes"])
        self.assertIn(said["use"], range(101))

    def test_gpustat(self):
        gpu = json.loads(self.client("gpustat --json"))["gpus"]
        self.assertEqual(len(gpu), 1)
        self.assertEqual((gpu[0]["name"], gpu[0]["memory.total"], gpu[0]["memory.used"]), ("pvgpu simulated GPU", 1024, self.used() // MIB))
        self.assertEqual((gpu[0]["temperature.gpu"], gpu[0]["power.draw"], gpu[0]["enforced.power.limit"]), (40, 100, 700))
        self.assertIn((self.busy[0].pid, "occupy", self.used() // MIB), {(p["pid"], p["command"], p["gpu_memory_usage"]) for p in gpu[0]["processes"]})
        line = self.client("gpustat --no-color --no-header --show-cmd --show-user --show-pid")
        self.assertRegex(line, rf"^\[0\] pvgpu simulated GPU .*{self.used() // MIB} / +1024 MB .*occupy/{self.busy[0].pid}\(")

    def test_nvitop(self):
        said = self.client("nvitop -1 --ascii")
        self.assertRegex(said, rf"{self.used() / MIB:.2f}MiB / 1024MiB")
        self.assertRegex(said, rf" {self.busy[0].pid} +C +root {self.used() / MIB:.2f}MiB")
        for word in "CUDA Driver Version: 13.0", "Driver Version: 580.65.06", "40C":
            self.assertIn(word, said)

    def test_nvtop(self):
        said = json.loads(self.client("nvtop -s"))
        self.assertEqual([g["device_name"] for g in said], ["pvgpu simulated GPU"])
        self.assertEqual(said[0]["mem_util"], f"{100 * self.used() // (1 << 30)}%")
        self.assertRegex(said[0]["gpu_util"], r"^\d+%$")
        self.assertEqual([said[0][k] for k in ("temp", "power_draw", "gpu_clock", "mem_clock")], ["40C", "100W", "1800MHz", "2600MHz"])


if __name__ == "__main__":
    unittest.main()
