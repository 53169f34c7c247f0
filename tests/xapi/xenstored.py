# SPDX-License-Identifier: MIT
"""A xenstored for tests of programs as they are: it speaks the wire protocol of Xen's public header xen/io/xs_wire.h over a Unix socket, which
libxenstore takes from the environment (XENSTORED_PATH). Every client is dom0. Transactions work on a copy, and conflict when another writer has
changed a node that they touched. Requests are counted. The test itself plays the toolstack, pvgpud and the guests: write(), remove(), listen().
"""
import os
import socket
import struct
import threading

(CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END, INTRODUCE, RELEASE, GET_DOMAIN_PATH, WRITE, MKDIR, RM,
 SET_PERMS, WATCH_EVENT, ERROR, IS_DOMAIN_INTRODUCED) = range(18)
DIRECTORY_PART = 22
HEADER = struct.Struct("=IIII")
PAYLOAD = 4096


class Refused(Exception):
    """Its text is an errno's name, as the protocol has it."""


def below(parent, path):
    return parent == path or path.startswith(parent.rstrip("/") + "/")


class Node:
    def __init__(self, value, perms, generation):
        self.value, self.perms, self.generation = value, perms, generation


class Tree:
    def __init__(self, nodes=None):
        self.nodes = nodes if nodes is not None else {"/": Node(b"", ["n0"], 0)}

    def copy(self):
        return Tree({p: Node(n.value, n.perms, n.generation) for p, n in self.nodes.items()})

    def find(self, path):
        if path not in self.nodes:
            raise Refused("ENOENT")
        return self.nodes[path]

    def children(self, path):
        self.find(path)
        start = path.rstrip("/") + "/"
        return sorted(p[len(start):] for p in self.nodes if p.startswith(start) and p != "/" and "/" not in p[len(start):])

    def make(self, path, generation):
        """With its parents; new nodes have their parent's permissions."""
        if path in self.nodes:
            return self.nodes[path]
        above = self.make(path.rsplit("/", 1)[0] or "/", generation)
        self.nodes[path] = Node(b"", list(above.perms), generation)
        return self.nodes[path]

    def drop(self, path):
        gone = [p for p in self.nodes if below(path, p)]
        for p in gone:
            del self.nodes[p]
        return gone


class Transaction:
    def __init__(self, tree):
        self.tree, self.begun, self.touched, self.changes = tree.copy(), {p: n.generation for p, n in tree.nodes.items()}, {}, []

    def touch(self, path):
        self.touched.setdefault(path, self.begun.get(path))


class Client:
    def __init__(self, connection):
        self.connection, self.watches, self.transactions, self.next, self.thread = connection, [], {}, 1, None


class Xenstored:
    """Use it as a context: the socket is served by a thread of its own."""

    def __init__(self, path):
        self.path, self.tree, self.generation = path, Tree(), 0
        self.lock, self.clients, self.listeners, self.requests = threading.RLock(), [], [], 0
        self.left = None  # requests until everyone is hung up on
        self.tree.make("/local/domain", 0)
        self.tree.make("/vm", 0)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(16)
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def close(self):
        """A file that is closed while a thread waits for it has a number that the next file gets: the thread would take what is meant for that."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.server.close()
        with self.lock:
            serving = [c.thread for c in self.clients]
            for c in self.clients:
                c.connection.shutdown(socket.SHUT_RDWR)
        for thread in serving:
            thread.join()
        os.unlink(self.path)

    # ---- the test's end

    def get(self, path):
        with self.lock:
            node = self.tree.nodes.get(path)
            return node and node.value.decode()

    def paths(self, under="/"):
        with self.lock:
            return sorted(p for p in self.tree.nodes if below(under, p))

    def write(self, path, value=""):
        with self.lock:
            self.put(self.tree, path, value.encode())
            self.fire(path)

    def remove(self, path):
        with self.lock:
            self.removed(path, self.tree.drop(path))

    def chmod(self, path, perms):
        with self.lock:
            self.tree.find(path).perms = perms

    def listen(self, called):
        """called(path) after each change, in whichever thread makes it."""
        self.listeners.append(called)

    def count(self):
        with self.lock:
            n, self.requests = self.requests, 0
            return n

    def hang_up_after(self, n):
        """The connections of clients end after so many requests, as when the clients are killed; 0: never."""
        with self.lock:
            self.left = n or None

    def hung_up(self):
        return self.left == 0

    # ---- changes

    def put(self, tree, path, value):
        self.generation += 1
        node = tree.make(path, self.generation)
        node.value, node.generation = value, self.generation

    def removed(self, top, gone):
        """A node that goes with its parent fires only watches on itself."""
        for p in gone:
            if p == top:
                self.fire(p)
            else:
                self.fire(p, exactly=True)

    def fire(self, path, exactly=False):
        for c in self.clients:
            for watched, token in c.watches:
                if path == watched or (not exactly and path[0] != "@" and below(watched, path)):
                    self.send(c, WATCH_EVENT, 0, 0, path.encode() + b"\0" + token + b"\0")
        for called in self.listeners:
            called(path)

    # ---- the wire

    @staticmethod
    def send(client, kind, request, transaction, body):
        try:
            client.connection.sendall(HEADER.pack(kind, request, transaction, len(body)) + body)
        except OSError:
            pass

    def accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            client = Client(connection)
            client.thread = threading.Thread(target=self.serve, args=(client,), daemon=True)
            with self.lock:
                self.clients.append(client)
            client.thread.start()

    @staticmethod
    def take(connection, n):
        out = b""
        while len(out) < n:
            more = connection.recv(n - len(out))
            if not more:
                raise OSError("closed")
            out += more
        return out

    def serve(self, client):
        try:
            while True:
                kind, request, transaction, n = HEADER.unpack(self.take(client.connection, HEADER.size))
                if n > PAYLOAD:
                    break
                body = self.take(client.connection, n)
                with self.lock:
                    self.requests += 1
                    if self.left is not None:
                        if not self.left:
                            break
                        self.left -= 1
                    try:
                        answer, after = self.answer(client, kind, transaction, body)
                        self.send(client, kind, request, transaction, answer)
                    except Refused as e:
                        self.send(client, ERROR, request, transaction, str(e).encode() + b"\0")
                        after = None
                    if after:
                        after()
        except OSError:
            pass
        with self.lock:
            self.clients.remove(client)
        client.connection.close()

    def answer(self, client, kind, number, body):
        """What is sent back, and what is done afterwards."""
        words = body.split(b"\0")
        path = words[0].decode()
        if kind == WATCH:
            client.watches.append((path, words[1]))
            return b"OK\0", lambda: self.send(client, WATCH_EVENT, 0, 0, body)
        if kind == UNWATCH:
            if (path, words[1]) not in client.watches:
                raise Refused("ENOENT")
            client.watches.remove((path, words[1]))
            return b"OK\0", None
        if kind == TRANSACTION_START:
            client.transactions[client.next] = Transaction(self.tree)
            client.next += 1
            return b"%d\0" % (client.next - 1), None
        if kind == TRANSACTION_END:
            return self.commit(client.transactions.pop(number), words[0] == b"T")
        if kind == IS_DOMAIN_INTRODUCED:
            return (b"T\0" if "/local/domain/" + path in self.tree.nodes else b"F\0"), None
        if kind == GET_DOMAIN_PATH:
            return b"/local/domain/" + words[0] + b"\0", None
        if number and number not in client.transactions:
            raise Refused("ENOENT")
        return self.on_node(client.transactions.get(number), kind, path, body)

    def on_node(self, transaction, kind, path, body):
        tree = transaction.tree if transaction else self.tree
        if kind == READ and not path.startswith(("/", "@")):
            path = "/local/domain/0/" + path  # libxl asks for its own domid so
        if transaction:
            transaction.touch(path)
        if kind == READ:
            return tree.find(path).value, None
        if kind == DIRECTORY:
            out = b"".join(c.encode() + b"\0" for c in tree.children(path))
            if len(out) > PAYLOAD:
                raise Refused("E2BIG")
            return out, None
        if kind == DIRECTORY_PART:
            out = b"".join(c.encode() + b"\0" for c in tree.children(path)) + b"\0"
            offset = int(body.split(b"\0")[1])
            part = out[offset:offset + PAYLOAD - 32]
            return b"1\0" + (part if len(part) < PAYLOAD - 32 else part[:part.rindex(b"\0") + 1]), None
        if kind == GET_PERMS:
            if path.startswith("@"):
                self.tree.nodes.setdefault(path, Node(b"", ["n0"], 0))
            return b"".join(p.encode() + b"\0" for p in tree.find(path).perms), None
        return self.change(transaction, tree, kind, path, body)

    def change(self, transaction, tree, kind, path, body):
        if kind == WRITE:
            self.put(tree, path, body[len(path.encode()) + 1:])
        elif kind == MKDIR:
            if path not in tree.nodes:
                self.put(tree, path, b"")
        elif kind == RM:
            tree.find(path)
            gone = tree.drop(path)
        elif kind == SET_PERMS:
            if path.startswith("@"):
                tree.nodes.setdefault(path, Node(b"", ["n0"], 0))
            tree.find(path).perms = [p.decode() for p in body.split(b"\0")[1:] if p]
        else:
            raise Refused("ENOSYS")
        if transaction:
            transaction.changes.append((kind, path))
            return b"OK\0", None
        return b"OK\0", (lambda: self.removed(path, gone)) if kind == RM else (lambda: self.fire(path))

    def commit(self, transaction, good):
        if not good:
            return b"OK\0", None
        for path, generation in transaction.touched.items():
            node = self.tree.nodes.get(path)
            if (node and node.generation) != generation:
                raise Refused("EAGAIN")
        fired = []
        for kind, path in transaction.changes:
            if kind == RM:
                fired.append((path, self.tree.drop(path)))
            else:
                node = transaction.tree.nodes.get(path)
                if node:
                    self.put(self.tree, path, node.value)
                    self.tree.nodes[path].perms = node.perms
                    fired.append((path, None))

        def tell():
            for path, gone in fired:
                if gone is None:
                    self.fire(path)
                else:
                    self.removed(path, gone)
        return b"OK\0", tell
