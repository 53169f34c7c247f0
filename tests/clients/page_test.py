# SPDX-License-Identifier: MIT
"""The status page of pvgpu-exporter in headless Chromium, on a screen and on a phone: it draws without a script, asks for nothing that
its content security policy refuses, and fits. The pictures are in BUILD/page. PVGPU_BUILD: the build folder."""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from exporter_test import Exporter, Loaded  # noqa: E402
from pvgpu_env import wait_for  # noqa: E402

CHROMIUM = shutil.which("chromium")
SCREEN, PHONE = (1280, 720), (390, 844)
LIMIT = 300


def pixels(path):
    """(width, height, rows of bytes, bytes of a pixel) of a PNG of eight bits without interlacing, as Chromium writes them."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    size = {2: 3, 6: 4}[colour]
    raw, stride, rows, above = zlib.decompress(packed), width * size, [], bytes(width * size)
    for y in range(height):
        how, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left, up, corner = (row[x - size] if x >= size else 0), above[x], (above[x - size] if x >= size else 0)
            if how == 1:
                row[x] = (row[x] + left) & 255
            elif how == 2:
                row[x] = (row[x] + up) & 255
            elif how == 3:
                row[x] = (row[x] + (left + up) // 2) & 255
            elif how == 4:
                p = left + up - corner
                row[x] = (row[x] + min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]) & 255
        rows.append(bytes(row))
        above = row
    return width, height, rows, size


@unittest.skipUnless(CHROMIUM, "there is no chromium")
class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.env = Loaded({"web1": "memory=64M,priority=high", "web2": "64M", "batch": "memory=64M,weight=50"}).__enter__()
        cls.addClassCleanup(cls.env.__exit__, None, None, None)
        cls.exporter = Exporter(cls.env).__enter__()
        cls.addClassCleanup(cls.exporter.__exit__, None, None, None)
        cls.addClassCleanup(cls.env.unload)
        cls.env.load("web1", "web2", "batch")
        wait_for("a curve of each", lambda: cls.exporter.get("/")[0].count("polyline") >= 3)
        cls.pictures = pathlib.Path(cls.env.build, "page")
        cls.pictures.mkdir(exist_ok=True)

    def chromium(self, *words, size=SCREEN):
        with tempfile.TemporaryDirectory(prefix="pvgpu-") as home:
            p = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}", "--hide-scrollbars",
                                "--enable-logging=stderr", f"--window-size={size[0]},{size[1]}", *words, self.exporter.url + "/"], capture_output=True,
                               text=True, env=dict(os.environ, HOME=home), timeout=LIMIT, check=False)
        self.assertEqual(p.returncode, 0, p.stderr[-2000:])
        # Messages of pages; Chromium's own about buses and graphics are others.
        self.assertEqual([line for line in p.stderr.splitlines() if "CONSOLE" in line or "Refused" in line], [])
        return p.stdout

    def picture(self, name, size, margin, *words):
        path = self.pictures / f"{name}.png"
        self.chromium(f"--screenshot={path}", *words, size=size)
        width, height, rows, n = pixels(path)
        self.assertEqual((width, height), size)
        ground = rows[0][:n]
        inked = [y for y, row in enumerate(rows) if row != ground * width]
        self.assertGreater(len(inked), height // 4, "little is drawn")
        # Left of the margin at the right there are lines between rows, and no text that is cut: nothing is wider than the window.
        strip = [row[(width - margin - 3) * n:] for row in rows]
        cut = [y for y, s in enumerate(strip) if s != ground * (margin + 3) and s != s[:n] * 3 + ground * margin]
        self.assertEqual(cut, [], "drawn to the right margin and beyond")
        colours = {row[x * n:x * n + n] for row in rows for x in range(0, width, 3)}
        self.assertGreater(len(colours), 16)

    def test_screen(self):
        self.picture("screen", SCREEN, 16)

    def test_phone(self):
        self.picture("phone", PHONE, 8)

    def test_dark(self):
        self.picture("dark", SCREEN, 16, "--blink-settings=preferredColorScheme=0")

    def test_document(self):
        """What Chromium has made of it: no script, and the policy would run none."""
        text = self.chromium("--dump-dom")
        for name in "web1", "web2", "batch":
            self.assertIn(name, text)
        self.assertGreaterEqual(text.count("<polyline"), 3)
        self.assertNotRegex(text, "<script")
        self.assertEqual(set(re.findall(r'(?:src|href)="([^"]*)"', text)), {"style.css", "metrics", "statistics.json"})


if __name__ == "__main__":
    unittest.main()
