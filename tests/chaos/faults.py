# SPDX-License-Identifier: MIT
"""What chaos.py does to pvgpud, workers, guests and files while guests run. A fault is a function of the driver; it says to the guests
which errors it permits them, and gives driver.later() what undoes it."""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess

from guests import LOST, MEMORY, REFUSED
from world import MARK, POLICY, POOL, RELOADED, Wrong

FAULTS = {}
STARTS_BY = 5  # seconds from the start of a worker to its first word, or its end


def fault(name, weight=1, needs=None):
    """needs: "up": pvgpud answers; "mounts": the run directory is a file system of its own."""
    def add(act):
        FAULTS[name] = (act, weight, needs)
        return act
    return add


# ---- pvgpud itself ----

def back_later(d, most):
    """The next pvgpud starts when this one has ended."""
    def start():
        if d.world.daemon.poll() is None:
            d.later(0.05, start)
        else:
            if d.world.daemon.returncode not in (0, -signal.SIGKILL):
                raise Wrong(f"pvgpud was told to end, and ended with {d.world.daemon.returncode}")
            d.world.spawn()
    d.later(d.rng.random() * most, start)


@fault("kill", 4)
def kill(d):
    if d.world.daemon.poll() is None and not d.world.expected_end:
        d.world.end_by(signal.SIGKILL)
        back_later(d, 1.0)


@fault("hand-over", 3, "up")
def hand_over(d):
    d.world.end_by(signal.SIGUSR1)
    back_later(d, 0.5)


@fault("terminate", 1, "up")
def terminate(d):
    """All sessions end, and all programs say so."""
    had = [g for g in d.guests if g.is_ready()]
    d.permit_all(LOST, "SIGTERM of pvgpud")
    d.permit_all(REFUSED, "SIGTERM of pvgpud")
    d.world.end_by(signal.SIGTERM)
    d.until_restart = {LOST: "SIGTERM of pvgpud", REFUSED: "SIGTERM of pvgpud"}
    daemon = d.world.daemon

    def ended():
        if daemon.poll() is None:
            d.later(0.05, ended)
        else:
            for g in had:
                g.lose("SIGTERM of pvgpud")
    ended()
    back_later(d, 0.5)


@fault("early signal", 1, "up")
def early_signal(d):
    """One that comes while pvgpud starts is handled when it has started."""
    act = d.rng.choice((terminate, hand_over, lambda d: d.world.daemon.send_signal(signal.SIGHUP)))
    delay = d.rng.random() * 0.3
    d.world.end_by(signal.SIGKILL)

    def send():
        if d.world.daemon.poll() is None and not d.world.expected_end:
            act(d)

    def heard():
        """Not before main()."""
        if d.world.catches(signal.SIGHUP):
            d.later(delay, send)
        elif d.world.daemon.poll() is None:
            d.later(0.001, heard)
    d.world.spawn()
    heard()


@fault("section", 2, "up")
def section(d):
    """A vGPU's section is gone from pvgpud.conf, and is put back: its sessions end unless that was soon."""
    if len(d.world.vgpus) < 2:
        return
    vgpu = d.some_vgpu()
    keys = d.world.vgpus.pop(vgpu)
    for error in (LOST, REFUSED):
        d.while_it_lasts(error, "its section is gone", vgpu)
    d.world.end_by(d.rng.choice((signal.SIGKILL, signal.SIGUSR1)))
    back_later(d, 0.5)

    def undo():
        if not d.world.answers():
            d.later(0.1, undo)
            return
        d.world.vgpus[vgpu] = keys
        kill(d)
        there()

    def there():
        """Its socket is not there before the next pvgpud is."""
        if d.world.answers():
            d.over("its section is gone", vgpu)
        else:
            d.later(0.1, there)
    d.later(d.rng.random() * 3, undo)


@fault("stop", 2, "up")
def stop(d):
    pid = d.world.pid
    d.world.daemon.send_signal(signal.SIGSTOP)
    d.world.stopped = True

    def go_on():
        d.world.stopped = False
        if d.world.pid == pid:
            d.world.daemon.send_signal(signal.SIGCONT)
    d.later(d.rng.random() * 2, go_on)


@fault("reload", 3, "up")
def reload(d):
    for table, values in ((d.world.conf, RELOADED), (d.world.pool, POOL)):
        key = d.rng.choice(sorted(values))
        table[key] = d.rng.choice(values[key])
    d.world.reload()


@fault("bad reload", 1, "up")
def bad_reload(d):
    """A file with a fault changes nothing."""
    d.world.spoil_config(d.rng.choice(("[daemon]\nspare_workers = many\n", "[pool default]\ndevice = 0\npolicy = lucky\n", "}\n", "[vgpu v0]\nmemory = 1X\n")))
    d.world.daemon.send_signal(signal.SIGHUP)
    d.later(0.5, lambda: d.world.write_config(d.world.text()))


@fault("second", 1, "up")
def second(d):
    """Another pvgpud in the same run directory does not start; between two it would be the next one."""
    if d.restarts_soon():
        return
    with open(os.path.join(d.world.dir, "second.log"), "ab") as log:
        p = subprocess.Popen(d.world.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, MARK: d.world.mark})

    def ended():
        if p.poll() is None:
            d.later(0.05, ended)
        elif p.returncode == 0:
            raise Wrong("a second pvgpud ran in the same run directory")
    d.later(0.1, ended)


@fault("descriptors", 1, "up")
def descriptors(d):
    """pvgpud has no descriptor left for a while: nobody's session suffers who has one. Afterwards it may try up to half a minute later to start workers."""
    pid = d.world.pid
    d.until_restart[REFUSED] = "workers did not start without descriptors"
    d.must_restart = True
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    soft = resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), hard))[0]
    d.while_it_lasts(REFUSED, "no descriptors left")
    d.world.starved = True

    def lift():
        d.over("no descriptors left")
        with contextlib.suppress(ProcessLookupError):
            if d.world.pid == pid:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        d.world.starved = False
    d.later(d.rng.random(), lift)


# ---- operators ----

@fault("set", 4, "up")
def set_policy(d):
    vgpu, key = d.some_vgpu(), d.rng.choice(sorted(POLICY))
    value = d.rng.choice(POLICY[key])
    status, _, err = d.world.ctl("set", vgpu, f"{key}={value}")
    if status == 0:
        d.world.shown[vgpu][key] = {"1G": str(1 << 30)}.get(value, str(value))
    elif d.world.ready and not d.world.stopped and not d.world.full:
        raise Wrong(f"pvgpuctl set {vgpu} {key}={value}: status {status}: {err}")


@fault("memory", 1, "up")
def memory(d):
    vgpu, mib = d.some_vgpu(), d.rng.choice((32, 64, 128))
    for g in d.guests:
        if g.vgpu == vgpu:
            g.permit(MEMORY, f"memory={mib}M")
    d.while_it_lasts(MEMORY, f"memory={mib}M", vgpu)
    if d.world.ctl("set", vgpu, f"memory={mib}M")[0] == 0:
        d.world.shown[vgpu]["memory"] = str(mib << 20)


@fault("park", 4, "up")
def park(d, word="park"):
    """From now on memory of idle sessions is parked, or stays on the GPU: of one vGPU's or of all."""
    allowed = d.world.pool["mode"] == "shared" or word == "resume"
    for vgpu in [d.some_vgpu()] if d.rng.random() < 0.5 else sorted(d.world.vgpus):
        status, _, err = d.world.ctl(word, vgpu)
        if d.world.answers() and (status == 0) != allowed:
            raise Wrong(f"pvgpuctl {word} {vgpu}: status {status}: {err}")


@fault("resume", 3, "up")
def resume(d):
    park(d, "resume")


@fault("drain", 2, "up")
def drain(d):
    """1: running programs go on; now: they end after shutdown_grace_ms. Also one that cannot be recorded holds."""
    vgpu, how = d.some_vgpu(), d.rng.choice(("1", "1", "now"))
    for error in (REFUSED, LOST) if how == "now" else (REFUSED,):
        d.while_it_lasts(error, f"drain={how}", vgpu)
    d.world.ctl("set", vgpu, f"drain={how}")

    def undo():
        if not d.world.answers() or d.world.ctl("set", vgpu, "drain=0")[0]:
            d.later(0.1, undo)
            return
        for said in ("1", "now"):
            d.over(f"drain={said}", vgpu)
    d.later(d.rng.random() * 1.5, undo)


@fault("gpu drain", 1, "up")
def gpu_drain(d):
    d.while_it_lasts(REFUSED, "gpu drain")
    d.world.ctl("gpu", d.rng.choice(("drain", "drain", "reset")), "default", timeout="1")

    def undo():
        if not d.world.answers() or d.world.ctl("gpu", "admit", "default")[0]:
            d.later(0.2, undo)
            return
        d.over("gpu drain")
    d.later(d.rng.random(), undo)


@fault("end session", 1, "up")
def end_session(d):
    found = d.sessions()
    if not found:
        return
    vgpu, number, guest, _ = d.rng.choice(found)
    if guest:
        guest.lose("pvgpuctl kill")
    d.world.ctl("kill", vgpu, str(number))


@fault("tools", 3)
def tools(d):
    """Whatever happens, the tools come back, and what they print as JSON is JSON."""
    words = d.rng.choice((("list", "--json"), ("doctor", "--json"), ("stats", "--json"), ("pools", "--json"), ("sessions", "--json"), ("top", "--count", "1"),
                          ("events",), ("show", d.some_vgpu(), "--json"), ("tree",), ("doctor", "--test")))
    # What has stopped pvgpud lets it go on afterwards only.
    timeout = "2" if d.world.stopped else "30"
    if "--json" in words:
        with contextlib.suppress(ValueError):
            d.world.json(*words[:-1], timeout=timeout)
    else:
        d.world.ctl(*words, timeout=timeout)


# ---- workers, guests and helpers ----

def go_on(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@fault("kill worker", 3, "up")
def kill_worker(d):
    found = d.sessions()
    if found:
        _, _, guest, pid = d.rng.choice(found)
        if guest:
            guest.lose("its worker was killed")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def refused_for_a_start(d, why):
    """Those that wait for these workers, and those that come before pvgpud knows of their end."""
    d.while_it_lasts(REFUSED, why)
    d.later(STARTS_BY, lambda: d.over(why))


@fault("kill all workers", 1)
def kill_workers(d):
    d.permit_all(LOST, "all workers were killed")
    refused_for_a_start(d, "all workers were killed")
    for pid in d.world.processes().get("pvgpu-worker", []):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@fault("stop worker", 2, "up")
def stop_worker(d):
    """Also a spare one, which the next program does not wait for."""
    pids = d.world.processes().get("pvgpu-worker")
    if pids:
        pid = d.rng.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        d.later(d.rng.random() * 1.5, lambda: go_on(pid))


@fault("kill spare", 2, "up")
def kill_spare(d):
    why = "a spare worker was killed"
    d.permit_opening(LOST, why)  # one that gets it meanwhile
    serving = {pid for _, _, _, pid in d.sessions()}
    pids = [p for p in d.world.processes().get("pvgpu-worker", []) if p not in serving]
    if pids:
        refused_for_a_start(d, why)
        with contextlib.suppress(ProcessLookupError):
            os.kill(d.rng.choice(pids), signal.SIGKILL)


@fault("end guest", 3)
def end_guest(d):
    guests = [g for g in d.guests if g.p.poll() is None and not g.stopped]
    if guests:
        d.rng.choice(guests).send(d.rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))


@fault("stop guest", 2)
def stop_guest(d):
    guests = [g for g in d.guests if g.p.poll() is None and not g.stopped]
    if guests:
        g = d.rng.choice(guests)
        g.send(signal.SIGSTOP)
        d.later(d.rng.random() * 1.5, lambda: g.p.poll() is None and g.send(signal.SIGCONT))


@fault("health", 2, "up")
def health(d):
    for pid in d.world.processes().get("pvgpu-health", []):
        with contextlib.suppress(ProcessLookupError):
            if d.rng.random() < 0.5:
                os.kill(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGSTOP)
                d.later(d.rng.random(), lambda pid=pid: go_on(pid))


@fault("connections", 1, "up")
def connections(d):
    """Some that say nothing, and some that say what makes no sense."""
    held = []
    for _ in range(d.rng.randint(1, 12)):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        held.append(s)
        with contextlib.suppress(OSError):
            s.connect(d.world.socket(d.some_vgpu()))
            if d.rng.random() < 0.5:
                s.send(d.rng.randbytes(d.rng.choice((1, 16, 64, 500))))
    d.later(d.rng.random(), lambda: [s.close() for s in held])


# ---- files ----

@fault("full", 2, "mounts")
def full(d):
    if d.world.full or not d.world.ready:
        return
    empty = d.world.fill()
    d.world.full = True
    d.while_it_lasts(REFUSED, "the run directory is full")

    def undo():
        empty()
        d.world.full = False
        d.over("the run directory is full")
    d.later(d.rng.random() * 1.5, undo)


def made_again(d, path, then):
    """After a reload, when there is room; or by the next pvgpud."""
    def look():
        if d.world.answers() and os.path.exists(path):
            then()
            return
        if d.world.answers():
            d.world.reload()
        d.later(0.2, look)
    d.later(d.rng.random(), look)


@fault("delete socket", 1, "up")
def delete_socket(d):
    vgpu = d.some_vgpu()
    d.while_it_lasts(REFUSED, "a vGPU's socket was deleted", vgpu)
    path = d.world.socket(vgpu)
    pathlib.Path(path).unlink(missing_ok=True)
    made_again(d, path, lambda: d.over("a vGPU's socket was deleted", vgpu))


def lose_at_restart(d, why):
    """The next pvgpud does not find the workers that there are: their sessions end then, and must not stay."""
    d.permit_all(LOST, why)
    d.until_restart[LOST] = why
    d.must_restart = True


@fault("delete worker's socket", 1, "up")
def delete_workers_socket(d):
    files = sorted(pathlib.Path(d.world.run_dir, "workers").glob("*"))
    if files:
        d.rng.choice(files).unlink(missing_ok=True)
        lose_at_restart(d, "a worker's socket was deleted")


@fault("delete workers", 1, "up")
def delete_workers(d):
    """No worker starts until a reload; then pvgpud may wait half a minute before it tries."""
    folder = os.path.join(d.world.run_dir, "workers")
    lose_at_restart(d, "the workers' sockets were deleted")
    d.until_restart[REFUSED] = "workers did not start without a folder"
    d.permit_lasting()
    shutil.rmtree(folder, ignore_errors=True)
    made_again(d, folder, lambda: None)


@fault("delete file", 1, "up")
def delete_file(d):
    """Files that the next pvgpud makes again; no deleted one lets a second pvgpud run."""
    path = pathlib.Path(d.world.run_dir, d.rng.choice(("lock", "usage")))
    path.unlink(missing_ok=True)
    d.must_restart = True
    if not d.restarts_soon():
        second(d)


@fault("truncate usage", 1, "up")
def truncate_usage(d):
    with contextlib.suppress(FileNotFoundError):
        os.truncate(os.path.join(d.world.run_dir, "usage"), 0)
    d.must_restart = True


@fault("junk in usage", 1, "up")
def junk_in_usage(d):
    """pvgpud leaves out what cannot be true."""
    d.world.end_by(signal.SIGKILL)
    path = pathlib.Path(d.world.run_dir, "usage")
    with contextlib.suppress(OSError), open(path, "r+b") as f:
        f.seek(d.rng.choice((0, 24, 64)))
        f.write(b"\xff" * d.rng.choice((8, 64, 4096)))
    back_later(d, 0.5)
