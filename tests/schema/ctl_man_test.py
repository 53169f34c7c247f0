#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pvgpuctl's help and its man page name the same subcommands and options.

PVGPU_BUILD: the build folder with the pvgpuctl to ask."""
import os
import pathlib
import re
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PVGPU_BUILD", TOP / "build")).resolve()
PAGE = TOP / "docs" / "man" / "pvgpuctl.8"
ALWAYS = {"help", "version"}


def told(ctl):
    """{subcommand: its options}, of --help; and the options that `pvgpuctl --help` has."""
    def ask(*args):
        return subprocess.run([str(ctl), *args, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout

    options = re.compile(r"^  --([a-z0-9-]+)", re.M)
    whole = ask()
    names = re.findall(r"^  ([a-z][a-z-]*)\b", whole, re.M)
    return {name: set(options.findall(ask(name))) for name in names}, set(options.findall(whole)) - ALWAYS


def documented(page):
    """{subcommand: options that its items name}, options named beside them, [(subcommand, options)] of the examples."""
    commands, beside, section, depth, command = {}, set(), "", 0, None
    for line in page.splitlines():
        if line.startswith(".Sh "):
            section = line[4:]
        depth += line.startswith(".Bl ")
        if line.startswith(".El"):
            depth -= 1
            command = command if depth else None
        item = re.match(r"\.It Cm ([a-z][a-z-]*)", line) if depth == 1 and section == "DESCRIPTION" else None
        if item:
            command = commands.setdefault(item[1], set())
        found = set(re.findall(r"\bFl -([a-z][a-z0-9-]*)", line))
        (beside if command is None else command).update(found)
    text = page.split(".Sh EXAMPLES")[1].replace("\\e\n", " ") if ".Sh EXAMPLES" in page else ""
    examples = re.findall(r"^pvgpuctl ([a-z][a-z-]*)(.*)", text, re.M)
    return commands, beside - ALWAYS, [(name, set(re.findall(r" --([a-z0-9-]+)", rest))) for name, rest in examples]


def faults(ctl, page):
    """What one of the two has and the other has not, or has elsewhere."""
    commands, options = told(ctl)
    written, beside, examples = documented(page)
    found = ["--%s is an option of no subcommand" % o for o in options - set().union(*commands.values())]
    found += ["%s is not in the man page" % c for c in commands.keys() - written.keys()]
    found += ["the man page has %s, which pvgpuctl does not know" % c for c in written.keys() - commands.keys()]
    for name in commands.keys() & written.keys():
        found += ["--%s of %s is not in the man page" % (o, name) for o in commands[name] - written[name] - beside]
        found += ["the man page gives %s --%s, which it does not take" % (name, o) for o in written[name] - commands[name]]
    found += ["the man page has --%s, which pvgpuctl does not know" % o for o in beside - options]
    for name, used in examples:
        found += ["an example of %s has --%s, which it does not take" % (name, o) for o in used - commands.get(name, set())]
    return sorted(found)


class Page(unittest.TestCase):
    ctl = BUILD / "bin" / "pvgpuctl"

    def test_same(self):
        self.assertEqual(faults(self.ctl, PAGE.read_text()), [])

    def test_every_difference_is_seen(self):
        page = PAGE.read_text()
        for old, new, want in (
                (".It Cm check Ar FILE", ".It Cm verify Ar FILE", ["check is not in the man page",
                                                                   "the man page has verify, which pvgpuctl does not know"]),
                (".It Fl -no-wait", ".It Fl -hurry", ["--no-wait of attach is not in the man page",
                                                      "the man page gives attach --hurry, which it does not take"]),
                (".Fl -local\n", ".Fl -remote\n", ["the man page has --remote, which pvgpuctl does not know"]),
                ("pvgpuctl set batch1 ", "pvgpuctl set batch1 --json ", ["an example of set has --json, which it does not take"])):
            self.assertIn(old, page)
            self.assertLessEqual(set(want), set(faults(self.ctl, page.replace(old, new))))


class Completion(unittest.TestCase):
    def completed(self, *words):
        """What bash offers for the last of these words."""
        line = "source <(%s completion bash); COMP_WORDS=(pvgpuctl %s); COMP_CWORD=%d; _pvgpuctl; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
            BUILD / "bin" / "pvgpuctl", " ".join("'%s'" % w for w in words), len(words))
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60).stdout.split()

    def test_bash(self):
        commands, _ = told(BUILD / "bin" / "pvgpuctl")
        self.assertEqual(set(self.completed("")), set(commands) | {"--help"})
        self.assertEqual(self.completed("de"), ["detach"])
        for name, options in commands.items():
            self.assertEqual(set(self.completed(name, "--")), {"--" + o for o in options | {"help"}}, name)
        self.assertEqual(self.completed("list", "--wa"), ["--watch"])

    def test_other_shell(self):
        done = subprocess.run([str(BUILD / "bin" / "pvgpuctl"), "completion", "fish"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("must be bash or zsh", done.stderr)
        zsh = subprocess.run([str(BUILD / "bin" / "pvgpuctl"), "completion", "zsh"], capture_output=True, text=True, check=True, timeout=60).stdout
        self.assertTrue(zsh.startswith("#compdef pvgpuctl\n"))


if __name__ == "__main__":
    unittest.main()
