# SPDX-License-Identifier: MIT
"""A shell in dom0 or in a guest on this terminal."""
import os
import select
import shutil
import sys
import termios
import tty

LEAVE = b"\x1d"  # Ctrl-]


def interact(m, guest=None):
    if guest:
        place = m.create(guest, guest, payload=True, memory=640).channel
    else:
        place = m.dom0
    print(f"lab: a shell in {place.name}; leave with exit or Ctrl-], which powers the machine off", flush=True)
    terminal = sys.stdin.isatty()
    size = shutil.get_terminal_size()
    p = place.start(f"stty rows {size.lines} cols {size.columns}; exec sh -i", kind="pty")
    p.on_out = lambda data: os.write(1, data)
    if terminal:
        before = termios.tcgetattr(0)
        tty.setraw(0)
    try:
        while p.status is None and m.alive():
            if not select.select([0], [], [], 0.1)[0]:
                continue
            data = os.read(0, 1024)
            if LEAVE in data:
                break
            if not data:
                p.write("exit\n")
                p.wait()
                break
            p.write(data)
    finally:
        if terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
    return 0
