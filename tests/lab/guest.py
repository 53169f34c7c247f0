# SPDX-License-Identifier: MIT
"""A guest of the emulated machine."""
import re

import debug_kernel
import guest_kernel
from channel import Channel, LabError

# Messages of a kernel that fail every scenario.
COMPLAINT = re.compile(r"\bBUG\b|WARNING:|Oops|leaking|deferring|blocked for more than|Call Trace|general protection")

CONFIG = """name = "{name}"
type = "{kind}"
kernel = "{kernel}"
ramdisk = "{ramdisk}"
extra = "console=hvc0 loglevel=1 mitigations=off grant_table.dyndbg=+p {extra}"
memory = {memory}
vcpus = {vcpus}
on_crash = "preserve"
on_reboot = "destroy"
{config}
"""
# The kernel of HVM guests is packed, as firmware takes it; all that they have besides Xen's devices is a serial line.
KERNELS = {"hvm": "/boot/vmlinuz"}
HVM_MEMORY = 128    # MiB, for firmware and a kernel that unpacks itself
MORE = {"hvm": 'serial = "pty"\nvga = "none"\nvnc = 0\nusb = 0\n'}


class Guest:
    def __init__(self, machine, name, kind="pv", memory=160, vcpus=1, payload=False, extra="", config="", paused=False,
                 service=False):
        """kind: pv, pvh, or hvm on a machine whose Boot has hvm; memory in MiB; payload: with pvgpu's programs under /opt/pvgpu; extra: more of the
        kernel's command line; config: more lines of xl's configuration; paused: not started before start_running();
        service: with pvgpu's programs, and with systemd as process 1 and pvgpu as installed."""
        if debug_kernel.CHOSEN:
            kind, memory = "pvh", memory + debug_kernel.MEMORY
        memory += guest_kernel.MEMORY + (HVM_MEMORY if kind == "hvm" else 0)
        self.machine, self.name, self.kind, self.paused = machine, name, kind, paused
        self.archives = ["guest"] + ["payload"] * (payload or service) + ["service"] * service
        self.keys = {"name": name, "kind": kind, "kernel": KERNELS.get(kind, "/boot/vmlinux"), "memory": memory, "vcpus": vcpus, "extra": extra,
                     "config": MORE.get(kind, "") + config}
        self.domid = None
        self.wire = None
        self.channel = Channel(name, machine.clock, self.put, machine.say)
        self.allowed = None      # a pattern of complaints of its kernel that belong to the scenario
        self.dmesg_seen = self.console_seen = 0

    # life

    def create(self):
        dom0 = self.machine.dom0
        suffix = "zst" if self.kind == "hvm" else "img"
        ramdisk = f"/boot/{'-'.join(reversed(self.archives))}.{suffix}"
        if len(self.archives) > 1:
            parts = " ".join(f"/boot/{name}.{suffix}" for name in self.archives)
            dom0.run(f"[ -e {ramdisk} ] || cat {parts} >{ramdisk}")
        path = f"/run/{self.name}.cfg"
        dom0.put_file(path, CONFIG.format(ramdisk=ramdisk, **self.keys).encode())
        self.machine.guests[self.name] = self
        dom0.run(f"xl create -q {'-p ' * self.paused}{path}", limit=120)
        self.domid = self.find_domid()

    def find_domid(self):
        domid = self.machine.domains().get(self.name)
        if domid is None:
            raise LabError(f"there is no domain {self.name}")
        return domid

    def start_running(self):
        """Start a guest that was created paused."""
        self.unpause()
        self.connect()

    def connect(self, limit=120):
        """Open the line to the agent through the guest's console."""
        tty = self.machine.store.wait(f"/local/domain/{self.domid}/console/tty", bool)
        self.wire = self.machine.dom0.start(f"lab-agent --bridge {tty}", quiet=True)
        self.wire.on_out = self.channel.feed
        self.channel.greet(limit)
        self.machine.say(f"{self.name} is up: domain {self.domid}, {self.kind}")

    def put(self, data):
        if self.wire is None or self.wire.status is not None:
            raise LabError(f"the console of {self.name} is not open")
        self.wire.write(data)

    def disconnect(self):
        if self.wire and self.wire.status is None:
            self.wire.kill(9)
            self.wire.wait()
        self.wire = None

    def kernel_log(self):
        """The kernel's new log lines, None when the guest cannot answer."""
        if not self.wire or self.channel.panic or self.state() not in ("r", "b", ""):
            return None
        try:
            lines = self.channel.run("dmesg", limit=20, quiet=True).out.splitlines()
        except LabError as e:
            self.machine.say(f"no kernel log of {self.name}: {e}")
            return None
        # The kernel's buffer may have dropped old lines.
        new = lines[self.dmesg_seen:] if len(lines) >= self.dmesg_seen else lines
        self.dmesg_seen = len(lines)
        return new

    def keep_logs(self):
        """Write its messages to the scenario's logs; complaints of its kernel fail the scenario."""
        if lines := self.kernel_log():
            self.machine.log.save(f"{self.name}.dmesg", "\n".join(lines) + "\n")
            bad = [x for x in lines if COMPLAINT.search(x) and not (self.allowed and re.search(self.allowed, x))]
            self.machine.complaints += [f"{self.name}'s kernel: {x.strip()}" for x in bad]
            self.find_leaks()
        if text := bytes(self.channel.text[self.console_seen:]).decode(errors="replace"):
            self.machine.log.save(f"{self.name}.console", text)
        self.console_seen = len(self.channel.text)

    def find_leaks(self):
        """Have a debug kernel search for leaked memory."""
        if debug_kernel.CHOSEN:
            leaks = self.channel.run(debug_kernel.LEAKS, limit=120, check=False, quiet=True).out
            self.machine.log.save(f"{self.name}.leaks", leaks)
            if "[pvgpu]" in leaks:
                self.machine.complaints.append(f"{self.name}'s kernel: pvgpu.ko leaks, see {self.name}.leaks")

    def destroy(self):
        """Destroy the domain; the console's text goes to the scenario's logs."""
        if self.machine.guests.pop(self.name, None) is None:
            return
        self.keep_logs()
        self.machine.dom0.run(f"xl destroy {self.name}", check=False)
        self.disconnect()

    def gone(self):
        return self.name not in self.machine.domains()

    def wait_gone(self, limit=60):
        self.machine.wait(f"the end of {self.name}", self.gone, limit)

    def state(self):
        """xl's letters: r running, b blocked, p paused, s shut down, c crashed, d dying; None: there is none."""
        for row in self.machine.dom0.run("xl list", quiet=True).out.splitlines()[1:]:
            words = row.split()
            if words[0] == self.name:
                return words[4].replace("-", "")
        return None

    def pause(self):
        self.machine.dom0.run(f"xl pause {self.name}")

    def unpause(self):
        self.machine.dom0.run(f"xl unpause {self.name}")

    def save(self, path, limit=180):
        """Save it to a file in dom0; the domain ends."""
        self.disconnect()
        self.machine.dom0.run(f"xl save {self.name} {path}", limit=limit)

    def restore(self, path, limit=180, before=None):
        """Restore it from such a file, as a new domain of the same name with its processes. before() is called when the
        domain exists and does not run yet."""
        self.machine.dom0.run(f"xl restore {'-p ' * bool(before)}{path}", limit=limit)
        self.moved(before)

    def migrate(self, limit=300, before=None):
        """Migrate it to this same machine, as a new domain; before as in restore."""
        self.disconnect()
        # With an empty -s the last word is the command that receives.
        receive = f"xl migrate-receive{' -p' * bool(before)}"
        self.machine.dom0.run(f"xl migrate -s '' {self.name} '{receive}'", limit=limit)
        self.moved(before)

    def moved(self, before):
        self.domid = self.find_domid()
        if before:
            before()
            self.unpause()
        self.connect()

    # commands in it

    def run(self, command, **how):
        return self.channel.run(command, **how)

    def start(self, command, **how):
        return self.channel.start(command, **how)

    def put_file(self, path, data, **how):
        self.channel.put_file(path, data, **how)

    def get_file(self, path, **how):
        return self.channel.get_file(path, **how)

    def wait_console(self, pattern, limit=60):
        """Wait until the guest's console text matches."""
        return self.channel.wait(f"the console to show /{pattern}/", lambda: re.search(
            pattern, self.channel.text.decode(errors="replace"), re.M), limit)
