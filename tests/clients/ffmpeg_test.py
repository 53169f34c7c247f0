# SPDX-License-Identifier: MIT
"""FFmpeg's CUDA filters: directly on the simulated GPU and through pvgpu the same bytes, and those of the CPU's filter within rounding.

FFmpeg drives libcuda.so.1 by itself, with PTX that clang made of its kernels when it was packaged. Where its filter does something else than
the CPU's, the case says how much of the picture is equal: yadif_cuda decides otherwise at some edges, chromakey_cuda reads between pixels."""
import collections
import shutil
import sys
import unittest

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/integration")
import programs  # noqa: E402
from pvgpu_env import PvgpuEnv, build_dir  # noqa: E402

FFMPEG = shutil.which("ffmpeg")
LIMIT = 120
# 160x120, 3 frames; soft: without overshoots, which scale_cuda lets wrap
VIDEO = "testsrc2=size=160x120:rate=5:duration=0.6"
SOFT = VIDEO + ",lutyuv=y=64+val/2:u=64+val/2:v=64+val/2"
LOGO = "testsrc=size=50x40:rate=5:duration=0.6"
LONG = "testsrc2=size=160x120:rate=10:duration=1"

Case = collections.namedtuple("Case", "filter sources cuda cpu most share")  # most: greatest difference in `share` of all bytes


def up(*filters, form="nv12"):
    """A graph of CUDA filters between upload and download."""
    return ",".join([f"format={form}", "hwupload_cuda", *filters, "hwdownload", f"format={form}"])


def scaled(algorithm, flags, size, most, form="nv12", options=""):
    return Case("scale_cuda", [SOFT], up(f"scale_cuda={size}:interp_algo={algorithm}{options}", form=form),
                f"format={form},scale={size}:flags={flags}", most, 1)


EXACT = "+accurate_rnd+full_chroma_int"
CASES = {
    "upload": Case("hwupload_cuda", [VIDEO], up(), "format=nv12", 0, 1),
    "upload p010": Case("hwupload_cuda", [VIDEO], up(form="p010le"), "format=p010le", 0, 1),
    "scale nearest": scaled("nearest", "neighbor", "100:60", 0),
    "scale nearest, planes": scaled("nearest", "neighbor", "240:180", 0, "yuv420p"),
    "scale bilinear": scaled("bilinear", "bilinear" + EXACT, "320:240", 1),
    "scale bilinear, three quarters more": scaled("bilinear", "bilinear" + EXACT, "280:210", 1, "yuv444p"),
    "scale bicubic": scaled("bicubic", "bicubic" + EXACT, "320:240", 2, options=":param=0.6"),
    "scale lanczos": scaled("lanczos", "lanczos" + EXACT + ":param0=2", "240:180", 2),
    "yadif": Case("yadif_cuda", [VIDEO], up("yadif_cuda", form="yuv420p"), "format=yuv420p,yadif", 1, 0.99),
    "yadif, each field": Case("yadif_cuda", [VIDEO], up("yadif_cuda=1", form="yuv444p"), "format=yuv444p,yadif=1", 1, 0.99),
    "overlay": Case("overlay_cuda", [VIDEO, LOGO],
                    "[0]format=yuv420p,hwupload_cuda[a];[1]format=yuv420p,hwupload_cuda[b];"
                    "[a][b]overlay_cuda=20:30,hwdownload,format=yuv420p",
                    "[0]format=yuv420p[a];[1]format=yuv420p[b];[a][b]overlay=20:30", 0, 1),
    "overlay with alpha": Case("overlay_cuda", [VIDEO, LOGO],
                               "[0]format=yuv420p,hwupload_cuda[a];[1]format=yuva420p,colorchannelmixer=aa=0.6,format=yuva420p,"
                               "hwupload_cuda[b];[a][b]overlay_cuda=20:30,hwdownload,format=yuv420p",
                               "[0]format=yuv420p[a];[1]format=yuva420p,colorchannelmixer=aa=0.6,format=yuva420p[b];"
                               "[a][b]overlay=20:30", 1, 1),
    "chromakey": Case("chromakey_cuda", [VIDEO],
                      "format=yuv420p,hwupload_cuda,chromakey_cuda=0x00ff00:0.3:0.01,hwdownload,format=yuva420p",
                      "format=yuv420p,format=yuva420p,chromakey=0x00ff00:0.3:0.01", 1, 0.85),
    "thumbnail": Case("thumbnail_cuda", [LONG], up("thumbnail_cuda=10"), "thumbnail=10,format=nv12", 0, 1),
    "all": Case("scale_cuda", [LONG], up("scale_cuda=96:72", "yadif_cuda", "scale_cuda=64:48:interp_algo=nearest"), None, 0, 1),
}


def command(sources, graph, cuda):
    words = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1", "-filter_complex_threads", "1"]
    if cuda:
        words += ["-init_hw_device", "cuda=gpu", "-filter_hw_device", "gpu"]
    for source in sources:
        words += ["-f", "lavfi", "-i", source]
    return [*words, "-filter_complex", graph, "-f", "rawvideo", "-"]


class Filters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not FFMPEG:
            raise unittest.SkipTest("no ffmpeg: install it (make packages)")
        cls.pvgpu = PvgpuEnv(build=build_dir())
        cls.addClassCleanup(cls.pvgpu.__exit__, None, None, None)
        cls.pvgpu.__enter__()
        listed = programs.run([FFMPEG, "-hide_banner", "-filters"], cls.pvgpu.guest_env(direct=True), LIMIT)
        cls.known = {line.split()[1] for line in listed.stdout.decode().splitlines() if len(line.split()) > 2}

    def picture(self, case, graph, cuda, direct):
        done = programs.run(command(case.sources, graph, cuda), self.pvgpu.guest_env(direct=direct), LIMIT)
        self.assertEqual((done.status, done.stderr.decode()), (0, ""), graph)
        self.assertTrue(done.stdout, f"{graph} gives no picture")
        return done.stdout

    def check(self, case):
        direct = self.picture(case, case.cuda, True, True)
        self.assertTrue(direct == self.picture(case, case.cuda, True, False), "through pvgpu other bytes than directly")
        if not case.cpu:
            return
        cpu = self.picture(case, case.cpu, False, True)
        self.assertEqual(len(direct), len(cpu))
        wrong = sum(abs(a - b) > case.most for a, b in zip(direct, cpu)) if direct != cpu else 0
        self.assertLessEqual(wrong, (1 - case.share) * len(cpu), f"of {len(cpu)} bytes differ by more than {case.most}")

    def test_filters(self):
        self.assertIn("scale_cuda", self.known, "this ffmpeg is without CUDA")
        for name, case in CASES.items():
            with self.subTest(name):
                if case.filter in self.known:
                    self.check(case)


if __name__ == "__main__":
    unittest.main()
