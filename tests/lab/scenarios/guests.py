# SPDX-License-Identifier: MIT
"""A PV and a PVH guest start, run commands and answer, carry files, and can be read from xenstore."""
LONG = True


def check(lab, kind):
    g = lab.create(kind, kind)
    assert g.run("cat /sys/hypervisor/guest_type").out.strip() == kind.upper()
    r = g.run("echo out; echo err >&2; exit 3", check=False)
    assert (r.out, r.err, r.status) == ("out\n", "err\n", 3), vars(r)
    assert g.run("kill -9 $$", check=False).status == 128 + 9

    # A file there and back, as large as several of the console's buffers.
    data = bytes(i * 7 % 256 for i in range(20000))
    g.put_file("/tmp/file", data)
    assert g.get_file("/tmp/file") == data
    assert g.channel.bad == 0, f"{g.channel.bad} lines of {kind} arrived broken"

    # Commands at the same time, one that waits for its input.
    waiting = g.start("read -r line; echo got $line")
    assert g.run("echo meanwhile").out == "meanwhile\n"
    waiting.write("this\n")
    assert waiting.wait().out == "got this\n"
    endless = g.start("echo begun; exec sleep 1000")
    endless.wait_output("begun")
    endless.kill()
    assert endless.wait().status == 128 + 15

    # xenstore from both sides.
    g.run("xenstore-write data/greeting hello")
    assert lab.store.wait(f"/local/domain/{g.domid}/data/greeting") == "hello"
    assert g.run("xenstore-write /local/domain/0/data x", check=False).status, "a guest wrote into dom0's keys"

    g.run("poweroff -f & exit", check=False)
    g.wait_gone()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
