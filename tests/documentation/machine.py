"""A folder that stands for the machine on which the documentation's commands run: it
has the root folders and the files that pages assume.
"""

from __future__ import annotations

import math
import os
import random
import re
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests.documentation.pages import Block, allBlocks
from tests.live.certificates import Authority
from tests.processes import HOST

__all__ = ["Machine", "commandsOf", "hasApplication", "machine", "wordsOf"]

TOKEN = "0123456789abcdef0123456789abcdef"

_PORTS = re.compile(r"(?<![\w.-])(9000|9001|8000|8443|443)(?![\w.-])")
_FOLDERS = re.compile(r"(?<![\w./])/(etc|run|var|opt)(?=/)")
_NAMED_FILE = re.compile(
    r"(?:#|//|<!--) ([\w./-]+\.(?:py|toml|js|tac|txt|html|css))(?::.*| -->)?$"
)


class Machine:
    """A machine for the tests.

    @ivar root: the folder that stands for C{/}.
    @ivar home: the folder in which commands run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self._ports: dict[str, str] = {}
        for folder in (
            *("home", "etc/wsplug", "etc/letsencrypt/live/example.org", "run/wsplug"),
            *("var/lib/wsplug", "var/log/wsplug"),
        ):
            (root / folder).mkdir(parents=True)
        certificate, key = _certificate()
        tokens = f"ann:{sha256(b'sesame').hexdigest()}\n".encode()
        for folder in ("home", "etc/wsplug", "etc/letsencrypt/live/example.org"):
            for name, content in (
                ("fullchain.pem", certificate),
                ("privkey.pem", key),
                ("tokens", tokens),
                ("passwords", b"ann:correct horse\n"),
                ("admin-token", f"{TOKEN}\n".encode()),
            ):
                self.write(f"{folder}/{name}", content)
        self.write("etc/wsplug/login.pem", _publicKey())
        self.write("etc/wsplug.toml", b'app = "echo"\nport = 9000\n')
        self.write("home/wsplug.toml", b'app = "echo"\nport = 9000\n')
        self.write("var/log/syslog", b"a line\n")
        self.write("home/app.log", b"a line\n")
        self.write("home/icon.png", b"\x89PNG" + bytes(20_000))

    def write(self, path: str, content: bytes) -> None:
        """Write a file that only its owner may read.

        @param path: below the root.
        """
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.here(content.decode("latin-1")).encode("latin-1"))
        file.chmod(0o600)

    def save(self, block: Block, folder: Path | None = None) -> Path | None:
        """Save a block whose first line names its file. If a page shows only part of a
        configuration, it goes into the one that the reader has.

        @param folder: where relative paths start, if not in L{home}.
        @return: its path, if it is written.
        """
        found = _NAMED_FILE.match(block.first)
        part = found and found[1].endswith("wsplug.toml")
        if found is None or (part and not hasApplication(block.text)):
            return None
        start = self.root if found[1].startswith("/") else folder or self.home
        path = start / found[1].removeprefix("/")
        name = path.relative_to(self.root).as_posix()
        self.write(name, block.text.encode("utf-8"))
        return path

    def here(self, text: str) -> str:
        """Replace folders and ports in a text by this machine's, and nothing else."""
        text = _FOLDERS.sub(rf"{self.root}/\1", text)
        return _PORTS.sub(lambda match: self._portFor(match[1]), text)

    def _portFor(self, named: str) -> str:
        if named not in self._ports:
            self._ports[named] = _freePort()
        return self._ports[named]


@contextmanager
def machine(page: str, until: float = math.inf) -> Iterator[Machine]:
    """Create a machine with the files that the pages show.

    @param page: the name of one, as of a L{Block}.
    @param until: the line of this page up to which its files exist.
    """
    # Not pytest's folder, whose name may be too long for a UNIX socket.
    root = Path(tempfile.mkdtemp(prefix="docs-"))
    try:
        made = Machine(root)
        # Of files with the same name, the page's own counts, or else the README's.
        order = {"README": 1, page: 2}
        for block in sorted(allBlocks(), key=lambda each: order.get(each.name, 0)):
            # A configuration applies only to its own page.
            if block.line < until if block.name == page else block.language != "toml":
                made.save(block)
        shout = (made.home / "shout.py").read_bytes()
        made.write("home/game.py", shout)
        yield made
    finally:
        shutil.rmtree(root)
        for name, module in list(sys.modules.items()):
            # A package that spans several folders, such as twisted.plugins, stays.
            file = getattr(module, "__file__", None)
            places = [file] if file else [*(getattr(module, "__path__", None) or ())]
            if places and all(each.startswith(f"{root}{os.sep}") for each in places):
                del sys.modules[name]


def hasApplication(text: str) -> bool:
    """
    Say whether a configuration names an application.
    """
    return re.search(r"^(app = |\[\[app\]\])", text, re.MULTILINE) is not None


def commandsOf(text: str) -> list[str]:
    """Split a block of shell commands.

    A command that continues on the next line, by a backslash, an open quotation mark or
    a here-document, is one.
    """
    commands: list[str] = []
    pending: list[str] = []
    terminal = text.startswith("$ ")
    for line in text.splitlines():
        if terminal and not pending and not line.startswith("$ "):
            continue  # output of a command
        pending.append(line.removeprefix("$ "))
        whole = "\n".join(pending)
        if not whole.strip() or (whole.lstrip().startswith("#") and len(pending) == 1):
            pending = []
        elif not _goesOn(whole):
            commands.append(whole)
            pending = []
    assert not pending, f"this command has no end: {pending}"
    return commands


def _goesOn(command: str) -> bool:
    if found := re.search(r"<<-?\s*['\"]?(\w+)['\"]?", command):
        return f"\n{found[1]}" not in command
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def wordsOf(command: str) -> list[list[str]]:
    """Give the words of each simple command in a line."""
    lexer = shlex.shlex(
        command.replace("\\\n", " "), posix=True, punctuation_chars="();<>|&"
    )
    lexer.whitespace_split = True
    simple: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();|&"):
            simple.append([])
        else:
            simple[-1].append(word)
    return [words for words in simple if words]


@cache
def _certificate() -> tuple[bytes, bytes]:
    issued = Authority().issue("server", HOST)
    return issued.certificate, issued.key


@cache
def _publicKey() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _freePort() -> str:
    """Find a free port outside the range that the system gives to clients."""
    while True:
        port = random.randrange(12000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return str(port)
