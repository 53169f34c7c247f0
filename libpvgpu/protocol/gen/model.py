# SPDX-License-Identifier: MIT
"""What a description of calls (docs/calls.md) says: libraries, objects, records and calls, as calls.py reads them."""
import re
from dataclasses import dataclass, field

import parse
from parse import Command, SCALARS


def limits(value):
    """Of a number, given or of its type."""
    low, high = SCALARS[value.kind][2:]
    return (low if value.lo is None else value.lo, high if value.hi is None else value.hi)


@dataclass
class Library:
    where: tuple
    name: str
    number: int
    doc: str
    status: str = "CUresult"
    invalid: str = "CUDA_ERROR_INVALID_VALUE"
    header: str = "cuda.h"
    sonames: list = field(default_factory=list)
    far: list = field(default_factory=list)  # functions of the far end's that handlers written by hand call


@dataclass
class State:  # of an object, kept in the guest
    where: tuple
    name: str
    kind: str   # stream, mode, or a key of TYPES
    ctype: str
    lo: int = None
    hi: int = None
    initial: int = None


@dataclass
class Object:  # a handle type that a library hands out
    where: tuple
    handle: parse.Handle
    library: Library
    ctype: str
    destroy: str = None
    charge: int = 0
    stream: str = None  # the far end's call that sets the stream of its work
    mode: str = None    # and the one that says where its numbers by pointer lie
    lends: str = None   # the call that lends memory to its stream's work, until the stream is set again
    states: dict = field(default_factory=dict)


@dataclass
class Part:  # a field of a record
    where: tuple
    name: str
    role: str  # in, object, memory, pad
    kind: str
    ctype: str = None
    lo: int = None
    hi: int = None
    handle: parse.Handle = None
    bytes: str = None
    bits: int = None

    def limits(self):
        return limits(self)


@dataclass
class Record:  # a structure that applications hand over in arrays
    where: tuple
    name: str
    ctype: str
    parts: list = field(default_factory=list)


@dataclass
class Param:
    where: tuple
    role: str  # object new drop in out scalar result memory array numbers stream info
    name: str
    kind: str = None   # a key of TYPES
    ctype: str = None
    lo: int = None
    hi: int = None
    bits: int = None
    optional: bool = False
    typical: int = None
    handle: parse.Handle = None
    bytes: str = None  # expression: bytes of a scalar, of memory, or of numbers that have no type
    write: bool = False
    record: Record = None
    count: str = None  # parameter that counts an array's elements, or numbers
    most: int = None   # of numbers: elements, or bytes where they have no type
    dim: bool = False  # an int, and 64 bits in the call's wide form
    form: bool = False # which of both forms it is: on the wire, no argument
    words: int = 2     # of a scalar, on the wire
    many: int = 1      # elements of a scalar

    @property
    def size(self):
        """Bytes of one of the numbers."""
        return SCALARS[self.kind][1] if self.kind else 1

    def limits(self):
        return limits(self)


@dataclass
class Call:
    where: tuple
    name: str
    library: Library
    doc: str = None
    op: int = None      # None: answered in the guest
    since: int = 1
    awaited: bool = False
    lane: str = "now"
    wire: str = None
    params: list = field(default_factory=list)
    checks: list = field(default_factory=list)  # (expression, status, parameter that counts the elements it is for, or None, parameter that is wrong, or None)
    moded: bool = False  # the object's mode is told to the far end though no number of the call's goes by it
    cost: list = None   # expressions
    host: bool = False  # the guest computes by hand what has its numbers in host memory
    current: bool = False
    frees: bool = False
    needed: bool = False
    returns: str = None  # of one that is written by hand, when it is no status
    own: set = field(default_factory=set)  # written by hand: "guest", "worker"
    form: str = None    # ptds, ptsz
    sets: str = None    # of a pair: the state's name
    gets: str = None
    command: Command = None

    def of(self, *roles):
        return [p for p in self.params if p.role in roles]

    @property
    def arguments(self):
        """Of the function's."""
        return [p for p in self.params if not p.form]

    @property
    def wide(self):
        """It has a second form with numbers of 64 bits."""
        return any(p.dim for p in self.params)

    @property
    def names(self):
        """The symbols, one for each form of the default stream's and of its numbers."""
        return [self.name] + ([self.name + "_64"] if self.wide else [])

    @property
    def wire_name(self):
        """In names of generated C."""
        return self.wire or snake(self.name)

    @property
    def by_hand(self):
        """Only documented here: its function is written in C."""
        return self.op is None and not self.sets and not self.gets

    @property
    def object(self):
        """The library's object that the call works on."""
        found = self.of("object", "drop")
        return found[0] if found else None

    @property
    def works(self):
        """It issues GPU work in a stream."""
        return self.cost is not None

    @property
    def in_stream(self):
        return self.op is not None and self.lane == "gpu"

    @property
    def mode(self):
        return self.moded or any(p.role == "scalar" for p in self.params)

    def values(self):
        """What the validator sees: every number by value."""
        return [p for p in self.params if p.role == "in" and p.kind]


def snake(name):
    name = re.sub(r"_v\d+$", "", name)
    name = re.sub(r"^cu(?=[A-Z])", "", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
