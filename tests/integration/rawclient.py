# SPDX-License-Identifier: MIT
"""A guest of the local link without libcuda, so that tests can send what no library would.

Layouts are those of libpvgpu/link/local.h, libpvgpu/ring/ring.h and docs/protocol.md.
"""
import array
import errno
import mmap
import os
import select
import socket
import struct
import time

MAGIC, VERSION = 0x75677670, 1
OPEN = struct.Struct("<IIII32s")
OPENED = struct.Struct("<IIiIIIQ104s")
CHUNK = struct.Struct("<IIQQ")
CHUNKED = struct.Struct("<IiQ")
CMD = struct.Struct("<IHHII")
REP = struct.Struct("<IHHIi")
# Offsets in the ring page.
CMD_PROD, CMD_CONS, REP_PROD, REP_CONS = 64, 128, 192, 256
CMD_SLEEPING, CMD_WAITING, REP_SLEEPING, REP_WAITING = 320, 384, 448, 512
CB_DONE, STATUS, REASON, TEXT = 576, 640, 644, 648
PAGE = 4096
HELLO, WINDOWS, SNAPSHOT, RETAIN, MEM_INFO, MEM_ALLOC, MEM_FREE = 1, 2, 10, 20, 11, 80, 81
CTX = 1 << 56  # handle of a context, generation 0, index 0


class Refused(Exception):
    def __init__(self, error, reason):
        super().__init__(f"{errno.errorcode.get(error, error)}: {reason}")
        self.error, self.reason = error, reason


class Ended(Exception):
    pass


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(120)
    s.connect(path)
    return s


def request(magic=MAGIC, version=VERSION, cmd_size=0, rep_size=0, comm=b"rawclient"):
    return OPEN.pack(magic, version, cmd_size, rep_size, comm)


def receive(s, size, fds):
    data, anc, flags, _ = s.recvmsg(size, socket.CMSG_SPACE(4 * fds))
    got = array.array("i")
    for level, kind, body in anc:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            got.frombytes(body[: len(body) - len(body) % 4])
    return data, list(got)


class Session:
    """An open session."""

    def __init__(self, path, **req):
        s = connect(path)
        with s:
            try:
                s.send(request(**req))
            except BrokenPipeError:
                pass  # refused already: the answer has the reason
            try:
                data, fds = receive(s, OPENED.size, 4)
            except ConnectionResetError:
                data, fds = receive(s, OPENED.size, 4)
        if len(data) != OPENED.size:
            raise Refused(errno.EPIPE, "hung up")
        (_, _, error, self.cmd_size, self.rep_size, self.number, self.arena_limit, reason) = OPENED.unpack(data)
        if error:
            assert not fds
            raise Refused(error, reason.split(b"\0")[0].decode())
        self.ring_fd, self.to_worker, self.to_guest, sock = fds
        self.sock = socket.socket(fileno=sock)
        self.mem = mmap.mmap(self.ring_fd, PAGE + self.cmd_size + self.rep_size)
        self.words = memoryview(self.mem).cast("I")
        self.prod = self.cons = self.seq = 0
        self.replies = {}

    # One access of four bytes each; struct.pack_into() would write zeros first.
    def word(self, at):
        return self.words[at // 4]

    def put_word(self, at, v):
        self.words[at // 4] = v & 0xFFFFFFFF

    def bell(self):
        os.eventfd_write(self.to_worker, 1)

    def put_bytes(self, data):
        """Write raw bytes into the command stream, without publishing them."""
        at = self.prod & (self.cmd_size - 1)
        first = min(len(data), self.cmd_size - at)
        self.mem[PAGE + at:PAGE + at + first] = data[:first]
        self.mem[PAGE:PAGE + len(data) - first] = data[first:]

    def publish(self, n):
        self.prod = (self.prod + n) & 0xFFFFFFFF
        self.put_word(CMD_PROD, self.prod)
        self.put_word(CMD_SLEEPING, 0)
        self.bell()

    def post(self, op, body=b"", flags=0):
        self.seq += 1
        body += bytes(-len(body) % 8)
        rec = CMD.pack(CMD.size + len(body), op, flags, self.seq, 0) + body
        self.put_bytes(rec)
        self.publish(len(rec))
        return self.seq

    def status(self):
        return self.word(STATUS)

    def reason(self):
        return self.word(REASON), self.mem[TEXT:TEXT + 120].split(b"\0")[0].decode()

    def reply_bytes(self, n):
        base, at = PAGE + self.cmd_size, self.cons & (self.rep_size - 1)
        first = min(n, self.rep_size - at)
        return self.mem[base + at:base + at + first] + self.mem[base:base + n - first]

    def space(self):
        return self.cmd_size - ((self.prod - self.word(CMD_CONS)) & 0xFFFFFFFF)

    def drain(self):
        prod = self.word(REP_PROD)
        while self.cons != prod:
            n = struct.unpack("<I", self.reply_bytes(4))[0]
            rec = self.reply_bytes(n)
            _, kind, flags, seq, result = REP.unpack_from(rec)
            self.replies[seq] = (kind, result, rec[REP.size:])
            self.cons = (self.cons + n) & 0xFFFFFFFF
        self.put_word(REP_CONS, self.cons)
        if self.word(REP_WAITING):
            self.put_word(REP_WAITING, 0)
            self.bell()

    def wait(self, seq, limit=30):
        """(result, body) of a command."""
        end = time.monotonic() + limit
        while True:
            self.put_word(REP_SLEEPING, 1)
            self.drain()
            if seq in self.replies:
                _, result, body = self.replies.pop(seq)
                return result, body
            if self.status():
                raise Ended(self.reason())
            if time.monotonic() > end:
                raise TimeoutError(f"no reply to {seq}")
            # A worker that died without a status word is detected by the socket's hang-up.
            ready, _, _ = select.select([self.to_guest, self.sock], [], [], 0.05)
            if self.to_guest in ready:
                os.eventfd_read(self.to_guest)
            if self.sock in ready and self.hung_up() and not self.status():
                raise Ended("the worker is gone")

    def hung_up(self):
        try:
            return self.sock.recv(64, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def wait_end(self, limit=30):
        """Wait for the session's end; returns (cause, text)."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.status():
                return self.reason()
            if self.hung_up():
                return self.reason() if self.status() else (None, "the worker is gone")
            time.sleep(0.002)
        raise TimeoutError("the session goes on")

    def call(self, op, body=b""):
        return self.wait(self.post(op, body))

    def hello(self):
        return self.call(HELLO, struct.pack("<IIQ", 1, 1, 0))

    def windows(self, attempt=0):
        """(device base, size, arena base, size)"""
        result, body = self.call(WINDOWS, struct.pack("<II", attempt, 0))
        assert result == 0, result
        return struct.unpack("<QQQQ", body)

    def start(self):
        """Begin like a library: hello, windows, and a context."""
        assert self.hello()[0] == 0
        w = self.windows()
        assert self.call(RETAIN, struct.pack("<IIQ", 0, 0, CTX))[0] == 0
        return w

    def mem_info(self):
        result, body = self.call(MEM_INFO, struct.pack("<Q", CTX))
        assert result == 0, result
        return struct.unpack("<QQ", body)

    def alloc(self, size):
        """(CUresult, address)"""
        result, body = self.call(MEM_ALLOC, struct.pack("<QQ", CTX, size))
        return result, struct.unpack("<Q", body)[0]

    def free(self, address):
        self.post(MEM_FREE, struct.pack("<QQ", CTX, address))

    def chunk(self, op, address, size, fds=()):
        """0 or an errno value; None when the session ended instead."""
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.settimeout(120)
        self.sock.sendmsg([CHUNK.pack(MAGIC, op, address, size)], anc)
        data = self.sock.recv(CHUNKED.size)
        return CHUNKED.unpack(data)[1] if data else None

    def close(self):
        for fd in (self.ring_fd, self.to_worker, self.to_guest):
            os.close(fd)
        self.sock.close()
        self.words.release()
        self.mem.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


F_ADD_SEALS, SEAL_SEAL, SEAL_SHRINK = 1033, 1, 2


def chunk_memfd(size, seals=SEAL_SEAL | SEAL_SHRINK):
    import fcntl
    fd = os.memfd_create("chunk", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd
