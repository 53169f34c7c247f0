#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gpu-meter, what is made of its figures, and how clients are judged, on the simulated GPU: PVGPU_BUILD names the build.

Run by `make check-gpu-measure`."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "kit"))
import clients  # noqa: E402
import meters  # noqa: E402
import speed  # noqa: E402
from meter import Meter, MeterError  # noqa: E402
from nvml import Nvml  # noqa: E402
from pvgpu_env import build_dir  # noqa: E402
from stage import Absent, Context, Failed  # noqa: E402

BUILD = pathlib.Path(build_dir()).resolve()
SIMCUDA = BUILD / "simcuda"
METER = str(BUILD / "tests" / "gpu-meter")


class Folder(unittest.TestCase):
    """With a folder and a simulated GPU of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pvgpu-measure-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.kept = {}
        sim = {"SIMCUDA_GPU": os.path.join(self.folder, "gpu")}
        patch = unittest.mock.patch.dict(os.environ, sim)
        patch.start()
        self.addCleanup(patch.stop)

    def context(self, **kw):
        def tell(keep=None, **_):
            self.kept.update(keep or {})
        return Context(BUILD, SIMCUDA, quick=True, tell=tell, scratch=self.folder, logs=self.folder, limit_s=120, **kw)

    def meter(self, **sim):
        env = {**os.environ, **sim, "LD_LIBRARY_PATH": str(SIMCUDA)}
        m = Meter(METER, env)
        self.addCleanup(m.kill)
        return m


class Commands(Folder):
    LINES = ("launch 200", "awaited meminfo 20", "awaited synchronise 20", "awaited query 20", "sync auto 20", "sync spin 20",
             "sync yield 20", "sync blocking 20", "event 20", "copy h2d pinned 65536 3", "copy d2h pinned 65536 3",
             "copy h2d pageable 4096 3", "copy d2h pageable 12000000 2", "d2d 65536 3", "hostreg 65536 3", "release",
             "latency 100 1000 5", "memory", "limit stack 4096", "where", "nap 10 3")

    def test_each_answers(self):
        m = self.meter()
        self.assertGreater(m.do("open")["first_kernel_at_ns"], m.begun_ns)
        for line in self.LINES:
            found = m.do(*line.split())
            self.assertEqual(found.get("wrong_words", 0), 0, line)
            # Of n times the middle lies between the ends.
            for key in (k for k in found if k.endswith("_p50_ns")):
                least, most = (found[key.replace("p50", w)] for w in ("min", "max"))
                self.assertTrue(least <= found[key] <= most, (line, found))
        self.assertEqual(m.close(), 0)

    def test_busy_counts_what_is_done(self):
        m = self.meter()
        m.do("open")
        found = m.do("busy", 1000, 0.5, 4)
        self.assertEqual(len(found["windows"]), 5)
        self.assertEqual(sum(found["windows"]), found["done_in_time"])
        self.assertTrue(found["done_in_time"] <= found["done"] <= found["done_in_time"] + 5, found)
        # Kernels that take so long cannot be more than that.
        self.assertLessEqual(found["done"], found["spent_ns"] / 1e6)
        self.assertGreaterEqual(found["event_span_ms"], found["done"] * 1.0)
        self.assertGreater(m.do("calibrate", 100)["iterations"], 0)

    def test_what_fails_is_said(self):
        m = self.meter()
        m.do("open")
        for line, result in (("nonsense", "CUDA_ERROR_INVALID_VALUE"), ("launch", "CUDA_ERROR_INVALID_VALUE"),
                             ("busy 0 1", "CUDA_ERROR_INVALID_VALUE"), ("alloc 999999999999999", "CUDA_ERROR_OUT_OF_MEMORY")):
            m.start(*line.split())
            self.assertEqual(m.end()["result"], result, line)
        with self.assertRaisesRegex(MeterError, r"alloc: CUDA_ERROR_OUT_OF_MEMORY \(cuMemAlloc\)"):
            m.do("alloc", 999999999999999)
        m.do("launch", 10)

    def test_a_copy_that_lacks_bytes_is_noticed(self):
        m = self.meter(SIMCUDA_FAULT="mutate:copy-tail")
        m.do("open")
        for way in ("h2d", "d2h"):
            self.assertGreater(m.do("copy", way, "pinned", 65536, 2)["wrong_words"], 0, way)

    def test_no_answer(self):
        m = self.meter(SIMCUDA_FAULT="hang-copy:1")
        m.do("open")
        with self.assertRaisesRegex(MeterError, "no answer"):
            m.do("copy", "h2d", "pinned", 65536, 1, limit=1)
        with self.assertRaisesRegex(MeterError, "it ended with status -9"):
            m.do("memory")


class Same:
    """A meter that finds what it is told to."""
    name = "fake"

    def __init__(self, *answers):
        self.answers = list(answers)

    def do(self, *_, limit=0):
        return self.answers.pop(0)


class Figures(unittest.TestCase):
    def test_ratios_are_of_one_round(self):
        native = Same({"a_ns": 100, "b_gbps": 4.0, "a_max_ns": 7}, {"a_ns": 200, "b_gbps": 2.0, "a_max_ns": 7},
                      {"a_ns": 100, "b_gbps": 4.0, "a_max_ns": 7})
        pvgpu = Same(*({"a_ns": 400, "b_gbps": 1.0, "a_max_ns": 7, "more_ns": 1} for _ in range(3)))
        self.assertEqual(meters.alternate((native, pvgpu), ["x"], 3), {
            "native_a_ns": 100, "pvgpu_a_ns": 400, "a_ratio": 4, "a_ratio_min": 2, "a_ratio_max": 4,
            "native_b_gbps": 4, "pvgpu_b_gbps": 1, "b_bandwidth_ratio": 0.25, "b_bandwidth_ratio_min": 0.25,
            "b_bandwidth_ratio_max": 0.5})

    def test_wrong_copies(self):
        with self.assertRaisesRegex(Failed, "x: fake copied wrongly"):
            meters.alternate((Same({"wrong_words": 1}), Same({})), ["x"], 1)

    def test_jain(self):
        self.assertEqual(meters.jain([5, 5, 5]), 1)
        self.assertEqual(meters.jain([6, 0, 0]), 1 / 3)
        self.assertEqual(meters.jain([0, 0]), 0)
        self.assertEqual(meters.jain_of_windows([[4, 0, 2, 2, 9], [0, 4, 2, 2, 9]], 2), [1, 1])
        self.assertEqual([meters.short(n) for n in (4096, 1 << 20, 2 << 30, 1000)], ["4k", "1m", "2g", "1000"])


class Speed(Folder):
    def test_one_size_that_fails_costs_itself(self):
        ctx = self.context()
        with self.assertRaisesRegex(Failed, "too_large: d2d: CUDA_ERROR_OUT_OF_MEMORY"):
            with speed.Both(ctx) as both:
                both.run("too_large", "d2d", 1 << 40, 1)
                both.run("small", "d2d", 4096, 1)
        self.assertIn("small_row_bandwidth_ratio", self.kept)


ADDS = """
import ctypes
from client import ADD_PTX, SUMS, Driver, check
driver = Driver()
check("sums", driver.add(driver.load(ADD_PTX, "add"), ctypes.c_int32, 256), SUMS)
"""
THROUGH = "import os\nif 'PVGPU_SOCKET' in os.environ:\n    "


class Clients(Folder):
    """Scripts instead of other people's packages."""

    def judge(self, script, refused=False, module=None):
        folder = os.path.join(self.folder, "clients")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(HERE / "kit" / "clients" / "client.py", folder)
        with open(os.path.join(folder, "script.py"), "w", encoding="utf-8") as f:
            f.write(script)
        self.kept.clear()
        with unittest.mock.patch.object(clients, "HERE", self.folder):
            return clients.client(clients.Client("script", "script.py", module, refused=refused), self.context())

    def test_the_same_both_ways(self):
        self.judge(ADDS)
        self.assertEqual((self.kept["sessions"], self.kept["launches"], self.kept["same_output"]), (1, 1, 1), self.kept)
        self.assertEqual([os.path.dirname(p) for p in self.kept["pvgpu_libcuda"]], [str(BUILD / "lib")])
        self.assertEqual([os.path.dirname(p) for p in self.kept["native_libcuda"]], [str(SIMCUDA)])

    def test_refusals(self):
        script = THROUGH + "raise SystemExit('this is not the driver')\n" + ADDS
        self.judge(script, refused=True)
        self.assertEqual((self.kept["refused"], self.kept["pvgpu_text"]), (1, ["this is not the driver"]))
        with self.assertRaisesRegex(Failed, "through pvgpu it ended with 1: this is not the driver"):
            self.judge(script)
        with self.assertRaisesRegex(Failed, "through pvgpu it died of signal 11"):
            self.judge(THROUGH + "os.kill(os.getpid(), 11)\n" + ADDS, refused=True)

    def test_what_is_wrong(self):
        with self.assertRaisesRegex(Failed, "its output through pvgpu is another one"):
            self.judge(THROUGH + "print('more')\n" + ADDS)
        with self.assertRaisesRegex(Failed, "through pvgpu it had another libcuda"):
            self.judge(THROUGH + f"import ctypes; ctypes.CDLL('{SIMCUDA}/libcuda.so.1')\n" + ADDS)
        with self.assertRaisesRegex(Failed, "it had no session"):
            self.judge("print('nothing')")

    def test_absent(self):
        with self.assertRaisesRegex(Absent, "^this is the simulated GPU$"):
            self.judge("from client import Driver\nDriver().for_compilers()")
        with self.assertRaisesRegex(Absent, "natively it ended with 1: no"):
            self.judge("raise SystemExit('no')")
        with self.assertRaisesRegex(Absent, "no Python here finds the module no_such_module"):
            self.judge("", module="no_such_module")


class NvmlView(Folder):
    def test_processes_and_samples(self):
        m = self.meter()
        m.do("open")
        nvml = Nvml(str(SIMCUDA / "libnvidia-ml.so.1"))
        self.assertIn(m.pid, nvml.processes())
        self.assertEqual(nvml.memory()["total"], m.do("memory")["total_bytes"])
        m.do("busy", 1000, 0.5)
        self.assertIn(m.pid, {pid for pid, _, _ in nvml.samples()})


if __name__ == "__main__":
    unittest.main()
