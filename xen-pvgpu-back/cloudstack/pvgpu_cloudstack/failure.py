# SPDX-License-Identifier: MIT
"""What can go wrong, with the exit statuses of pvgpuctl(8)."""
REFUSED, USAGE, NOT_THERE, TIMED_OUT = 1, 2, 3, 4


class Failure(Exception):
    """A sentence that names the thing, its value and the way out. code: that of CloudStack, xapi or the plugin, if it is theirs."""

    def __init__(self, text, status=REFUSED, code=""):
        super().__init__(text)
        self.text, self.status, self.code = text, status, str(code)


def usage(text):
    return Failure(text, USAGE)


def not_there(text):
    return Failure(text, NOT_THERE)


def timed_out(text):
    return Failure(text, TIMED_OUT)
