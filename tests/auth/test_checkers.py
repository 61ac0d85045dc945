"""
The values of --auth (wsplug.auth.checkers).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.cred import strcred
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage

from tests.auth.kit import Login, writeTokens
from tests.server.kit import Logs
from wsplug.auth import Realm, UsernamePassword, checkers, makePortal
from wsplug.auth.checkers import makeChecker
from wsplug.auth.options import Authentication
from wsplug.errors import InvalidOption
from wsplug.interfaces import IBearerToken
from wsplug.service import WebSocketService
from wsplug.tap import Options, makeService


def test_plugins() -> None:
    """
    wsplug's checkers are plugins of Twisted, for every program that takes C{--auth}.
    """
    kinds = {each.authType for each in strcred.findCheckerFactories()}
    assert {"token", "jwt", "file", "memory"} <= kinds

    class Other(usage.Options, strcred.AuthOptionMixin):
        supportedInterfaces = (IBearerToken,)

    shown: list[str] = []
    Other.authOutput = type("", (), {"write": shown.append})()
    with pytest.raises(SystemExit):
        Other().parseOptions(["--help-auth-type", "jwt"])  # type: ignore[no-untyped-call]
    assert "algorithm: the only accepted algorithm [required]" in "".join(shown)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("memry:ann:hunter2", "auth: there is no 'memry'; did you mean 'memory'?"),
        ("zzz", "available: anonymous, file, jwt, memory, token"),
        ("", "there is no ''"),
        ("memory", "auth memory: give a name and a password: memory:NAME:PASSWORD"),
        ("memory:hunter2", "auth memory: argstring must be in format U:P:..."),
        ("file", "auth file: 'file' requires a filename"),
        ("file:/no/where", "auth file: can't read the passwords in /no/where"),
        ("file:/", "can't read the passwords in /: Is a directory"),
        ("token:/no/where", "can't read the tokens in /no/where"),
        ("jwt:hunter2", "auth jwt: options are key=value"),
    ],
)
def test_wrong(description: str, words: str) -> None:
    """
    A mistake is reported in one line, which doesn't repeat a password.
    """
    with pytest.raises(InvalidOption) as caught:
        makePortal([description])
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert "hunter2" not in message or description.startswith("jwt")


def test_what_nobody_can_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A checker for credentials that neither HTTP nor WebSockets can carry is refused.
    """

    class Keys:
        authType = "keys"
        credentialInterfaces = (Callable,)

    class KeysInterface(ICredentials):
        pass

    Keys.credentialInterfaces = (KeysInterface,)  # type: ignore[assignment]
    monkeypatch.setattr(checkers, "findCheckerFactories", lambda: [Keys()])
    with pytest.raises(InvalidOption, match="auth keys: clients can't send such"):
        makePortal(["keys"])


def test_third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A third-party factory works, and an exception from it is reported in one line.
    """
    login = Login(IUsernamePassword)

    class Factory:
        authType = "ours"
        credentialInterfaces = (IUsernamePassword,)

        def generateChecker(self, argument: str) -> Any:
            if argument == "exit":
                raise SystemExit("no such")
            if argument != "x":
                raise KeyError("no\nsuch")
            return login

    monkeypatch.setattr(checkers, "findCheckerFactories", lambda: [Factory()])
    portal = makePortal(["ours:x"])
    assert list(portal.checkers.values()) == [login]  # type: ignore[comparison-overlap]
    with pytest.raises(InvalidOption, match=r"^auth ours: 'no\\nsuch'$"):
        makePortal(["ours:y"])
    with pytest.raises(InvalidOption, match=r"^auth ours: no such$"):
        makePortal(["ours:exit"])


def test_unix(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where Python can no longer check the machine's passwords, the server doesn't start.
    Otherwise it would refuse every login.
    """
    monkeypatch.setattr(checkers, "find_spec", lambda name: None)
    with pytest.raises(InvalidOption, match=r"auth unix: .* 3\.12 was the last"):
        makePortal(["unix"])
    monkeypatch.setattr(checkers, "find_spec", lambda name: name)
    assert makePortal(["unix"]).listCredentialsInterfaces() == [IUsernamePassword]


def test_memory_takes_bytes() -> None:
    """
    Twisted's factory of names in memory stores text, which no password from HTTP ever
    equals. wsplug's stores bytes, and is the one that is used.
    """
    checker = makeChecker("memory:ann:gr\u00fc\u00df")
    assert checker.users == {b"ann": "gr\u00fc\u00df".encode()}
    theirs = strcred.makeChecker("memory:ann:x")
    assert theirs.users == {"ann": "x"}, "Twisted does it by itself now"


def test_constant_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Twisted's own checkers also compare with C{hmac.compare_digest}.
    """
    compared: list[tuple[Any, Any]] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return bool(one == other)

    monkeypatch.setattr("wsplug.auth.credentials.hmac.compare_digest", compare)
    file = tmp_path / "passwords"
    file.write_text("ann:secret\n")
    file.chmod(0o600)
    for description in ("memory:ann:secret", f"file:{file}"):
        asked: Deferred[Any] = makeChecker(description).requestAvatarId(
            UsernamePassword(b"ann", b"guess!")
        )
        asked.addErrback(lambda _: None)
        assert compared.pop() == (b"guess!", b"secret")
        assert not compared


def test_file_that_everybody_reads(tmp_path: Path, logs: Logs) -> None:
    """
    A file of passwords that all users of the machine can read causes a warning.
    """
    file = tmp_path / "passwords"
    file.write_text("ann:secret\n")
    file.chmod(0o644)
    makePortal([f"file:{file}"])
    assert logs.lines(f"all users of this machine can read {file}; run chmod o= {file}")


def test_realm() -> None:
    """
    The realm of names provides avatars only.
    """
    with pytest.raises(NotImplementedError):
        Realm().requestAvatar(b"ann", None)


# The command


def parse(*arguments: str) -> Options:
    options = Options(MemoryReactorClock())
    options.parseOptions(["--app", "echo", *arguments])
    return options


def test_command(tmp_path: Path) -> None:
    """
    The service does what the command line and the file configure.
    """
    tokens = writeTokens(tmp_path / "tokens", ann="sesame")
    options = parse(
        *("--auth", "memory:ann:secret", "--auth", tokens),
        *("--auth-cookie", "session", "--auth-first-message", "no"),
        *("--max-auth-failures", "3"),
    )
    assert options.parts.authentication.portal is not None
    kinds = options.parts.authentication.portal.listCredentialsInterfaces()
    assert set(kinds) == {IUsernamePassword, IBearerToken}
    service = makeService(options)
    assert isinstance(service, WebSocketService)
    authenticator = service.factory.authenticator
    assert authenticator is not None
    assert authenticator.asksPages
    assert service.factory.settings.max_auth_failures == 3


def test_command_without() -> None:
    """
    By default there is no login.
    """
    options = parse()
    assert options.parts.authentication.portal is None
    service: Any = makeService(options)
    assert service.factory.authenticator is None


def test_file(tmp_path: Path) -> None:
    """
    In the file, auth is an array, and a mount can switch the login off.
    """
    file = tmp_path / "wsplug.toml"
    file.write_text(
        'auth = ["memory:ann:secret", "memory:bob:other"]\n'
        'auth-cookie = "session"\nauth-first-message = "yes"\n'
        '[[app]]\nuse = "echo"\nauth = false\n'
        '[[app]]\nuse = "bot"\n'
    )
    options = Options(MemoryReactorClock())
    options.parseOptions(["--config", str(file)])
    assert options.configuration.authentication == Authentication(
        ("memory:ann:secret", "memory:bob:other"), "session", "yes"
    )
    assert [mount.auth for mount in options.parts.mounts] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--auth", "nonsense"], "auth: there is no 'nonsense'"),
        (["--auth", "file:/no/where"], "auth file: can't read"),
        (["--auth-cookie", "a"], "auth-cookie goes with auth, which isn't set"),
        (["--auth-first-message", "no"], "auth-first-message goes with auth"),
        (["--auth", "memory:a:b", "--auth-cookie", "a b"], "the name of a cookie"),
        (["--auth", "memory:a:b", "--auth-first-message", "x"], "one of browsers"),
        (["--app", "bot:auth=maybe"], "auth takes yes or no"),
    ],
)
def test_mistakes(arguments: list[str], words: str) -> None:
    """
    Each mistake is reported in one line.
    """
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert isinstance(caught.value.code, str)
    assert words in caught.value.code
    assert "\n" not in caught.value.code
