# SPDX-License-Identifier: MIT
"""GStreamer's nvcodec plugin of Debian's: its CUDA elements give the same bytes directly on the simulated GPU and through pvgpu, and those that went in.

The plugin shows no element where there is no library of NVIDIA's video decoder: nvcuvid.c stands in for it and has no decoder. Its elements that compute
(cudaconvert, cudascale) compile their kernels with NVRTC as they are made, which Debian has not; the plugin does without."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

LAUNCH, INSPECT = shutil.which("gst-launch-1.0"), shutil.which("gst-inspect-1.0")
PLUGINS = pathlib.Path("/usr/lib/x86_64-linux-gnu/gstreamer-1.0")
USED = ("coreelements", "videotestsrc", "nvcodec")
LIMIT = 120
SOURCE = "videotestsrc num-buffers=6 pattern=smpte ! video/x-raw,format={},width=160,height=120"
CUDA = "video/x-raw(memory:CUDAMemory)"
FORMATS = ("NV12", "I420", "YV12", "P010_10LE", "I420_10LE", "Y444", "Y444_16LE", "BGRA", "RGB", "YUY2")
# {}: the format; what each sink gets is what the source gives
PIPELINES = {
    "up and down": SOURCE + f" ! cudaupload ! {CUDA} ! cudadownload ! video/x-raw ! filesink location=out0",
    "in three threads": SOURCE + f" ! queue ! cudaupload ! {CUDA} ! queue ! cudadownload ! video/x-raw ! filesink location=out0",
    "two at once": SOURCE + f" ! tee name=t t. ! queue ! cudaupload ! {CUDA} ! cudadownload ! video/x-raw ! filesink location=out0 "
                            f"t. ! queue ! cudaupload cuda-device-id=0 ! {CUDA} ! queue ! cudadownload ! video/x-raw ! filesink location=out1",
    "down twice": SOURCE + f" ! cudaupload ! {CUDA} ! tee name=t t. ! queue ! cudadownload ! video/x-raw ! filesink location=out0 "
                           "t. ! queue ! cudadownload ! video/x-raw ! filesink location=out1",
}


class Elements(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [p for p in USED if not (PLUGINS / f"libgst{p}.so").exists()]
        if not LAUNCH or not INSPECT or missing:
            raise unittest.SkipTest("no GStreamer with nvcodec: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-bad")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="pvgpu-gstreamer-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "lib").mkdir()
        subprocess.run(["cc", "-shared", "-fPIC", "-o", cls.folder / "lib/libnvcuvid.so.1", HERE / "nvcuvid.c"], check=True)
        (cls.folder / "plugins").mkdir()
        for name in USED:
            (cls.folder / "plugins" / f"libgst{name}.so").symlink_to(PLUGINS / f"libgst{name}.so")
        cls.pvgpu = PvgpuEnv(build=build_dir())
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()

    def run_tool(self, command, direct):
        env = self.pvgpu.guest_env(direct=direct)
        env.update(LD_LIBRARY_PATH=f"{env['LD_LIBRARY_PATH']}:{self.folder}/lib", GST_PLUGIN_SYSTEM_PATH=f"{self.folder}/plugins", GST_DEBUG_NO_COLOR="1",
                   GST_REGISTRY=f"{self.folder}/registry{int(direct)}", GST_CUDA_NVRTC_LIBNAME=f"{self.folder}/no-nvrtc")
        return programs.run(command, env, LIMIT)

    def sinks(self, pipeline, direct):
        """What each sink of the pipeline got."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            done = self.run_tool([LAUNCH, "-q", *pipeline.replace("location=", f"location={out}/").split()], direct)
            self.assertEqual((done.status, done.stderr.decode(), done.stdout.decode()), (0, "", ""), pipeline)
            return [p.read_bytes() for p in sorted(pathlib.Path(out).iterdir())]

    def test_elements_are_the_same(self):
        shown = [self.run_tool([INSPECT, name], direct) for name in ("nvcodec", "cudaupload", "cudadownload") for direct in (True, False)]
        for one, other in zip(shown[::2], shown[1::2]):
            self.assertEqual(one.status, 0, one.stderr.decode())
            self.assertEqual((one.stdout, one.stderr), (other.stdout, other.stderr))
        self.assertIn(b"cudaupload: CUDA uploader", shown[0].stdout)

    def test_pipelines(self):
        for name, pipeline in PIPELINES.items():
            for form in FORMATS if name == "up and down" else ("NV12",):
                with self.subTest(name, form=form):
                    cpu = self.sinks(SOURCE.format(form) + " ! filesink location=out0", True)
                    self.assertTrue(cpu[0])
                    for direct in (True, False):
                        got = self.sinks(pipeline.format(form), direct)
                        self.assertEqual(len(got), pipeline.count("filesink"))
                        self.assertTrue(all(g == cpu[0] for g in got), f"other bytes than the source's ({'directly' if direct else 'through pvgpu'})")
        self.pvgpu.check_idle()

    def test_a_device_that_is_not_there(self):
        pipeline = (SOURCE.format("NV12") + f" ! cudaupload cuda-device-id=7 ! {CUDA} ! fakesink").split()
        ways = [self.run_tool([LAUNCH, "-q", *pipeline], direct) for direct in (True, False)]
        self.assertNotEqual(ways[0].status, 0)
        self.assertEqual(ways[0].status, ways[1].status)


if __name__ == "__main__":
    unittest.main()
