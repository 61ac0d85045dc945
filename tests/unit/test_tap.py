"""The command line in memory (wsplug.tap)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

import wsplug
from tests.server.kit import Logs
from wsplug.server.settings import SETTINGS, Settings
from wsplug.service import WebSocketService
from wsplug.tap import Options, makeService


def parse(*arguments: str) -> Options:
    options = Options(MemoryReactorClock())
    options.parseOptions(list(arguments))
    return options


def test_defaults() -> None:
    """Only --app is required."""
    options = parse("--app", "echo")
    assert [mount.path for mount in options.parts.mounts] == ["/"]
    assert options.configuration.settings == Settings()
    assert [name for name, _ in options.parts.endpoints] == ["port 9000"]


def test_everything(tmp_path: Path) -> None:
    """Options can be given, repeated, and combined with a file, which they override."""
    file = tmp_path / "wsplug.toml"
    file.write_text("max-headers = 7\nport = 1\nping-interval = 'off'\n")
    options = parse(
        *("--config", str(file), "--port", "0", "--max-headers", "8"),
        *("--app", "echo:path=/a", "--app", "echo:path=/b"),
        *("--origin", "*", "--allowed-host", "a.test", "--listen", "tcp:1234"),
        *("--frame-ancestor", "same-host", "--frame-ancestor", "https://*.a.test"),
    )
    assert [mount.path for mount in options.parts.mounts] == ["/a", "/b"]
    settings = options.configuration.settings
    assert (settings.max_headers, settings.ping_interval) == (8, 0.0)
    assert [name for name, _ in options.parts.endpoints] == ["port 0", "tcp:1234"]
    assert options.configuration.access.origins == ("*",)
    assert options.configuration.access.hosts == ("a.test",)
    assert options.configuration.access.frameAncestors == (
        "same-host",
        "https://*.a.test",
    )


@pytest.mark.parametrize(
    ("arguments", "clients"),
    [
        (["--verbose", "--app=echo"], ("all",)),
        (["--app=echo", "--verbose"], ("all",)),
        (["--verbose", "192.0.2.7", "--app=echo"], ("192.0.2.7",)),
        (
            ["--verbose=10.0.0.0/8,::1", "--app=echo"],
            ("10.0.0.0/8", "::1"),
        ),
        (["--app=echo"], ()),
        (["--app=echo", "--verbose=none"], ()),
    ],
)
def test_verbose(arguments: list[str], clients: tuple[str, ...]) -> None:
    """--verbose may name a client; alone, it means all clients."""
    options = Options()
    options.parseOptions(arguments)
    assert options.configuration.settings.verbose == clients


def test_every_setting_is_an_option() -> None:
    """Its help says its default."""
    text = str(Options(MemoryReactorClock()))
    for option in SETTINGS:
        assert f"--{option.name}=" in text
        assert f"[{option.shownDefault}]" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no application to serve"),
        (["--app", "nothing-like-it"], "no application 'nothing-like-it'"),
        (["--app", "ecko"], "did you mean 'echo'?"),
        (["--app", "echo:x=1"], "unknown option 'x'"),
        (["--app", "echo", "--app", "echo"], "both mounted at /echo"),
        (["--app", "missing.py"], "no file"),
        (["--app", ""], "name is missing"),
        (["--app", "echo", "--port", "x"], "port takes a whole number"),
        (["--app", "echo", "--port", ""], "port takes a whole number"),
        (["--app", "echo", "--origin", "x"], "is not an origin"),
        (["--app", "echo", "--listen", "nonsense:1"], "can't listen on 'nonsense:1'"),
        (["--app", "echo", "--listen", "ssl:1:privateKey=/no"], "can't listen on"),
        (["--app", "echo", "--listen", ""], "can't listen on"),
        (["--app", "echo", "--config", "/no/where"], "can't read /no/where"),
        (["--app", "echo", "--max-message-size", "0"], "max-message-size takes"),
        (["--app", "echo", "--verbose", "me"], "verbose takes 'all', or addresses"),
        (["--app", "echo", "--nonsense"], "nonsense"),
        (["--app"], "app"),
        (["echo"], "unexpected argument 'echo'"),
    ],
)
def test_wrong(arguments: list[str], words: str) -> None:
    """Every mistake is a SystemExit with one line, never a traceback."""
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    message = caught.value.code
    assert isinstance(message, str)
    assert message.startswith("wsplug: ")
    assert words in message
    assert "\n" not in message


def test_endpoint_that_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is an error in an endpoint's plugin."""

    def serverFromString(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr("wsplug.assembly.endpoints.serverFromString", serverFromString)
    with pytest.raises(SystemExit) as caught:
        parse("--app", "echo", "--listen", "carrier:pigeon")
    assert caught.value.code == "wsplug: can't listen on 'carrier:pigeon': 0"


def test_file_that_exits(tmp_path: Path) -> None:
    """An application's file that exits the interpreter with success is an error,
    too.
    """
    file = tmp_path / "quits.py"
    file.write_text("raise SystemExit(0)\n")
    with pytest.raises(SystemExit) as caught:
        parse("--app", str(file))
    assert isinstance(caught.value.code, str)
    assert "does not load" in caught.value.code


def test_list_apps(capsys: pytest.CaptureFixture[str]) -> None:
    """--list-apps shows each application with its help and options, and exits with
    success.
    """
    with pytest.raises(SystemExit) as caught:
        parse("--list-apps")
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert "echo: Send every message back." in output
    assert "path: Path to serve it at. [/, or /NAME with several]" in output
    assert "do not load" not in output


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version shows the versions of wsplug and what it runs on."""
    with pytest.raises(SystemExit) as caught:
        parse("--version")
    assert caught.value.code == 0
    output = capsys.readouterr().out
    assert output.startswith(f"wsplug {wsplug.__version__} (codec: ")
    assert "Twisted " in output
    assert output.count("\n") == 1


@pytest.fixture
def _signals() -> Iterator[None]:
    """Restore the signal handlers."""
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.usefixtures("_signals")
def test_make_service(logs: Logs) -> None:
    """The service that is made listens with the given reactor, and serves.

    From then on, SIGHUP doesn't end the process.
    """
    options = parse("--app", "echo", "--port", "8000", "--max-headers", "5")
    service = makeService(options)
    assert isinstance(service, WebSocketService)
    assert service.factory.settings.max_headers == 5
    service.privilegedStartService()
    ((port, factory, *_),) = options.reactor.tcpServers
    assert port == 8000
    assert factory is service.factory
    assert callable(signal.getsignal(signal.SIGHUP))


@pytest.mark.usefixtures("_signals")
def test_log_file_signal() -> None:
    """SIGUSR1 doesn't end a server without a log file.

    With a log file, the signal is left to the code that rotates it.
    """
    for action, kept in ((signal.SIG_DFL, False), (signal.SIG_IGN, True)):
        signal.signal(signal.SIGUSR1, action)
        makeService(parse("--app", "echo")).privilegedStartService()
        assert (signal.getsignal(signal.SIGUSR1) is action) == kept


SECRET = "S3cr3t.S3cr3t.S3cr3t.S3cr3t.S3cr3t"

TELLING: dict[str, list[str]] = {
    "colon": [f"--app=push:token={SECRET}:{SECRET}"],
    "rest that looks like an option": [f"--app=push:token={SECRET}:{SECRET}=x"],
    "twice": [f"--app=push:token=x:token={SECRET}"],
    "rest that is there twice": [f"--app=push:token=x:{SECRET}=x:{SECRET}=x"],
    "no option": [f"--app=push:{SECRET}"],
    "unknown option": [f"--app=push:tokn={SECRET}"],
    "another wrong one": [f"--app=push:token={SECRET}:path=x"],
    "no token": [f"--app=push:token={SECRET}é"],
    "both": [f"--app=push:token={SECRET}:token-file=x"],
    "argument": ["--app=push", f"push:token={SECRET}"],
    "half an argument": ["--app=push", f"token={SECRET}"],
    "command": [f"--app=process:command=psql '{SECRET}"],
    "command's variable": [f"--app=process:command=PGPASSWORD={SECRET} psql"],
    "broker": ["--app=echo", f"--broker=redis\\://\\:{SECRET}@example.org"],
    "broker's option": ["--app=echo", f"--broker=memory:a={SECRET}:{SECRET}"],
    "auth": ["--app=echo", f"--auth=jwt:algorithm=HS256:{SECRET}"],
}


@pytest.mark.parametrize("name", TELLING)
def test_secrets(name: str) -> None:
    """No error quotes a value in a description that may be a secret, or part of one."""
    with pytest.raises(SystemExit) as caught:
        parse(*TELLING[name])
    assert str(caught.value.code).startswith("wsplug: ")
    assert SECRET not in str(caught.value.code)


@pytest.mark.parametrize(
    "text",
    [
        f"app = 'push:token={SECRET}:{SECRET}'",
        f"app = [['push:token={SECRET}']]",
        f"auth = [['memory:ann:{SECRET}']]\napp = 'echo'",
        f"[[app]]\nuse = 'push:token={SECRET}'\nnothere = 1",
        f"[[app]]\nuse = 'push'\ntoken = ['{SECRET}']",
        f"[[app]]\nuse = 'process'\ncommand = ['psql', '{SECRET}']",
    ],
)
def test_secrets_in_the_file(text: str, tmp_path: Path) -> None:
    """No error quotes a secret in the file either."""
    file = tmp_path / "wsplug.toml"
    file.write_text(text)
    with pytest.raises(SystemExit) as caught:
        parse("--config", str(file))
    assert str(caught.value.code).startswith("wsplug: ")
    assert SECRET not in str(caught.value.code)


@pytest.mark.parametrize(
    ("description", "mode"),
    [
        ("unix:/run/a.sock", 0o600),
        ("unix:/run/a.sock:backlog=5", 0o600),
        ("unix:address=/run/a.sock", 0o600),
        (r"unix:/run/mode\=666", 0o600),
        (r"unix:/run/a\:b.sock", 0o600),
        ("unix:/run/a.sock:mode=660", 0o660),
        ("unix:/run/a.sock:660", 0o660),
    ],
)
def test_operators_socket(description: str, mode: int) -> None:
    """A UNIX socket for operators is accessible to its user only, unless its options
    say otherwise. One for clients has Twisted's defaults.
    """
    reactor = MemoryReactorClock()
    options = Options(reactor)
    options.parseOptions(["--app=echo", f"--admin={description}"])
    ((_, endpoint),) = options.parts.admin.endpoints
    endpoint.listen(Factory())
    assert reactor.unixServers[-1][3] == mode
    options = Options(reactor)
    options.parseOptions(["--app=echo", "--listen=unix:/run/b.sock"])
    ((_, endpoint),) = options.parts.endpoints
    endpoint.listen(Factory())
    assert reactor.unixServers[-1][3] == 0o666
