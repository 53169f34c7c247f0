# SPDX-License-Identifier: MIT
"""The emulated machine: QEMU, Xen and dom0, and the guests in it."""
import dataclasses
import os
import re
import socket
import struct
import subprocess
import threading

from channel import PATIENCE, Channel, Clock, LabError
from guest import Guest

BOOT_LIMIT = 300
SEND_LIMIT = 60
FATAL = re.compile(rb"^.*(?:Kernel panic|Panic on CPU|Hardware Dom0 (?:crashed|shutdown: watchdog)).*\n", re.M)
QEMU = "qemu-system-x86_64"


@dataclasses.dataclass(frozen=True)
class Boot:
    """A scenario's requirements of the machine; scenarios with equal ones share a machine."""
    cpus: int = 1              # of the machine
    memory: int = 4096         # MiB of it
    dom0_memory: int = 1536    # MiB for dom0
    dom0_vcpus: int = 1
    xen: str = ""              # more of Xen's command line
    dom0: str = ""             # more of dom0's kernel's
    service: bool = False      # dom0 has systemd, and so have guests that are created with service=True
    link: bool = False         # dom0 has a port "link" whose other end is Machine.link
    hvm: bool = False          # dom0 has a device model, so that guests may be of the kind hvm
    processor: str = ""        # more features of the processor, as QEMU's -cpu takes them
    disk: str = ""             # a file of the build's folder lab that is dom0's read-only disk /dev/vda

    def command(self, com1, agent, link):
        xen = (f"console=com1 com1=115200,8n1 dom0_mem={self.dom0_memory}M,max:{self.dom0_memory}M "
               f"dom0_max_vcpus={self.dom0_vcpus} conring_size=2M bootscrub=no ucode=no spec-ctrl=no xpti=no loglvl=warning "
               f"guest_loglvl=warning noreboot {self.xen}").strip()
        dom0 = f"console=hvc0 quiet mitigations=off {self.dom0}".strip()
        # Other CPU models and multi-threaded emulation do not work: see docs/lab.md.
        return ["setpriv", "--pdeathsig", "KILL", "--", QEMU, "-accel", "tcg,thread=single,tb-size=512",
                "-smp", str(self.cpus), "-cpu", f"qemu64,+svm,+npt{self.processor}", "-m", str(self.memory), "-display", "none", "-no-reboot",
                "-nodefaults", "-no-user-config",
                "-chardev", f"socket,id=com1,fd={com1}", "-serial", "chardev:com1",
                "-chardev", f"socket,id=lab,fd={agent}", "-device", "virtio-serial-pci",
                "-device", "virtserialport,chardev=lab,name=lab",
                *(["-chardev", f"socket,id=link,fd={link}", "-device", "virtserialport,chardev=link,name=link"] if self.link else []),
                *(["-drive", f"if=none,id=disk,format=raw,readonly=on,file=../{self.disk}", "-device", "virtio-blk-pci,drive=disk"] if self.disk else []),
                "-kernel", "xen", "-append", xen, "-initrd", f"vmlinux {dom0},{self.image()}"]

    def image(self):
        return "initrd-service.img" if self.service else "initrd-hvm.img" if self.hvm else "initrd.img"


class XenStore:
    def __init__(self, machine):
        self.machine = machine

    def read(self, path):
        """A key's value, None where there is no such key."""
        r = self.machine.dom0.run(f"xenstore-read '{path}'", check=False, quiet=True)
        return r.out.rstrip("\n") if r.status == 0 else None

    def write(self, path, value):
        self.machine.dom0.run(f"xenstore-write '{path}' '{value}'")

    def tree(self, path=""):
        """All keys below a path with their values and permissions, sorted."""
        r = self.machine.dom0.run(f"xenstore-ls -fp {path}", check=False, quiet=True)
        return sorted(r.out.splitlines())

    def wait(self, path, wanted=None, limit=60):
        """Wait until a key has the wanted value (a string or a function of the value), or exists."""
        def there():
            value = self.read(path)
            if value is None:
                return None
            good = wanted(value) if callable(wanted) else wanted is None or value == wanted
            return (value,) if good else None
        return self.machine.wait(f"xenstore's {path}", there, limit)[0]


def run_delay(pid):
    """Seconds for which that thread of a process that has waited longest was ready and had no processor; 0 where the kernel does not
    count them."""
    longest = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                longest = max(longest, int(f.read().split()[1]))
    except (OSError, IndexError):
        pass  # a thread that has just ended is not the one that emulates
    return longest / 1e9


class Machine:
    """Starts on entry and is powered off on leaving, or killed when that fails."""

    def __init__(self, images, boot, log):
        self.images, self.boot, self.log = images, boot, log
        self.clock = Clock()
        self.console = bytearray()    # Xen's and dom0's console
        self.guests = {}
        self.world = None             # of world.py, kept from scenario to scenario
        self.keepers = []             # objects with logs besides the guests
        self.complaints = []          # complaints of kernels
        self.sending = threading.Lock()
        self.store = XenStore(self)
        self.dom0 = Channel("dom0", self.clock, self.put, self.say)
        self.qemu = None
        self.delay = 0.0
        self.clock.starved = self.starved

    def say(self, text):
        self.log(f"[{self.clock.now():6.1f}] {text}")

    # the wires

    def put(self, data):
        try:
            with self.sending:
                self.agent.sendall(data)
        except OSError as e:
            raise LabError(f"the machine does not listen: {e}") from None

    def read_from(self, sock, take):
        while data := self.receive(sock):
            take(data)
        with self.clock.cond:
            self.clock.ended = self.clock.ended or "the machine has ended"
            self.clock.cond.notify_all()

    @staticmethod
    def receive(sock):
        try:
            return sock.recv(65536)
        except OSError:
            return b""

    def take_console(self, data):
        with self.clock.cond:
            # A line may come in pieces.
            start = self.console.rfind(b"\n") + 1
            self.console += data
            if m := FATAL.search(self.console, start):
                self.clock.ended = self.clock.ended or m[0].decode(errors="replace").strip()
            self.clock.cond.notify_all()

    # life

    def start(self):
        com1, com1_qemu = socket.socketpair()
        self.agent, agent_qemu = socket.socketpair()
        self.link, link_qemu = socket.socketpair()
        fds = (com1_qemu.fileno(), agent_qemu.fileno(), link_qemu.fileno())
        self.sockets = [com1, self.agent, self.link]
        self.agent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_LIMIT, 0))
        # The machine has its own group, so that a key that interrupts the runner leaves it to be powered off.
        self.qemu = subprocess.Popen(self.boot.command(*fds), cwd=self.images, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=fds,
                                     start_new_session=True)
        com1_qemu.close()
        agent_qemu.close()
        link_qemu.close()
        for source, take in ((com1, self.take_console), (self.agent, self.dom0.feed)):
            threading.Thread(target=self.read_from, args=(source, take), daemon=True).start()
        try:
            self.clock.wait("dom0's agent", lambda: self.dom0.hellos, BOOT_LIMIT)
        except LabError:
            self.kill()
            raise
        self.say("dom0 is up")
        return self

    def stop(self, limit=60):
        """Power off; returns whether the machine ended by itself."""
        if self.qemu is None or self.qemu.poll() is not None:
            return False
        self.clock.deadline = None
        try:
            self.clock.check()
            self.dom0.start("poweroff -f")
            self.qemu.wait(limit * PATIENCE)
            self.say("powered off")
            return self.qemu.returncode == 0
        except (LabError, subprocess.TimeoutExpired):
            return False
        finally:
            self.kill()

    def kill(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
            self.say("killed")
        if self.qemu and self.qemu.stdout:
            if text := self.qemu.stdout.read().decode(errors="replace").strip():
                self.say(f"QEMU: {text}")
            self.qemu.stdout.close()
        for s in self.sockets:
            s.close()

    def processor_time(self):
        """CPU time of the emulator in seconds: a scenario's cost, independent of other load."""
        try:
            with open(f"/proc/{self.qemu.pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def starved(self):
        """Seconds for which the emulator wanted a processor and had none; they never become fewer."""
        if self.qemu is not None:
            self.delay = max(self.delay, run_delay(self.qemu.pid))
        return self.delay

    def alive(self):
        return self.qemu is not None and self.qemu.poll() is None and not self.clock.ended

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # interface for scenarios

    def wait(self, what, condition, limit=60):
        """Wait until the condition, which may run commands, is true; returns its value. The machine has only one processor for
        the commands and for what they wait for: the pause between two evaluations is longer than an evaluation takes."""
        end = self.clock.passed() + limit * PATIENCE
        while True:
            begun = self.clock.now()
            if value := condition():
                return value
            if self.clock.passed() > end:
                raise LabError(f"{what}: not within {limit} s")
            self.pause(max(0.1, min(3 * (self.clock.now() - begun), 5)))

    def pause(self, seconds):
        """Sleep; raises an error at once when the machine or the scenario's time has ended."""
        with self.clock.cond:
            self.clock.cond.wait(seconds)
        self.clock.check()

    def wait_console(self, pattern, limit=60, start=0):
        """Wait until Xen's and dom0's console text matches; returns the match."""
        return self.clock.wait(f"the console to show /{pattern}/", lambda: re.search(
            pattern, self.console[start:].decode(errors="replace"), re.M), limit)

    def create(self, name, kind="pv", **options):
        """A running guest whose agent answers; its options are Guest's."""
        return self.create_all([name], kind, **options)[0]

    def create_all(self, names, kind="pv", **options):
        """Several guests; kind is one word for all or one for each."""
        kinds = [kind] * len(names) if isinstance(kind, str) else kind
        made = [Guest(self, n, k, **options) for n, k in zip(names, kinds)]
        for g in made:
            g.create()
        for g in made:
            if not g.paused:
                g.connect()
        return made

    def domains(self):
        """name -> domid of all domains"""
        rows = self.dom0.run("xl list", quiet=True).out.splitlines()[1:]
        return {row.split()[0]: int(row.split()[1]) for row in rows}

    def hypervisor_log(self, keys=""):
        """Xen's output for debug keys."""
        self.dom0.run("xl dmesg -c", quiet=True)
        if keys:
            self.dom0.run(f"xl debug-keys {keys}", quiet=True)
        return self.dom0.run("xl dmesg -c", quiet=True).out

    def channels(self, domid):
        """Event channels of a domain in Xen's tables: port -> description, without the number of the other end."""
        out = self.dom0.run(f"lsevtchn {domid}", quiet=True).out
        found = re.finditer(r"^\s*(\d+): VCPU \d+: (.*)$", out, re.M)
        return {int(m[1]): re.sub(r",? Port \d+", "", m[2]) for m in found}

    def connected(self, guest, peer):
        """The number of a guest's event channels that another guest has bound."""
        end = re.compile(rf"\(Connected\) - Remote Domain {peer.domid}\b")
        return sum(bool(end.search(c)) for c in self.channels(guest.domid).values())

    def destroy_all(self, but=()):
        """Every guest whose name is not among those to keep."""
        for g in list(self.guests.values()):
            if g.name not in but:
                g.destroy()
        for name in self.domains():
            if name != "Domain-0" and name not in but:
                self.dom0.run(f"xl destroy {name}", check=False)

    def free_memory(self):
        """MiB that no domain has."""
        return int(re.search(r"^free_memory\s*:\s*(\d+)", self.dom0.run("xl info", quiet=True).out, re.M)[1])

    def processes(self):
        """dom0's user processes: a sorted list of their command lines, but for workers' numbers."""
        out = self.dom0.run("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done", quiet=True).out
        return sorted(re.sub(r" --(id|uid) \d+", "", line.strip()) for line in out.splitlines() if line.strip())


def available():
    """The reason why the lab cannot run here, or None."""
    paths = os.environ.get("PATH", "").split(":")
    for tool in (QEMU, "setpriv"):
        if not any(os.access(os.path.join(p, tool), os.X_OK) for p in paths):
            return f"{tool} is missing: make lab-packages"
    return None
