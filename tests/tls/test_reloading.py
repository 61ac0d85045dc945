"""Replaced certificates, with a clock that the tests advance."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from OpenSSL.SSL import Connection
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from tests.live.certificates import Authority, Issued
from tests.processes import HOST
from tests.server.kit import Logs
from wsplug.errors import InvalidOption
from wsplug.tls.endpoint import TLSEndpoint
from wsplug.tls.options import TLSFiles
from wsplug.tls.reloading import INTERVAL, ReloadedCertificate


class Watched:
    """A certificate whose files are checked for changes."""

    def __init__(
        self, issued: Issued, folder: Path, now: Callable[[], datetime] | None = None
    ) -> None:
        self.folder = folder
        self.paths = issued.write(folder)
        self.clock = Clock()
        files = TLSFiles(str(self.paths[0]), str(self.paths[1]))
        more = {} if now is None else {"now": now}
        self.certificate = ReloadedCertificate(files, self.clock, **more)
        self.certificate.start()

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(INTERVAL)

    @property
    def served(self) -> Connection:
        """A new connection, as the context makes it."""
        protocol: Any = None
        return self.certificate.serverConnectionForTLS(protocol)

    @property
    def name(self) -> str:
        """The subject of the certificate that new connections get."""
        own = self.served.get_certificate()
        assert own is not None
        return own.to_cryptography().subject.rfc4514_string()


@pytest.fixture
def watched(issued: Issued, tmp_path: Path) -> Watched:
    return Watched(issued, tmp_path)


def test_interface(watched: Watched) -> None:
    """The certificate provides what Twisted makes TLS connections with."""
    verifyObject(IOpenSSLServerConnectionCreator, watched.certificate)


def test_replaced(watched: Watched, authority: Authority, logs: Logs) -> None:
    """New files are read once two checks in a row have found them the same. An open
    connection keeps its certificate."""
    old = watched.served
    assert logs.lines() == [
        line for line in logs.lines() if "the certificate for" in line
    ]
    authority.issue("second", HOST).write(watched.folder)
    watched.look()
    assert watched.name == "CN=first"
    watched.look()
    assert watched.name == "CN=second"
    kept = old.get_certificate()
    assert kept is not None
    assert kept.to_cryptography().subject.rfc4514_string() == "CN=first"
    assert len(logs.lines("new connections get the certificate for 127.0.0.1")) == 1
    watched.look(10)
    assert len(logs.lines("new connections")) == 1


def test_same(watched: Watched, logs: Logs) -> None:
    """As long as nothing changes, nothing is read or logged."""
    watched.look(100)
    assert len(logs.lines()) == 1


def test_renamed_over(watched: Watched, authority: Authority) -> None:
    """New files may be renamed over old ones, as careful programs do, and links may
    change their target, as certbot's do."""
    archive = watched.folder / "archive"
    archive.mkdir()
    for number in range(3):
        issued = authority.issue(f"number {number}", HOST)
        for path, new in zip(
            watched.paths, issued.write(archive, f"n{number}"), strict=True
        ):
            link = watched.folder / "link"
            link.symlink_to(new)
            link.replace(path)
        watched.look(2)
        assert watched.name == f"CN=number {number}"


def test_half_written(watched: Watched, authority: Authority, logs: Logs) -> None:
    """A file that is still growing isn't read until it has stopped growing."""
    issued = authority.issue("second", HOST)
    issued.write(watched.folder)
    for size in range(100, len(issued.certificate), 100):
        watched.paths[0].write_bytes(issued.certificate[:size])
        watched.look()
    assert watched.name == "CN=first"
    watched.paths[0].write_bytes(issued.certificate)
    watched.look(2)
    assert watched.name == "CN=second"
    assert logs.lines("stays in use") == []


def test_mismatch(watched: Watched, authority: Authority, logs: Logs) -> None:
    """A certificate without its key causes one line. The old one is used until there is
    a right pair."""
    issued = authority.issue("second", HOST)
    watched.paths[0].write_bytes(issued.certificate)
    watched.look(20)
    (line,) = logs.lines("the old certificate stays in use: tls-key: the key in")
    assert "does not belong to the first certificate" in line
    (event,) = logs.events("stays in use")
    assert event["log_level"].name == "error"
    assert watched.name == "CN=first"
    watched.paths[1].write_bytes(issued.key)
    watched.look(2)
    assert watched.name == "CN=second"


def test_gone(
    watched: Watched, authority: Authority, issued: Issued, logs: Logs
) -> None:
    """Likewise, a missing file. It is read when it is back."""
    watched.paths[1].unlink()
    watched.look(20)
    assert len(logs.lines("stays in use")) == 1
    assert watched.name == "CN=first"
    authority.issue("second", HOST).write(watched.folder)
    watched.look(2)
    assert watched.name == "CN=second"


def test_garbage(watched: Watched, authority: Authority, logs: Logs) -> None:
    """Likewise, any other mistake."""
    for content in (b"", b"\0" * 100, b"-----BEGIN CERTIFICATE-----\nAAAA\n"):
        watched.paths[0].write_bytes(content)
        watched.look(3)
        assert watched.name == "CN=first"
    assert len(logs.lines("stays in use")) == 3


def test_mode(watched: Watched, authority: Authority, logs: Logs) -> None:
    """A file whose permissions have changed is read again, even if its content
    hasn't."""
    watched.look()
    watched.paths[0].chmod(0o640)
    watched.look(2)
    assert len(logs.lines("new connections")) == 1


def test_reload(watched: Watched, authority: Authority, logs: Logs) -> None:
    """A reload reads the files at once. The next check doesn't read them again."""
    authority.issue("second", HOST).write(watched.folder)
    watched.certificate.reload()
    assert watched.name == "CN=second"
    watched.look(5)
    assert len(logs.lines("new connections")) == 1
    watched.certificate.reload()
    assert len(logs.lines("new connections")) == 2


def test_reload_wrong(watched: Watched, logs: Logs) -> None:
    """A reload that fails is logged once, too."""
    watched.paths[0].write_bytes(b"")
    watched.certificate.reload()
    watched.look(5)
    assert len(logs.lines("stays in use")) == 1
    assert watched.name == "CN=first"


def test_moved_meanwhile(
    issued: Issued,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Relative paths refer to the working directory at the start."""
    monkeypatch.chdir(tmp_path)
    certificate, key = issued.write(tmp_path)
    files = TLSFiles(certificate.name, key.name)
    made = ReloadedCertificate(files, Clock())
    os.chdir("/")
    made.reload()
    assert files.paths == (str(certificate), str(key))


# Expiry

NOW = datetime.now(timezone.utc)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(days=-2), "is not valid before"),
        (timedelta(0), None),
        (timedelta(days=22), None),
        (timedelta(days=24), "expires at"),
        (timedelta(days=31), "has expired"),
    ],
)
def test_warned(
    after: timedelta, words: str | None, issued: Issued, tmp_path: Path, logs: Logs
) -> None:
    """A certificate that isn't valid, or expires within a week, is used with a
    warning."""
    Watched(issued, tmp_path, lambda: NOW + after)
    warnings = [each for each in logs.events() if each["log_level"].name == "warn"]
    if words is None:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert logs.lines(f"the certificate in {tmp_path}/server.pem {words}")


def test_reminded(issued: Issued, tmp_path: Path, logs: Logs) -> None:
    """Until the certificate is renewed, the warning is repeated each day."""
    passed = [timedelta(days=21.5)]
    watched = Watched(issued, tmp_path, lambda: NOW + passed[0])
    for _ in range(4):
        passed[0] += timedelta(days=1)
        watched.clock.advance(24 * 3600)
    assert len(logs.lines("expires at")) == 3


# The endpoint


class _Endpoint:
    """Starts the factory, as an endpoint does."""

    def listen(self, factory: Factory) -> object:
        factory.doStart()
        return factory


def test_watched_while_it_listens(
    files: tuple[Path, Path], authority: Authority, logs: Logs
) -> None:
    """The files are checked from when the port opens until it closes, and not before or
    after."""
    reactor = MemoryReactorClock()
    plain: Any = _Endpoint()
    endpoint = TLSEndpoint(plain, TLSFiles(str(files[0]), str(files[1])), reactor)
    assert reactor.getDelayedCalls() == []
    for _ in range(2):
        factory: Any = endpoint.listen(Factory.forProtocol(Protocol))
        assert len(reactor.getDelayedCalls()) == 1
        factory.doStop()
        assert reactor.getDelayedCalls() == []


def test_wrong_files(tmp_path: Path) -> None:
    """Wrong files are an error before the server listens."""
    plain: Any = _Endpoint()
    with pytest.raises(InvalidOption, match="tls-cert"):
        TLSEndpoint(plain, TLSFiles(str(tmp_path)), MemoryReactorClock())
