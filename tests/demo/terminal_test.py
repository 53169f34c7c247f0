#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of terminals: cells, and that those in docs/pictures are well-formed and show what README says of them."""
import pathlib
import sys
import unittest
import xml.etree.ElementTree as xml

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import pictures  # noqa: E402
import terminal  # noqa: E402

TEXT = "{http://www.w3.org/2000/svg}text"


def words(svg):
    return [t.text for t in xml.fromstring(svg).iter(TEXT)]


class Cells(unittest.TestCase):
    def shown(self, text, columns=10, lines=3):
        s = terminal.Screen(columns, lines)
        s.write(text)
        return s.text()

    def test_lines(self):
        self.assertEqual(self.shown("one\r\ntwo\rT\r\n\r\n"), ["one", "Two"])
        self.assertEqual(self.shown("0123456789abc"), ["0123456789", "abc"])
        self.assertEqual(self.shown("a\r\nb\r\nc\r\nd\r\n"), ["b", "c", "d"])

    def test_a_screen_that_is_drawn_anew(self):
        self.assertEqual(self.shown("old\r\nolder\r\n\x1b[H\x1b[Jnew\r\n"), ["new"])

    def test_a_sequence_that_it_does_not_know(self):
        with self.assertRaises(terminal.Unknown):
            self.shown("\x1b[31mred")

    def test_a_program(self):
        code = "import os, sys; print(os.get_terminal_size().columns, sys.stdout.isatty(), '\\033[H\\033[Jlast <&>')"
        self.assertEqual(terminal.run([sys.executable, "-c", code], 40, 5, 60).text(), ["last <&>"])
        with self.assertRaises(RuntimeError):
            terminal.run([sys.executable, "-c", "raise SystemExit(3)"], 40, 5, 60)
        with self.assertRaises(TimeoutError):
            terminal.run([sys.executable, "-c", "import time; time.sleep(600)"], 40, 5, 0.5)


class Pictures(unittest.TestCase):
    def test_text_is_escaped_and_in_its_place(self):
        svg = terminal.svg(["$ a <b> & c", "", "    deep"], "<title>")
        self.assertEqual(words(svg), ["<title>", "$ a <b> & c", "deep"])
        # Of several spaces a browser draws one.
        self.assertEqual(words(terminal.svg(["a  b c"], ""))[1], "a\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}b c")
        self.assertEqual(xml.fromstring(svg).findall(f".//{TEXT}")[2].get("x"), f"{terminal.EDGE + 4 * terminal.CELL:g}")

    def test_the_demos_story(self):
        said = "pvgpu demo\n      ... 8 s: pvgpu is built\n\n[1/8]   0 s  images\nlab: unpacking\n      ... 8 s: 0 packages\n\n[2/8]   3 s  starts\nAll logs are in /a/b/build/lab\n"
        self.assertEqual(pictures.story(said), ["[1/8]   0 s  images", "", "[2/8]   3 s  starts", "All logs are in build/lab"])

    def test_those_that_are_shown(self):
        top = [w.replace("\N{NO-BREAK SPACE}", " ") for w in words((pictures.PICTURES / "top.svg").read_text())]
        self.assertEqual(top[1], "$ pvgpuctl top")
        for name in pictures.VGPUS:
            self.assertTrue([w for w in top if w.startswith(f"{name} ")], name)
        demo = [w.replace("\N{NO-BREAK SPACE}", " ") for w in words((pictures.PICTURES / "demo.svg").read_text())]
        for guest in "alice", "bob", "carol", "dave":
            self.assertTrue([w for w in demo if w.startswith(f"{guest} ") and w.count("%") == 2], guest)


if __name__ == "__main__":
    unittest.main()
