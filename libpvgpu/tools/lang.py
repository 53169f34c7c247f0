# SPDX-License-Identifier: MIT
"""The front end of every description: *.api and pvgpu.schema.

One statement a line: words separated by blanks, texts in "quotes", numbers such as 12, 0xff, 64M; `#` starts a comment. A
statement may open a block, which ends with `end`. A language is a Line that says what its words and names look like, and a Reader
with a method for each statement. An error raises DescriptionError, which prints as "file:line: message".
"""
import re
from collections import namedtuple

U32_MAX = (1 << 32) - 1
U64_MAX = (1 << 64) - 1
SUFFIX = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}  # bits


class DescriptionError(Exception):
    def __init__(self, where, message):
        """where: (file, line)"""
        super().__init__("%s:%d: %s" % (where[0], where[1], message))


class Line:
    """The words of one statement. Every method but more() and peek() takes what it returns off the front."""
    WORD = r'[^\s"#=]+'
    NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
    NAME_MAX = 63

    def __init__(self, where, text):
        self.where = where
        self.words = []
        token = re.compile(r'\s*(?:(#.*)|"[^"\\]*"|=|%s)' % self.WORD)
        at = 0
        while text[at:].strip():
            m = token.match(text, at)
            if not m:
                self.fail("cannot read '%s'" % text[at:].strip())
            at = m.end()
            if m[1] is None:
                self.words.append(m[0].strip())

    def fail(self, message):
        raise DescriptionError(self.where, message)

    def more(self):
        return bool(self.words)

    def peek(self):
        return self.words[0] if self.words else None

    def take(self, what):
        if not self.words:
            self.fail("%s is missing" % what)
        return self.words.pop(0)

    def take_if(self, word):
        if self.peek() == word:
            self.words.pop(0)
            return True
        return False

    def expect(self, word):
        got = self.take("'%s'" % word)
        if got != word:
            self.fail("'%s' expected, not '%s'" % (word, got))

    def number(self, what):
        word = self.take(what)
        m = re.fullmatch(r"(-?)(?:(0x[0-9a-fA-F]+)|([0-9]+)([KMGT]?))", word)
        if not m:
            self.fail("%s must be a number, not '%s'" % (what, word))
        value = int(m[2], 16) if m[2] else int(m[3]) << SUFFIX[m[4]]
        if value > U64_MAX:
            self.fail("%s %s does not fit 64 bits" % (what, word))
        return -value if m[1] else value

    def name(self, what, pattern=None):
        word = self.take(what)
        if not re.fullmatch(pattern or self.NAME, word):
            self.fail("'%s' is not a good name for %s" % (word, what))
        if len(word) > self.NAME_MAX:
            self.fail("'%s' is longer than %d characters" % (word, self.NAME_MAX))
        return word

    def quoted(self, what):
        """A text that may be empty."""
        word = self.take(what)
        if not word.startswith('"'):
            self.fail("%s must be in quotes, not '%s'" % (what, word))
        return word[1:-1]

    def text(self, what):
        """A text for documentation, which also stands in a comment of generated C."""
        text = self.quoted(what).strip()
        if not text:
            self.fail("%s is empty" % what)
        if "*/" in text:
            self.fail("%s would end a comment in C" % what)
        return text

    def options(self, numbers=(), words=(), flags=()):
        """NAME VALUE ... until something else comes: {name: number, word, or True}."""
        found = {}
        while self.peek() in (*numbers, *words, *flags):
            name = self.take("option")
            if name in found:
                self.fail("'%s' is given twice" % name)
            found[name] = self.number(name) if name in numbers else self.take(name) if name in words else True
        return found

    def done(self):
        if self.words:
            self.fail("unexpected '%s'" % self.words[0])


# what: in messages, "key 'state'"; inside(thing, word, line): a statement in the block; end(thing, line): its last line.
Block = namedtuple("Block", "what where thing inside end")


class Reader:
    """A language. start_NAME(line) reads a statement outside blocks and returns the Block that it opens, or None."""
    LINE = Line
    STATEMENTS = ()

    def __init__(self):
        self.block = None
        self.first = {}  # of the open block: statements that may come once, and their lines

    def read(self, path):
        """Returns where the file ends."""
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
        for number, text in enumerate(lines, 1):
            line = self.LINE((path, number), text)
            if line.more():
                self.statement(line)
        last = (path, len(lines))
        if self.block:
            self.unclosed(self.block, last)
        return last

    def statement(self, line):
        word = line.take("statement")
        if word == "end":
            if not self.block:
                line.fail("'end' outside a block")
            line.done()
            self.block.end(self.block.thing, line)
            self.block = None
        elif self.block:
            self.block.inside(self.block.thing, word, line)
            line.done()
        else:
            if word not in self.STATEMENTS:
                line.fail("unknown statement '%s'" % word)
            self.first = {}
            self.block = getattr(self, "start_" + word)(line)
            line.done()

    def once(self, word, line):
        if word in self.first:
            line.fail("'%s' is given twice" % word)
        self.first[word] = line

    def unclosed(self, block, last):
        raise DescriptionError(block.where, "%s has no end" % block.what)
