# SPDX-License-Identifier: MIT
"""A hostile backend: impossible indices, unexpected answers, storms of events, silence, memory that it never unmaps, keys that
are missing, huge or no keys at all, states that flip, an end at each step. Processes get errors and can always be killed, the guest
lives, and it connects again to an honest backend."""
import types

import vgpu

LIMIT = 900
LONG = True
OPEN, CLOSE, ADD, ENDED = 16, 17, 18, 128
# What no key of a backend may be; None: no such key.
BAD_KEYS = [("protocol-version", None), ("protocol-version", "99"), ("protocol-version", "9" * 1500), ("uuid", None),
            ("uuid", "not-a-uuid"), ("memory", "much"), ("memory", "9" * 40), ("features", "arena-grow,arena-grow"),
            ("features", "x" * 1500)]
FLIPS = ["4", "2", "4", "6", "4", "5", "1", "4", "7", "8", "0", "", "x", "99999999999", "4 4", "3", "4"]
STATISTICS = "/sys/bus/xen/devices/pvgpu-0/statistics"


class Backend:
    def __init__(self, lab, g):
        self.lab, self.g = lab, g
        self.v = vgpu.Vgpu(types.SimpleNamespace(lab=lab, domid=0), g, 0)
        self.process = lab.dom0.start("lab-backend")
        self.lines = 0

    # the control ring

    def tell(self, line):
        """Send a line; returns the numbers after the first word of the answer."""
        word = line.split()[0]
        self.lines += 1
        self.process.write(line + "\n")
        self.process.wait_output("^" + r"(?:.*\n){%d}" % self.lines)
        answer = self.process.out.decode().splitlines()[self.lines - 1].split()
        assert answer[0] == word, f"'{line}' was answered by {answer}"
        return [int(n) for n in answer[1:] if n != "ok"]

    def take(self, wanted):
        """Take the next request; returns its id, session and directory's grant."""
        op, *rest = self.tell("take")
        assert op == wanted, f"request {op} instead of {wanted}"
        return rest

    def end_session(self, session):
        ident, named, _ = self.take(CLOSE)
        assert named == session
        self.tell(f"answer {CLOSE} {ident} {session} 0")
        self.wait_sessions(0)

    # states

    def attach(self):
        """Attach by writing the keys: pvgpuctl needs a running pvgpud."""
        front, back, fe = self.v.front, self.v.back, self.g.domid
        self.lab.dom0.run(f"""set -e
            xenstore-write {back}/frontend {front} {back}/frontend-id {fe} {back}/online 1 {back}/uuid {self.v.uuid}
            xenstore-write {back}/protocol-version 1 {front}/backend {back} {front}/backend-id 0
            xenstore-write {back}/state 1 {front}/state 1
            xenstore-chmod -r {back} n0 r{fe}
            xenstore-chmod -r {front} n{fe} r0""")

    def state(self, number):
        self.lab.store.write(f"{self.v.back}/state", str(number))

    def wait_front(self, state):
        self.lab.store.wait(f"{self.v.front}/state", str(state), 120)

    def connect(self):
        store = self.lab.store
        self.state(2)
        self.wait_front(3)
        ref, port = (store.read(f"{self.v.front}/{k}") for k in ("ring-ref", "event-channel"))
        self.tell(f"connect {self.g.domid} {ref} {port}")
        self.state(4)
        self.wait_front(4)
        self.lab.wait("/dev/pvgpu0", lambda: not self.g.run("test -c /dev/pvgpu0", check=False, quiet=True).status)

    def begin(self):
        """From any state, the backend begins anew."""
        self.state(6)
        self.state(1)
        self.wait_front(1)

    def reconnect(self):
        """The frontend has closed after an error. The vGPU is still online, so it connects again."""
        self.wait_front(6)
        assert self.g.run("test -c /dev/pvgpu0", check=False).status
        self.tell("disconnect")
        self.state(5)
        self.state(6)
        self.wait_front(1)
        self.connect()

    # the guest

    def counter(self, name):
        return int(self.g.run(f"cat {STATISTICS}/{name}", quiet=True).out)

    def parameter(self, name):
        return int(self.g.run(f"cat /sys/module/pvgpu/parameters/{name}", quiet=True).out)

    def wait_counter(self, name, n):
        self.lab.wait(f"{name} to be {n}", lambda: self.counter(name) == n)

    def wait_sessions(self, n):
        self.lab.wait(f"{n} sessions", lambda: int(self.g.run(f"cat {STATISTICS}/../sessions", quiet=True).out) == n)

    def device(self, words):
        """Start lab-device, which opens a session and says that it is open; returns it with the session's number."""
        job = self.g.start(f"exec {vgpu.TOP}/tests/lab-device {words}")
        ident, session, _ = self.take(OPEN)
        self.tell(f"opened {ident} {session} {2 ** 30}")
        job.wait_output("^open")
        return job, session

    def opening(self):
        """Start a process that waits for its session; returns it with id, session and directory of the request."""
        c = vgpu.Cuda(self.g, opened=False)
        c.tell("open")
        return c, *self.take(OPEN)

    def refused(self, c):
        got = c.answer("open")
        assert got.startswith("CUDA_ERROR_"), got
        c.quit()


def noise(b):
    """Unexpected answers and events are counted and have no other effect."""
    dropped = b.counter("answers_dropped")
    b.tell("flood 100")
    b.wait_counter("answers_dropped", dropped + 100)
    events = b.counter("events")
    b.tell("storm 5000")
    b.tell("flood 1")
    b.wait_counter("answers_dropped", dropped + 101)
    assert b.counter("events") - events < 5000
    b.tell(f"answer {ENDED} 0 77 0 no such session")
    b.tell("answer 4711 0 1 0 no such event")
    b.wait_counter("answers_dropped", dropped + 103)


def silence(b):
    """A process can be killed while it waits; its session is closed when it turns out to have opened."""
    c, ident, session, _ = b.opening()
    c.kill()
    b.wait_sessions(1)
    b.tell(f"opened {ident} {session} 4096")
    b.end_session(session)
    # The same while it waits for memory.
    used = b.parameter("grants_used")
    job, session = b.device("grow")
    assert b.take(ADD)[1] == session
    job.kill(15)
    assert job.wait().status == 128 + 15
    b.end_session(session)
    b.lab.wait("the grants to end", lambda: b.parameter("grants_used") == used)


def bad_keys(b):
    """The frontend refuses each, says why, and looks again when the backend begins anew."""
    for name, text in BAD_KEYS:
        good = b.lab.store.read(f"{b.v.back}/{name}")
        path = f"{b.v.back}/{name}"
        b.lab.dom0.run(f"xenstore-rm {path}" if text is None else f"xenstore-write {path} '{text}'", quiet=True)
        b.state(2)
        b.wait_front(6)
        why = b.lab.store.read(f"/local/domain/{b.g.domid}/error/device/pvgpu/0/error") or ""
        assert name in why, f"{name} = {text}: the frontend says '{why}'"
        if good is None:
            b.lab.dom0.run(f"xenstore-rm {path}")
        else:
            b.lab.store.write(path, good)
        b.state(1)
        b.wait_front(1)


def no_arena(b):
    """A backend without the feature arena-grow is not asked for chunks."""
    job, session = b.device("grow")
    job.wait_output("^grow 95 ")
    job.kill(9)
    b.end_session(session)


def lost(b):
    """A process that holds the device after its session was lost does not keep others from a backend that begins anew."""
    job, session = b.device("grow")
    assert b.take(ADD)[1] == session
    b.tell("disconnect")
    b.connect()
    job.wait_output("^grow 32 ")
    c, ident, session, _ = b.opening()
    b.tell(f"answer {OPEN} {ident} {session} 1 no")
    b.refused(c)
    job.kill(9)


def ends_early(b):
    """The backend ends at each step of a connection, in order or by removing its state."""
    back, front = b.v.back, b.v.front
    for end in ("state 6", "state 5", "gone"):
        for connected in (False, True):
            if connected:
                b.connect()
                b.tell("disconnect")
            else:
                b.state(2)
                b.wait_front(3)
            if end == "gone":
                b.lab.dom0.run(f"xenstore-rm {back}/state")
            else:
                b.state(int(end.split()[1]))
            b.lab.store.wait(f"{front}/state", lambda s: s not in ("3", "4"), 120)
            b.begin()


def flips(b):
    """States that flip, and texts that are none, while a process waits for its session."""
    c = b.opening()[0]
    b.tell("disconnect")
    b.lab.dom0.run(f"for i in 1 2 3 4 5; do {'; '.join(f'xenstore-write {b.v.back}/state {chr(39)}{s}{chr(39)}' for s in FLIPS)}; done",
                   quiet=True, limit=120)
    b.state(6)
    b.refused(c)
    b.begin()
    b.connect()
    b.wait_sessions(0)


def strange_errors(b):
    """No kernel-internal errno and no unprintable byte reaches a process."""
    c, ident, session, _ = b.opening()
    b.tell(rf"answer {OPEN} {ident} {session} 512 \x1b[2J\x00\xff")
    b.refused(c)
    b.wait_sessions(0)
    c, ident, session, _ = b.opening()
    b.tell(f"opened {ident} {session} {2 ** 64 - 1}")
    b.tell(rf"answer {ENDED} 0 {session} 0 \x07gone\xff")
    b.refused(c)
    b.end_session(session)


def kept(b):
    """A page that the backend keeps mapped is not reused by the guest, and blocks nothing."""
    used = b.parameter("grants_used")
    c, ident, session, directory = b.opening()
    b.tell(f"map {directory}")
    held = vgpu.active_grants(b.lab)[b.g.domid, 0]
    b.tell(f"opened {ident} {session} 4096")
    c.kill()
    b.end_session(session)
    assert vgpu.active_grants(b.lab)[b.g.domid, 0] == held
    # It counts until it is unmapped, and not longer.
    b.lab.wait("all other grants to end", lambda: (b.parameter("grants_held"), b.parameter("grants_used")) == (1, used + 1))
    b.tell("unmap")
    b.lab.wait("the grant to end", lambda: (b.parameter("grants_held"), b.parameter("grants_used")) == (0, used))
    silence(b)


def broken(b):
    """Each of these ends the connection; the process in it gets an error."""
    c, ident, session, _ = b.opening()
    b.tell(f"answer {OPEN} {ident} {session + 1} 0")
    b.refused(c)
    b.reconnect()
    c, ident, session, _ = b.opening()
    b.tell(f"answer {OPEN} {ident} {session} -5")
    b.refused(c)
    b.reconnect()
    c = b.opening()[0]
    b.tell("produce 17")
    b.refused(c)
    b.reconnect()
    b.tell("consume 1000")
    c = vgpu.Cuda(b.g, opened=False)
    c.tell("open")
    b.refused(c)
    b.reconnect()


def check(lab, kind):
    g = lab.create(kind, kind, payload=True)
    b = Backend(lab, g)
    b.attach()
    before = g.run("dmesg | wc -l").out.strip()
    lab.store.write(f"{b.v.back}/features", "arena-grow")
    b.connect()
    noise(b)
    silence(b)
    strange_errors(b)
    kept(b)
    lost(b)
    broken(b)
    # From here on connections fail often, and the frontend would wait long before it tried again by itself.
    flips(b)
    b.tell("disconnect")
    b.begin()
    if kind == "pv":     # slow, and xenstore is the same for both
        bad_keys(b)
        ends_early(b)
    lab.dom0.run(f"xenstore-rm {b.v.back}/features")
    b.connect()
    no_arena(b)
    # Detached while a process waits for a silent backend.
    c = b.opening()[0]
    lab.store.write(f"{b.v.back}/online", "0")
    b.state(5)
    b.refused(c)
    b.wait_front(6)
    b.tell("disconnect")
    b.state(6)
    b.v.remove()
    lab.wait("the device to go", lambda: "pvgpu" not in g.run("ls /sys/bus/xen/devices", quiet=True).out)
    vgpu.assert_kernel_well(g, before)
    g.run("rmmod pvgpu")
    b.process.close()
    assert b.process.wait().status == 0
    g.destroy()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
