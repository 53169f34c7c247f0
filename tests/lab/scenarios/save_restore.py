# SPDX-License-Identifier: MIT
"""A guest is saved to a file and restored from it; its processes go on."""
LIMIT = 420
LONG = True


def check(lab, kind):
    g = lab.create(kind, kind, memory=128)
    old = g.domid
    boot_id = g.run("cat /proc/sys/kernel/random/boot_id").out
    job = g.start("echo begun; read -r line; echo got $line")
    job.wait_output("^begun")
    g.save("/run/saved")
    assert g.gone()
    g.restore("/run/saved")
    assert g.domid != old
    job.write("it\n")
    assert job.wait().out == "begun\ngot it\n"
    assert g.run("cat /proc/sys/kernel/random/boot_id").out == boot_id
    assert g.run("xenstore-read domid").out.strip() == str(g.domid)
    lab.dom0.run("rm /run/saved")
    g.destroy()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
