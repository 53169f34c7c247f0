# SPDX-License-Identifier: MIT
"""A paused guest does not run, and continues after unpause."""
LONG = True


def check(lab, kind):
    g = lab.create(kind, kind)
    job = g.start("echo begun; read -r line; echo got $line")
    job.wait_output("^begun")
    g.pause()
    assert "p" in g.state()
    job.write("it\n")
    # Enough work for dom0 that the guest, if it ran, would have answered.
    for _ in range(20):
        lab.dom0.run("xl list >/dev/null", quiet=True)
    assert job.status is None and b"got" not in job.out
    g.unpause()
    assert job.wait().out == "begun\ngot it\n"
    g.destroy()


def run(lab):
    check(lab, "pv")
    check(lab, "pvh")
