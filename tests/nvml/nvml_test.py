# SPDX-License-Identifier: MIT
"""The guest's libnvidia-ml.so.1 and pvgpu-smi on the local link, against what pvgpuctl says; and what a hostile peer can do to them."""
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import binding  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir, program, wait_for  # noqa: E402

LIBRARY = os.path.join(build_dir(), "lib", "libnvidia-ml.so.1")
MIB = 1 << 20
FOREVER = "1000000000"


class Env(PvgpuEnv):
    def occupy(self, name="vgpu0", mib=64, called=None):
        """A program that keeps the GPU busy, and has its memory; it may call itself something else."""
        path = os.path.join(self.build, "programs", "occupy")
        p = self.popen([called or path, FOREVER, "2000", "8", str(mib), "2000"], name, executable=path, stdout=subprocess.DEVNULL)
        wait_for("its memory", lambda: int(self.read(f"/vgpu/{name}/memory-used")) >= mib * MIB)
        return p

    def answers(self, name="vgpu0", rates=False):
        done = self.run([sys.executable, str(HERE / "binding.py"), LIBRARY, *(["--rates"] if rates else [])], name)
        assert not done.returncode and not done.stderr, done.stderr.decode()
        return json.loads(done.stdout)

    def ctl(self, name="vgpu0"):
        said = subprocess.run([program("pvgpuctl", self.build), "stats", "--json", "--run-dir", self.run_dir], capture_output=True, check=True).stdout
        return next(v for v in json.loads(said)["vgpus"] if v["name"] == name)


def end(p):
    p.send_signal(signal.SIGKILL)
    p.wait()


class Values(unittest.TestCase):
    @staticmethod
    def only(said, pid):
        return said if list(said["processes"]) == [str(pid)] else None

    def agree(self, env, pid):
        """pvgpuctl's figures and the library's are the same."""
        said, stats = env.answers(), env.ctl()
        same = said["memory"]["total"], said["memory"]["used"], said["processes"]
        return same == (stats["memory-limit"], stats["memory-used"], {str(pid): stats["memory-used"]})

    def test_in_use(self):
        """Memory, use and processes of the vGPU, nothing of the one beside it, and no session that stays."""
        with Env(vgpus={"vgpu0": "1G", "vgpu1": "512M"}) as env:
            own, other = env.occupy(mib=96), env.occupy("vgpu1", 32)
            try:
                # Its own session may end late, and the driver may count later what a context takes.
                wait_for("the same figures", lambda: self.agree(env, own.pid))
                beside = wait_for("the other's process", lambda: self.only(env.answers("vgpu1"), other.pid))
                # A busy machine may let the program do nothing for a second.
                said = wait_for("some use", lambda: next((a for a in [env.answers(rates=True)] if a["rates"]["gpu"]), None))
            finally:
                end(own)
                end(other)
            self.assertEqual(said["memory"]["total"], 1024 * MIB)
            self.assertEqual(said["memory"]["used"] + said["memory"]["free"], said["memory"]["total"])
            self.assertEqual({**said["memory2"], "version": 0, "reserved": 0}, {**said["memory"], "version": 0, "reserved": 0})
            self.assertEqual(said["rates"]["memory"], 0)
            self.assertEqual(beside["memory"]["total"], 512 * MIB)
            self.assertEqual((said["name"], said["capability"]), ("pvgpu simulated GPU", [9, 0]))
            self.assertRegex(said["uuid"], r"^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

    def test_idle(self):
        with Env(vgpus={"vgpu0": "1G"}) as env:
            env.wait_spare()
            said = wait_for("no process", lambda: next((a for a in [env.answers()] if not a["processes"]), None))
            self.assertEqual(said["memory"]["used"], 0)
            self.assertEqual(env.answers(rates=True)["rates"], {"gpu": 0, "memory": 0})

    def test_asking_opens_no_session(self):
        """Figures cost no session, facts one."""
        figures_only = f"import binding as b; l = b.Library('{LIBRARY}').open()\n" \
            "for _ in range(20): l.ask('nvmlDeviceGetMemoryInfo', b.Memory()), l.ask('nvmlDeviceGetUtilizationRates', b.Rates()), l.processes()"
        facts = f"import binding as b; l = b.Library('{LIBRARY}').open()\n" \
            "for _ in range(3): l.string('nvmlDeviceGetName'), l.string('nvmlDeviceGetUUID'), l.ask('nvmlDeviceGetPciInfo_v3', b.Pci())"
        with Env(vgpus={"vgpu0": "1G"}) as env:
            env.wait_spare()
            for script, sessions in (figures_only, "0"), (facts, "1"):
                done = env.run([sys.executable, "-c", script], extra={"PYTHONPATH": str(HERE)})
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertEqual(env.read("/vgpu/vgpu0/sessions-total"), sessions)
            env.wait_sessions(0)
            self.assertEqual((env.read("/vgpu/vgpu0/sessions-failed"), env.read("/vgpu/vgpu0/faults")), ("0", "0"))


NUMBERS = {"Architecture": 9, "Brand": 14, "NumGpuCores": 16896, "MinorNumber": 0, "BoardId": 0x100, "MultiGpuBoard": 0, "BusType": 2,
           "MaxPcieLinkGeneration": 5, "GpuMaxPcieLinkGeneration": 5, "PcieLinkMaxSpeed": 5, "MaxPcieLinkWidth": 16, "CurrPcieLinkWidth": 16,
           "DefaultEccMode": 1, "PersistenceMode": 1, "ComputeMode": 0, "AccountingMode": 0, "NumFans": 0, "PowerManagementMode": 1,
           "PowerManagementLimit": 700000, "EnforcedPowerLimit": 700000, "PowerManagementDefaultLimit": 700000}
SENSORS = {"PowerUsage": 100000, "PerformanceState": 0, "PowerState": 0}
# (name, what it is asked about): answer
CHOSEN = {("Temperature", 0): 40, ("ClockInfo", 0): 1800, ("ClockInfo", 1): 1800, ("ClockInfo", 2): 2600, ("ClockInfo", 3): 1500,
          ("PcieThroughput", 0): 3 << 20, ("PcieThroughput", 1): 1 << 20}
PAIRS = {"EccMode": [1, 1], "MigMode": [0, 0], "PowerManagementLimitConstraints": [200000, 700000], "EncoderUtilization": [0, 1000000],
         "DecoderUtilization": [0, 1000000]}


class Shared(unittest.TestCase):
    """What the GPU tells of itself, as far as its guests may know it."""
    def open(self, env):
        env.wait_spare()
        lib = binding.Library(LIBRARY).open()
        # pvgpu-health tells it in its first round, and the library asks pvgpud once a second.
        wait_for("a driver's version", lambda: self.text(lib, "nvmlSystemGetDriverVersion"))
        self.facts(lib)
        return lib

    @staticmethod
    def text(lib, name):
        room = ctypes.create_string_buffer(96)
        return room.value.decode() if not getattr(lib.lib, name)(room, 96) else None

    @staticmethod
    def asked(lib, name, *words, kind=binding.u32):
        out = kind()
        result = getattr(lib.lib, f"nvmlDeviceGet{name}")(lib.device, *words, ctypes.byref(out))
        return out.value if not result else f"error {result}"

    def facts(self, lib):
        self.assertEqual(self.text(lib, "nvmlSystemGetDriverVersion"), "580.65.06")
        self.assertEqual(self.text(lib, "nvmlSystemGetNVMLVersion"), "13.580.65.06")
        self.assertEqual({n: self.asked(lib, n) for n in NUMBERS}, NUMBERS)
        for name, values in PAIRS.items():
            a, b = binding.u32(9), binding.u32(9)
            lib.call(f"nvmlDeviceGet{name}", lib.device, ctypes.byref(a), ctypes.byref(b))
            self.assertEqual([a.value, b.value], values, name)
        self.assertEqual([self.asked(lib, "TemperatureThreshold", t) for t in (0, 1, 2)], [92, 89, "error 3"])
        self.assertEqual([self.asked(lib, "MaxClockInfo", c) for c in (3, 7)], [1545, "error 3"])
        pci = lib.ask("nvmlDeviceGetPciInfo_v3", binding.Pci())
        self.assertEqual((pci.chip, pci.board), (0x233010de, 0x16c110de))
        bar1 = (binding.u64 * 3)()
        lib.call("nvmlDeviceGetBAR1MemoryInfo", lib.device, bar1)
        self.assertEqual(list(bar1), [128 << 30, 128 << 30, 0])
        words = (ctypes.c_ulong * 64)()
        lib.call("nvmlDeviceGetCpuAffinity", lib.device, 64, words)
        self.assertEqual(sum(bin(w).count("1") for w in words), os.sysconf("SC_NPROCESSORS_CONF"))

    def sensors(self, lib, shown):
        self.assertEqual({n: self.asked(lib, n) for n in SENSORS}, {n: v if shown else "error 3" for n, v in SENSORS.items()})
        self.assertEqual({k: self.asked(lib, *k) for k in CHOSEN}, {k: v if shown else "error 3" for k, v in CHOSEN.items()})
        self.assertEqual(self.asked(lib, "TotalEccErrors", 1, 0, kind=binding.u64), 5 if shown else "error 3")
        # Corrected errors would help a guest that makes bits flip.
        self.assertEqual(self.asked(lib, "TotalEccErrors", 0, 0, kind=binding.u64), "error 3")
        self.assertEqual((self.asked(lib, "CurrPcieLinkGeneration"), self.asked(lib, "PcieSpeed")), (4, 16000) if shown else (5, 32000))
        fields = (Field * 3)(Field(id=1), Field(id=186), Field(id=82))
        lib.call("nvmlDeviceGetFieldValues", lib.device, 3, fields)
        self.assertEqual([(f.result, f.value) for f in fields], [(0, 1), (0, 100000) if shown else (3, 0), (3, 0)])

    def look(self, config, shown):
        env = Env(vgpus={"vgpu0": "1G"}, sim={"SIMCUDA_NVML_UNCORRECTED": "5", "SIMCUDA_NVML_ECC": "7", "SIMCUDA_NVML_PCIE_GENERATION": "4"})
        env.write_config(config)
        with env, environment(env.socket()):
            lib = self.open(env)
            self.sensors(lib, shown)
            lib.call("nvmlShutdown")

    def test_coarse(self):
        self.look("", True)

    def test_off(self):
        self.look("[pool default]\ndevice = 0\ngpu_sensors = off\n", False)

    def test_confidential(self):
        """Never in a confidential pool, whatever the setting."""
        self.look("[pool default]\ndevice = 0\nmode = confidential\ngpu_sensors = coarse\n", False)

    def test_lies(self):
        """Texts of a hostile backend: no NUL, no text, numbers that are none."""
        head = struct.pack("=II", MAGIC, 0x80000002)
        for text in b"brand=7 " * 300, b"brand=99999999999999999999", b"\xff" * 2052, b"brand", b"", b"brand=7 brand=8":
            with tempfile.TemporaryDirectory() as folder, environment(os.path.join(folder, "s")):
                peer = Peer(os.path.join(folder, "s"), head + text[:2052].ljust(2052, b"\0"))
                # Each answer is kept for a second, in the process that asked.
                done = subprocess.run([sys.executable, "-c", f"import binding as b; l = b.Library('{LIBRARY}').open(); "
                                       "print(l.lib.nvmlDeviceGetBrand(l.device, b.ctypes.byref(b.u32())))"],
                                      env={**os.environ, "PYTHONPATH": str(HERE)}, capture_output=True, check=True)
                peer.close()
                self.assertEqual(done.stdout, b"3\n", text[:20])


class Field(ctypes.Structure):
    _fields_ = [("id", binding.u32), ("scope", binding.u32), ("at", ctypes.c_longlong), ("latency", ctypes.c_longlong), ("type", binding.u32),
                ("result", binding.u32), ("value", binding.u64)]


class environment:  # pylint: disable=invalid-name
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        os.environ["PVGPU_SOCKET"] = self.path

    def __exit__(self, *_):
        del os.environ["PVGPU_SOCKET"]


class Peer:
    """In pvgpud's place: gives each that comes this answer."""
    def __init__(self, path, answer):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.bind(path)
        self.sock.listen(16)
        self.answer, self.asked = answer, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                self.asked.append(conn.recv(4096))
                if self.answer:
                    conn.send(self.answer)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


MAGIC, VERSION, SESSIONS = 0x75677670, 0x80000001, 128


def figures(magic=MAGIC, version=VERSION, asker=None, sessions=0, limit=1 << 30, used=1 << 20, time=0, pids=()):
    tail = b"".join(struct.pack("=iIQ", pid, 0, 4096) for pid in pids)
    return struct.pack("=IIiIQQQ", magic, version, os.getpid() if asker is None else asker, sessions, limit, used, time) + \
        tail.ljust(16 * SESSIONS, b"\0")


class Lies(unittest.TestCase):
    def said(self, answer):
        with tempfile.TemporaryDirectory() as folder, environment(os.path.join(folder, "s")):
            peer = Peer(os.path.join(folder, "s"), answer)
            try:
                lib = binding.Library(LIBRARY).open()
                try:
                    memory = binding.fields(lib.ask("nvmlDeviceGetMemoryInfo", binding.Memory()))
                except binding.Error as e:
                    memory = e.result
                try:
                    processes = lib.processes()
                except binding.Error as e:
                    processes = e.result
                lib.call("nvmlShutdown")
                return memory, processes
            finally:
                peer.close()

    def test_truth(self):
        memory, processes = self.said(figures(sessions=2, pids=(7, 8)))
        self.assertEqual((memory["total"], memory["used"], processes), (1 << 30, 1 << 20, {7: 4096, 8: 4096}))

    def test_malformed(self):
        for answer in figures()[:-1], figures() + b"x", figures(magic=1), figures(version=1), b"", b"x":
            with self.subTest(answer[:12]):
                memory, processes = self.said(answer)
                self.assertIn(memory, (3, 999))
                self.assertIn(processes, (3, 999))

    def test_too_many(self):
        _, processes = self.said(figures(sessions=2 ** 32 - 1, pids=range(1, SESSIONS + 1)))
        self.assertEqual(len(processes), SESSIONS)

    def test_more_used_than_there_is(self):
        memory, _ = self.said(figures(limit=5, used=7))
        self.assertEqual(memory, {"total": 5, "free": 0, "used": 5})

    def test_other_namespace(self):
        """Numbers of another namespace are not shown: the list has the caller alone, by its number here, or nobody."""
        self.assertEqual(self.said(figures(asker=1, sessions=3, pids=(2, 1, os.getpid())))[1], {os.getpid(): 4096})
        self.assertEqual(self.said(figures(asker=1, sessions=1, pids=(2,)))[1], {})
        self.assertEqual(self.said(figures(asker=0, sessions=2, pids=(0, 7)))[1], {})

    def test_older_backend(self):
        """A pvgpud that does not know the question refuses it as another version of the link's."""
        refusal = struct.pack("=IIiIIIQ104s", MAGIC, 1, 93, 0, 0, 0, 0, b"local link version")
        self.assertEqual(self.said(refusal), (binding.NOT_SUPPORTED, binding.NOT_SUPPORTED))


class Calls(unittest.TestCase):
    def result(self, lib, name, *words):
        return getattr(lib.lib, name)(*words)

    def test_before_and_after(self):
        """Without init each call says so, and without a vGPU init does."""
        lib = binding.Library(LIBRARY)
        names = [line.split()[1] for line in (HERE.parents[1] / "libpvgpu/ml/symbols.api").read_text().splitlines() if line.startswith("symbol")]
        room = ctypes.create_string_buffer(256)
        for name in names:
            if name not in ("nvmlErrorString", "nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags"):
                self.assertEqual(self.result(lib, name, room, room, room, room), 1, name)
        with environment("/nowhere/at/all"):
            for name in "nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags":
                self.assertEqual(self.result(lib, name, 0), 9, name)

    def test_arguments(self):
        with Env(vgpus={"vgpu0": "1G"}) as env, environment(env.socket()):
            env.wait_spare()
            lib = binding.Library(LIBRARY).open()
            room, n, dev = ctypes.create_string_buffer(256), binding.u32(0), lib.device
            wrong = ctypes.c_void_p(8)
            other = ctypes.c_void_p()
            call = self.result
            self.assertEqual(call(lib, "nvmlDeviceGetComputeRunningProcesses_v3", dev, ctypes.byref(n), None), 0)
            self.assertEqual(call(lib, "nvmlDeviceGetHandleByIndex_v2", 1, ctypes.byref(other)), 2)
            self.assertEqual(call(lib, "nvmlDeviceGetName", wrong, room, 256), 2)
            self.assertEqual(call(lib, "nvmlDeviceGetName", dev, None, 256), 2)
            self.assertEqual(call(lib, "nvmlDeviceGetName", dev, room, 5), 7)
            self.assertEqual(call(lib, "nvmlDeviceGetMemoryInfo", dev, None), 2)
            self.assertEqual(call(lib, "nvmlDeviceGetMemoryInfo_v2", dev, ctypes.byref(binding.Memory2(version=1))), 25)
            self.assertEqual(call(lib, "nvmlDeviceGetComputeRunningProcesses_v3", dev, None, None), 2)
            for name in "nvmlDeviceGetSerial", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetNvLinkState", \
                    "nvmlDeviceGetProcessUtilization", "nvmlDeviceSetPersistenceMode":
                self.assertEqual(call(lib, name, dev, room, room), 3, name)
            uuid = lib.string("nvmlDeviceGetUUID").encode()
            self.assertEqual(call(lib, "nvmlDeviceGetHandleByUUID", uuid, ctypes.byref(other)), 0)
            self.assertEqual(other.value, dev.value)
            self.assertEqual(call(lib, "nvmlDeviceGetHandleByUUID", b"GPU-0", ctypes.byref(other)), 6)
            pci = lib.ask("nvmlDeviceGetPciInfo_v3", binding.Pci())
            for name in pci.id, pci.legacy, b"00000000:01:00.0", b"1:0":
                self.assertEqual(call(lib, "nvmlDeviceGetHandleByPciBusId_v2", name, ctypes.byref(other)), 0, name)
            self.assertEqual(call(lib, "nvmlDeviceGetHandleByPciBusId_v2", b"0000:7f:00.0", ctypes.byref(other)), 6)
            self.assertEqual(call(lib, "nvmlShutdown"), 0)
            self.assertEqual(call(lib, "nvmlShutdown"), 1)

    def test_short_room(self):
        """A list that is too short says how long it must be."""
        with Env(vgpus={"vgpu0": "1G"}) as env, environment(env.socket()):
            p = env.occupy(mib=1)
            try:
                lib, n = binding.Library(LIBRARY).open(), binding.u32(0)
                for v in "", "_v2", "_v3":
                    n.value = 0
                    self.assertEqual(self.result(lib, f"nvmlDeviceGetComputeRunningProcesses{v}", lib.device, ctypes.byref(n), None), 7)
                    self.assertEqual(n.value, 1)
                lib.call("nvmlShutdown")
            finally:
                end(p)


class Smi(unittest.TestCase):
    GOOD = (["-L"], ["--list-gpus", "-i", "0"], ["--query-gpu=count", "--format=csv"], ["-i", "0000:01:00.0", "-L"])
    BAD = ((["-x"], 2), (["word"], 2), (["-l", "x"], 2), (["-l", "0"], 2), (["-lms", "-1"], 2), (["--query-gpu=name"], 2), (["--format=csv"], 2),
           (["--query-gpu=name", "--format=xml"], 2), (["--query-gpu=name", "--format=noheader"], 2), (["-L", "--json"], 2),
           (["--query-gpu=nothing", "--format=csv"], 2), (["--query-gpu=name,,index", "--format=csv"], 2), (["-i", "1", "-L"], 6),
           (["-i", "GPU-1", "-L"], 6), (["-i", "0000:02:00.0", "-L"], 6))

    def smi(self, env, *words, status=0):
        done = env.run([program("pvgpu-smi", env.build), *words])
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(bool(done.stderr), bool(status), done.stderr)
        return done.stdout.decode() if not status else done.stderr.decode()

    def test_output(self):
        with Env(vgpus={"vgpu0": "1G"}) as env:
            p = env.occupy()
            try:
                # The driver may count later what a context takes.
                said = wait_for("the same memory", lambda: next(
                    (s for s in [json.loads(self.smi(env, "--json"))] if s["gpus"][0]["memory_used"] == env.ctl()["memory-used"]), None))
                table = self.smi(env)
                names = "index,name,uuid,memory.total,memory.used,memory.free,temperature.gpu"
                csv = self.smi(env, f"--query-gpu={names}", "--format=csv").splitlines()
                bare = self.smi(env, f"--query-gpu={names}", "--format=csv,noheader,nounits").splitlines()
                apps = self.smi(env, "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader").splitlines()
                listed = self.smi(env, "-L")
                for words in self.GOOD:
                    self.assertTrue(self.smi(env, *words), words)
                for words, status in self.BAD:
                    self.assertIn("pvgpu-smi: ", self.smi(env, *words, status=status))
                self.look_again(env)
            finally:
                end(p)
            gpu = said["gpus"][0]
            used = gpu["memory_used"] // MIB
            self.assertEqual(gpu["processes"], [{"pid": p.pid, "name": p.args[0], "memory_used": gpu["memory_used"]}])
            self.assertEqual(listed, f"GPU 0: {gpu['name']} (UUID: {gpu['uuid']})\n")
            self.assertEqual(csv[0], "index, name, uuid, memory.total [MiB], memory.used [MiB], memory.free [MiB], temperature.gpu")
            self.assertEqual(csv[1:], [f"0, {gpu['name']}, {gpu['uuid']}, 1024 MiB, {used} MiB, {1024 - used} MiB, [N/A]"])
            self.assertEqual(bare, [f"0, {gpu['name']}, {gpu['uuid']}, 1024, {used}, {1024 - used}, [N/A]"])
            self.assertEqual(apps, [f"{p.pid}, {p.args[0]}, {used} MiB"])
            rows = [line for line in table.splitlines()[1:] if line]
            self.assertEqual({len(line) for line in rows}, {79}, table)
            for word in f"{used}MiB / 1024MiB", f" {p.pid} ", "CUDA Version: 13.0", gpu["name"], f" {used}MiB |":
                self.assertIn(word, table)

    def look_again(self, env):
        """-lms prints until it is ended, the header once."""
        p = env.popen([program("pvgpu-smi", env.build), "--query-gpu=index,memory.total", "--format=csv", "-lms", "1"], stdout=subprocess.PIPE)
        lines = [p.stdout.readline() for _ in range(5)]
        end(p)
        p.stdout.close()
        self.assertEqual(lines, [b"index, memory.total [MiB]\n"] + 4 * [b"0, 1024 MiB\n"])

    def test_hostile_name(self):
        """A process's name, which the process chooses, is no control sequence of a terminal, and no row or field of CSV."""
        with Env(vgpus={"vgpu0": "1G"}) as env:
            p = env.occupy(called='"\x1b[31mx\x9b\x7f\t,y\r\n7, forged\\')
            try:
                table = self.smi(env)
                rows = self.smi(env, "--query-compute-apps=name,pid", "--format=csv,noheader")
                said = json.loads(self.smi(env, "--json"))
            finally:
                end(p)
            name = "?[31mx????,y??7, forged\\"
            self.assertEqual([x["name"] for x in said["gpus"][0]["processes"]], ['"' + name])
            self.assertEqual(rows, f"?{name.replace(',', '?')}, {p.pid}\n")
            self.assertIn(f' {p.pid}      C   "{name} ', table)
            self.assertEqual(set(re.findall(r"[^ -~\n]", table)), set())

    def test_no_vgpu(self):
        done = subprocess.run([program("pvgpu-smi")], capture_output=True, env={"PVGPU_SOCKET": "/nowhere/at/all"}, check=False)
        self.assertEqual((done.returncode, done.stdout), (9, b""))
        self.assertRegex(done.stderr, rb"^pvgpu-smi: no vGPU: .*\n$")

    def test_nobody_answers(self):
        """The socket of a pvgpud that is gone."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.bind(path)
            for words in [], ["--query-gpu=memory.used", "--format=csv,noheader"]:
                done = subprocess.run([program("pvgpu-smi"), *words], capture_output=True, env={"PVGPU_SOCKET": path}, check=False)
                self.assertEqual((done.returncode, done.stdout), (15, b""))
                self.assertRegex(done.stderr, rb"^pvgpu-smi: GPU 0: its backend does not answer.*\n$")

    def test_stopped(self):
        """A pvgpud that accepts connections and does not answer: all that it is asked has an end."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            path = os.path.join(folder, "s")
            s.bind(path)
            s.listen(64)
            name = f"import binding as b\ntry: b.Library('{LIBRARY}').open().string('nvmlDeviceGetName')\nexcept b.Error as e: print(e)"
            smi = [[program("pvgpu-smi"), *words] for words in ([], ["-L"], ["--query-gpu=memory.used", "--format=csv,noheader"])]
            # All of them wait at the same time.
            asking = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PVGPU_SOCKET": path}, cwd=HERE)
                      for words in (*smi, [sys.executable, "-B", "-c", name])]
            try:
                said = [(*p.communicate(timeout=120), p.returncode) for p in asking]
            finally:
                for p in asking:
                    end(p)
            for out, err, status in said[:-1]:
                self.assertEqual((status, out), (15, b""))
                self.assertRegex(err, rb"^pvgpu-smi: GPU 0: its backend does not answer.*\n$")
            self.assertEqual(said[-1], (b"nvmlDeviceGetName: 10\n", b"", 0))

    def test_man_page(self):
        """Its options are those of the help."""
        said = subprocess.run([program("pvgpu-smi"), "--help"], capture_output=True, text=True, check=True).stdout
        page = (HERE.parents[1] / "libpvgpu/smi/pvgpu-smi.1").read_text().replace(" -", " --")
        for option in set(re.findall(r"--[a-z][a-z-]+", said)):
            self.assertIn(option, page)


class Symbols(unittest.TestCase):
    def test_exports(self):
        """What symbols.api says, and what clients ask for by name."""
        said = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True).stdout
        have = {line.split()[2] for line in said.splitlines()}
        described = set(re.findall(r"^symbol (\w+)", (HERE.parents[1] / "libpvgpu/ml/symbols.api").read_text(), re.M))
        wanted = {line for line in (HERE / "imports.txt").read_text().splitlines() if line and not line.startswith("#")}
        self.assertEqual(have, described)
        self.assertGreater(len(wanted), 60)
        self.assertEqual(wanted - have, set())


if __name__ == "__main__":
    unittest.main()
