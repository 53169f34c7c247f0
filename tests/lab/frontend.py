# SPDX-License-Identifier: MIT
"""A hostile frontend against pvgpud, beside a neighbour: runs the attacks of tests/hostile/xen and checks after each that its
reason was seen, that the neighbour's results are right, what its new session costs, and that nothing is left."""
import contextlib
import difflib
import json
import os
import re

import vgpu
from channel import LabError

# What pvgpud may do from the neighbour's request for a session to its answer, in counts: while an attack goes on, too.
STARTS = 2            # the session's worker and the next spare one; and one more for each attacker
# Generous: under a flood turns come at the rate of its budget for as long as a slow machine takes.
TURNS = 5000
ATTACK_TURNS = 20000  # in an attack, with what the neighbour does meanwhile
POLICY = "--arena-limit 256M --max-sessions 8"
LIMIT = 300
# They end the attacker's domain.
APART = ("guest_saved", "guest_destroyed")
SAVED = "/run/saved"
# Changes with each connection or event.
MOVING = re.compile(r"/(?:statistics|last-reason|ring-ref|event-channel|protocol-version|features) = ")
TAME = bool(os.environ.get("LAB_TAME"))


class Unheard(AssertionError):
    """pvgpud had no room in its log for what was expected."""


class Attack:
    def __init__(self, line):
        self.name, self.outcome, reason = line.split(" ", 2)
        self.where, _, self.pattern = reason.partition(" ")


class Play:
    """A run of lab-frontend."""

    def __init__(self, attacker, name):
        self.attacker, self.name = attacker, name
        env = "ATTACK_TAME=1 " if TAME and name != "probe" else ""
        self.process = attacker.guest.start(
            f"{env}lab-frontend {attacker.neighbour.domid} {attacker.vgpu.number} {name}")
        self.lines = 0          # of its output that were obeyed
        self.over = False
        self.said = None        # its report; None when its guest was destroyed

    def stirs(self):
        return not self.over and (self.process.status is not None or self.process.out.count(b"\n") > self.lines)

    def go_on(self):
        """Do what it asks for, or take its report."""
        p, lines = self.process, self.process.out.decode().splitlines()
        if len(lines) > self.lines and lines[self.lines].startswith("scene "):
            scene = lines[self.lines].split()[1]
            self.attacker.lab.say(f"{self.name}: {scene}")
            getattr(self.attacker, f"scene_{scene}")()
            self.over = scene == "destroy"
            if not self.over:
                p.write("done\n")
        elif p.status is not None:
            assert p.status == 0, f"{self.name} ended with {p.status}: {p.err.decode().strip()}"
            self.said = json.loads(lines[-1])
            self.over = True
        self.lines += 1


def play_all(plays):
    """Run attacks at the same time to their ends, with their scenes; what they report."""
    first = plays[0].attacker.guest.channel
    while not all(p.over for p in plays):
        first.wait(f"{' and '.join(p.name for p in plays)} to go on", lambda: any(p.stirs() for p in plays), LIMIT)
        for p in plays:
            if p.stirs():
                p.go_on()
    return [p.said for p in plays]


class Attacker:
    """A guest without pvgpu.ko, whose vGPU lab-frontend speaks for."""

    def __init__(self, lab, pvgpud, neighbour, name, kind, env=""):
        """env: of the neighbour's programs."""
        self.lab, self.pvgpud, self.neighbour, self.env = lab, pvgpud, neighbour, env
        self.name, self.kind, self.attackers = name, kind, 1
        self.steady = vgpu.Cuda(neighbour, env=env)    # a session that lives through all
        self.steady.want("check", "right")             # its memory is there
        lab.wait("a spare worker", self.ready, 120)
        self.held = pvgpud.held()                      # without the attacker

    def create(self):
        self.guest = self.lab.create(self.name, self.kind)
        # Its kernel may keep pages that the backend still maps.
        self.guest.allowed = r"still in use|deferring|g\.e\."
        self.guest.run("rm /lib/modules/*/extra/pvgpu.ko")
        self.vgpu = self.pvgpud.attach(self.guest, policy=POLICY, wait=False)
        self.attacks = {a.name: a for a in map(Attack, self.guest.run("lab-frontend --list").out.splitlines())}
        self.one("probe")
        assert not self.guest.run("ls /sys/module/pvgpu", check=False).out
        self.clean = self.seen()

    def end(self):
        self.steady.quit()
        if self.guest.name in self.lab.guests:
            self.vgpu.detach()
            self.guest.destroy()

    # what it costs, and what it leaves

    def counts(self):
        """Of pvgpud: workers that it has started, turns of its loop."""
        keys = self.daemon_keys()
        return int(keys["workers-started"]), int(keys["loop-turns"])

    def daemon_keys(self):
        """pvgpuctl waits some seconds for an answer, in which the emulator may get to nothing: it is asked again."""
        tree = f"{vgpu.CTL} --run-dir {vgpu.RUN_DIR} tree /daemon"
        out = self.lab.wait("pvgpud's answer", lambda: self.pvgpud.place.run(tree, check=False, quiet=True).out)
        return dict(re.findall(r"/([\w-]+) = \"?([^\"\n]*)", out))

    def ready(self):
        """A spare worker waits, so that none is being started."""
        keys = self.daemon_keys()
        return keys["spare-workers"] == self.pvgpud.settings["spare_workers"] and keys["accounting"] == "on"

    def serve_neighbour(self):
        """A new session of the neighbour, its results, and its cost."""
        starts, turns = self.counts()
        c = vgpu.Cuda(self.neighbour, env=self.env)
        new_starts, new_turns = self.counts()
        c.want("check", "right")
        c.quit()
        self.steady.want("check", "right")
        cost = f"{new_starts - starts} worker starts, {new_turns - turns} turns"
        self.lab.say(f"the neighbour's session: {cost}")
        assert new_starts - starts <= STARTS + self.attackers and new_turns - turns <= TURNS, f"the neighbour's session took {cost}"

    def seen(self):
        """Lines that an attack must not change: what pvgpud and its workers hold, keys, event channels of pvgpud's domain,
        mapped grants. One shell makes them, since each process takes long in the emulator."""
        self.lab.wait("a spare worker", self.ready, 120)
        dom0 = self.lab.dom0
        out = dom0.run(f"for d in {' '.join(self.vgpu.directories())}; do xenstore-ls -fp $d; done; echo =; "
                       f"lsevtchn {self.pvgpud.domid}; echo =; xl dmesg -c >/dev/null; xl debug-keys g; xl dmesg -c", quiet=True).out
        keys, channels, grants = out.split("=\n", 2)
        lines = [x for x in keys.splitlines() if not MOVING.search(x)]
        lines += sorted(re.sub(r",? Port \d+", "", x) for x in re.findall(r"VCPU \d+: (.*)$", channels, re.M))
        lines += [f"grants of {owner} to {mapper}: {n}" for (owner, mapper), n in sorted(vgpu.counted_grants(grants).items())]
        return lines + self.pvgpud.held()

    def check_clean(self):
        left = []

        def same():
            left[:] = [d for d in difflib.ndiff(self.clean, self.seen()) if d[0] in "+-"]
            return not left
        try:
            self.lab.wait("all to be as before", same, 60)
        except LabError:
            if not left:
                raise
            raise AssertionError("left behind: " + "; ".join(left)) from None

    def check_ended(self):
        """After the end of its domain nothing of it is left."""
        domid, left = self.guest.domid, []
        self.lab.wait("the domain's end", lambda: domid not in self.lab.domains().values(), 120)
        self.lab.wait("its vGPU to be removed", lambda: self.lab.store.read(f"{self.vgpu.back}/state") is None, 120)
        self.vgpu.remove()
        self.serve_neighbour()

        def same():
            left[:] = [d for d in difflib.ndiff(self.held, self.pvgpud.held()) if d[0] in "+-"]
            return self.ready() and not left
        try:
            self.lab.wait("pvgpud to hold what it held", same, 60)
        except LabError as e:
            raise AssertionError(f"{e}: {'; '.join(left)}") from None

    # scenes: what only dom0 can do while an attack goes on

    def scene_neighbour(self):
        self.serve_neighbour()

    def scene_kill(self):
        self.pvgpud.restart()

    def scene_restart(self):
        assert self.pvgpud.end("USR1") == 0
        self.pvgpud.start()

    def scene_kill_only(self):
        self.pvgpud.kill()

    def scene_start(self):
        self.pvgpud.start()

    def scene_destroy(self):
        self.guest.destroy()
        self.check_ended()

    def scene_save(self):
        self.guest.save(SAVED)
        self.check_ended()
        self.guest.restore(SAVED, before=self.vgpu.attach)
        self.lab.dom0.run(f"rm {SAVED}")

    def scene_pause(self):
        self.guest.pause()
        self.serve_neighbour()
        self.guest.unpause()

    # one attack

    def play(self, name):
        return play_all([Play(self, name)])[0]

    def one(self, name):
        """An attack, and the reason that pvgpud had."""
        try:
            self.once(name)
        except Unheard:
            self.once(name)

    def once(self, name):
        self.be_heard()
        begun = len(self.pvgpud.log())
        said = self.play(name)
        self.judge(self.attacks[name], said, begun)

    def unheard(self):
        """pvgpud leaves lines about this vGPU out, as of each that makes many in a short time, and has shown none since."""
        log, name = self.pvgpud.log(), self.vgpu.name()
        at = log.rfind(f"{name}: more than ")
        return at >= 0 and f"vgpu {name}: " not in log[at:]

    def be_heard(self):
        """Where attacks follow each other fast: connect until pvgpud shows it again."""
        def heard():
            if self.unheard():
                self.play("probe")
            return not self.unheard()
        self.lab.wait("pvgpud's log to have room", heard, 60)

    def judge(self, a, said, begun):
        name = a.name
        assert said is None or said["checks"] or said["acts"], f"{name}: nothing shows that it took place"
        if a.where == "log":
            self.pvgpud_logs(begun, a)
        elif a.where == "answer":
            assert re.search(a.pattern, said["said"]), f"{name}: the answers are '{said['said']}', not /{a.pattern}/"

    def pvgpud_logs(self, begun, a):
        def shown():
            return re.search(a.pattern, self.pvgpud.log()[begun:], re.M)
        try:
            self.lab.wait(f"pvgpud's log to show /{a.pattern}/", lambda: shown() or self.unheard(), 1 if TAME else 20)
            if not shown():
                raise Unheard(f"{a.name}: pvgpud's log has no room")
        except LabError:
            raise AssertionError(f"{a.name}: pvgpud's log is '{self.pvgpud.log()[begun:]}', not /{a.pattern}/") from None

    def check(self, name, full=True):
        begun, pid, (starts, turns) = self.lab.clock.now(), self.pvgpud.pid, self.counts()
        self.one(name)
        if pid == self.pvgpud.pid:
            new_starts, new_turns = self.counts()
            cost = f"{new_starts - starts} worker starts, {new_turns - turns} turns"
            self.lab.say(f"{name} cost pvgpud {cost}")
            assert new_turns - turns <= ATTACK_TURNS, f"{name} cost pvgpud {cost}"
        if self.attacks[name].outcome == "leaves":
            self.one("probe")
        if full:
            self.serve_neighbour()
            self.check_clean()
        self.lab.say(f"attack {name}: {self.lab.clock.now() - begun:.1f} s")

    def check_all(self, names, every=1):
        """All of them, also after one has failed; returns what has failed. every: after how many the neighbour and what is left are
        looked at."""
        failed = []
        for i, name in enumerate(names, 1):
            try:
                self.check(name, i % every == 0 or i == len(names))
            except (AssertionError, LabError) as e:
                failed.append(f"{name}: {e}")
                self.lab.say(f"FAILED {failed[-1]}")
                self.lab.clock.check()
                self.recover()
        return failed

    def check_tame(self, names):
        """Without its attack each must fail: one that does not would prove nothing. Returns those."""
        passed = []
        for name in names:
            try:
                self.one(name)
            except AssertionError as e:
                self.lab.say(f"tame {name}: {e}")
            else:
                passed.append(name)
        self.one("probe")
        return [f"{n}: passes without its attack" for n in passed]

    def recover(self):
        self.guest.run("kill -9 $(pidof lab-frontend)", check=False)
        self.one("probe")
        self.clean = self.seen()


def attack_apart(a, name):
    a.one(name)
    if a.guest.name in a.lab.guests:
        a.one("probe")
        a.serve_neighbour()
    a.end()


def attack_all(lab, pvgpud, neighbour, kind, only=None, every=1, env="", apart=contextlib.nullcontext):
    """All attacks, or some, by one guest on pvgpud; every as in check_all, env of the neighbour's programs; apart: what those that end
    the attacker's domain need around them."""
    def attacker():
        a = Attacker(lab, pvgpud, neighbour, f"bad-{kind}", kind, env)
        a.create()
        return a
    failed = []
    if not only or set(only) - set(APART):
        a = attacker()
        names = [n for n in only or a.attacks if n not in APART and (only or n != "probe")]
        failed += a.check_tame(names) if TAME else a.check_all(names, every)
        a.end()
    for name in APART:
        if not TAME and (not only or name in only):
            with apart():
                attack_apart(attacker(), name)
    assert not failed, f"{len(failed)} attacks failed: " + " | ".join(failed)


def attack_by_two(lab, w, names):
    """Two hostile guests at the same time."""
    both = [Attacker(lab, w.pvgpud, w.pv, f"bad-{kind}", kind) for kind in ("pv", "pvh")]
    for a in both:
        a.create()
    # With both there.
    for a in both:
        a.attackers, a.clean = 2, a.seen()
    for name in names:
        for a in both:
            a.be_heard()
        begun = len(w.pvgpud.log())
        for a, said in zip(both, play_all([Play(a, name) for a in both])):
            a.judge(a.attacks[name], said, begun)
            if a.attacks[name].outcome == "leaves":
                a.one("probe")
        both[0].serve_neighbour()
        both[0].check_clean()
    for a in both:
        a.end()
