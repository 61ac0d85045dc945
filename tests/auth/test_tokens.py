"""
Tokens from a file (wsplug.auth.tokens).
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.auth.kit import writeTokens
from tests.server.kit import Logs
from wsplug.auth import BearerToken, LoginRefused
from wsplug.auth.checkers import makeChecker
from wsplug.auth.tokens import parseTokens
from wsplug.errors import InvalidOption


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def nameOf(checker: object, token: str) -> str | None:
    """
    Return the name that a token belongs to.
    """
    answers: list[bytes] = []
    asked: Deferred[bytes] = checker.requestAvatarId(BearerToken(token.encode()))  # type: ignore[attr-defined]
    asked.addCallback(answers.append)
    asked.addErrback(lambda failure: failure.trap(LoginRefused))
    return answers[0].decode() if answers else None


def touch(path: Path) -> None:
    """
    Make sure that the file's change is noticed, however coarse its times are.
    """
    later = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))


def test_tokens(file: Path) -> None:
    """
    A token gives its name. Nothing else is accepted, not even the digest.
    """
    checker = makeChecker(writeTokens(file, ann="one", bob="two"))
    assert nameOf(checker, "one") == "ann"
    assert nameOf(checker, "two") == "bob"
    for wrong in ("three", "on", "onee", sha256(b"one").hexdigest(), "ann"):
        assert nameOf(checker, wrong) is None


def test_several_of_one(file: Path) -> None:
    """
    A name may have several tokens, for instance while one is replaced.
    """
    checker = makeChecker(writeTokens(file, ann="one"))
    line = f"ann:{sha256(b'new').hexdigest().upper()}\r\n"
    file.write_text(file.read_text() + line)
    touch(file)
    assert [nameOf(checker, each) for each in ("one", "new")] == ["ann", "ann"]


def test_changed(file: Path, logs: Logs) -> None:
    """
    A changed file takes effect at once: new users are accepted, removed users are
    refused. The file is read again only after a change.
    """
    checker = makeChecker(writeTokens(file, ann="one"))
    assert nameOf(checker, "two") is None
    assert not logs.lines("has")
    writeTokens(file, bob="two", cid="three")
    touch(file)
    assert nameOf(checker, "two") == "bob"
    assert nameOf(checker, "one") is None
    assert logs.lines("tokens read") == [f"2 tokens read from {file}"]
    file.write_text("")
    touch(file)
    assert nameOf(checker, "two") is None


@pytest.mark.parametrize("how", ["malformed", "gone"])
def test_changed_to_nonsense(file: Path, logs: Logs, how: str) -> None:
    """
    If the changed file can't be read, that is logged once, and the old content stays in
    effect until the file is right again.
    """
    checker = makeChecker(writeTokens(file, ann="one"))
    if how == "gone":
        file.unlink()
    else:
        file.write_text("bob=two\n")
        touch(file)
    assert [nameOf(checker, "one") for _ in range(3)] == ["ann"] * 3
    (line,) = logs.lines("the old tokens stay in use")
    assert str(file) in line
    assert "two" not in line
    writeTokens(file, bob="two")
    touch(file)
    assert nameOf(checker, "two") == "bob"
    assert nameOf(checker, "one") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no token in"),
        (b"# nobody\n\n", "there is no token in"),
        (b"ann\n", "line 1: expected a name, a colon, and a token's SHA-256"),
        (b"# x\nann:plain-token\n", "line 2:"),
        (b"ann:" + b"0" * 63 + b"\n", "line 1:"),
        (b":" + b"0" * 64 + b"\n", "line 1:"),
        (b"a\0b:" + b"0" * 64 + b"\n", "line 1:"),
        (b"\xff:" + b"0" * 64 + b"\n", "isn't UTF-8 text"),
        (b"a:%s\nb:%s\n" % (b"0" * 64, b"0" * 64), "line 2: duplicate token"),
    ],
)
def test_wrong(file: Path, content: bytes, words: str) -> None:
    """
    A mistake in the file is an error at the start, which names the line and shows
    nothing of it.
    """
    file.write_bytes(content)
    with pytest.raises(InvalidOption, match=r"^auth token: ") as caught:
        makeChecker(f"token:{file}")
    assert words in str(caught.value)
    assert "plain-token" not in str(caught.value)


def test_missing(file: Path) -> None:
    """
    Likewise, a file that is missing or not named.
    """
    with pytest.raises(InvalidOption, match=r"can't read the tokens in .*No such file"):
        makeChecker(f"token:{file}")
    with pytest.raises(InvalidOption, match="give the path of the tokens"):
        makeChecker("token")
    with pytest.raises(InvalidOption, match="invalid file name"):
        makeChecker("token:a\0b")


@pytest.mark.parametrize(
    ("mode", "words"), [(0o604, "can read"), (0o602, "can change"), (0o640, None)]
)
def test_permissions(file: Path, logs: Logs, mode: int, words: str | None) -> None:
    """
    A file that all users can read or change causes a warning.
    """
    description = writeTokens(file, ann="one")
    file.chmod(mode)
    makeChecker(description)
    assert len(logs.lines("all users of this machine")) == (words is not None)
    assert words is None or logs.lines(words)


@given(st.binary(max_size=200))
def test_any_content(content: bytes) -> None:
    """
    Any content gives tokens or an error.
    """
    try:
        entries = parseTokens(content, "x")
    except InvalidOption:
        return
    assert all(len(digest) == 32 and name for name, digest in entries)
