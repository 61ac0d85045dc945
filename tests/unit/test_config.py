"""The configuration file and the command line together (wsplug.assembly)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from wsplug.assembly import combine, readFile
from wsplug.assembly.configuration import LISTENING
from wsplug.broker import MemoryBroker
from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED
from wsplug.plugins import Description, Services, makeMounts
from wsplug.server.settings import SETTINGS, Settings

EVERYTHING = """
port = 8000
interface = "127.0.0.1"
listen = ["unix:/run/a.sock"]
origin = ["https://a.example", "same-host"]
allowed-host = ["a.test"]
frame-ancestor = "none"
app = ["echo", "chat.py:room:history=5"]
max-message-size = "64KiB"
max-fragments = 16
max-head-size = 8192
max-headers = 50
max-connections = "unlimited"
max-message-rate = 7
max-byte-rate = "3k"
max-address-connections = 8
max-address-handshake-rate = 9
max-address-message-rate = 10
max-address-byte-rate = "11k"
max-address-log-rate = 12
console = false
log-connections = false
verbose = "192.0.2.7, 10.0.0.0/8"
cool-down = "off"
exempt = ["10.0.0.0/8"]
max-auth-failures = 3
max-auth-failures-total = "unlimited"
admin = ["unix:/run/b.sock"]
admin-token-file = "/etc/token"
open-timeout = 5
close-timeout = "1m"
ping-interval = "off"
ping-timeout = 2.5
handler-timeout = "2m"
max-send-buffer = "2MiB"
send-timeout = 60
max-send-buffer-total = "12MiB"
max-incomplete-total = "13MiB"
drain-time = 1
stop-timeout = 3
stall-threshold = "2s"
compression = false
compression-level = 9
compression-min-size = "1k"
context-takeover = true
server-max-window-bits = 10
client-max-window-bits = 9
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wsplug.toml"


def read(file: Path, text: str) -> dict[str, object]:
    file.write_text(text)
    return readFile(str(file))


def test_every_key(file: Path) -> None:
    """Each setting and each other option can be in the file."""
    values = read(file, EVERYTHING)
    names = {option.name for option in (*SETTINGS, *LISTENING)} - {"reuse-port"}
    assert set(values) == names | {
        "app",
        "origin",
        "allowed-host",
        "frame-ancestor",
        "exempt",
        "admin",
        "admin-token-file",
    }
    configuration = combine({}, values)
    assert configuration.access.exempt == ("10.0.0.0/8",)
    assert configuration.access.hosts == ("a.test",)
    assert configuration.access.frameAncestors == ("none",)
    assert configuration.administration.endpoints == ("unix:/run/b.sock",)
    assert configuration.administration.tokenFile == "/etc/token"
    assert configuration.settings == Settings(
        max_message_size=65536,
        max_fragments=16,
        max_head_size=8192,
        max_headers=50,
        max_connections=UNLIMITED,
        max_message_rate=7,
        max_byte_rate=3 * 1024,
        max_address_connections=8,
        max_address_handshake_rate=9,
        max_address_message_rate=10,
        max_address_byte_rate=11 * 1024,
        max_address_log_rate=12,
        cool_down=0.0,
        max_auth_failures=3,
        max_auth_failures_total=UNLIMITED,
        open_timeout=5.0,
        close_timeout=60.0,
        ping_interval=0.0,
        ping_timeout=2.5,
        handler_timeout=120,
        max_send_buffer=2 * 1024**2,
        send_timeout=60.0,
        max_send_buffer_total=12 * 1024**2,
        max_incomplete_total=13 * 1024**2,
        console=False,
        log_connections=False,
        verbose=("192.0.2.7", "10.0.0.0/8"),
        stop_timeout=3.0,
        stall_threshold=2.0,
        drain_time=1.0,
        compression=False,
        compression_level=9,
        compression_min_size=1024,
        context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=9,
    )
    assert configuration.access.origins == ("https://a.example", "same-host")
    assert configuration.applications == (
        Description("echo"),
        Description("chat.py", "room", {"history": "5"}),
    )
    assert configuration.listening.describe() == [
        ("port 8000 of 127.0.0.1", "tcp:8000:backlog=1024:interface=127.0.0.1"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ]


def test_application_tables(file: Path) -> None:
    """In [[app]] tables, 'use' names the application, and the other keys are its
    options.
    """
    values = read(
        file,
        '[[app]]\nuse = "echo"\npath = "/a:b"\ncompression = false\n'
        '[[app]]\nuse = "chat.py:room:x=1"\nhistory = 5\n',
    )
    assert values["app"] == (
        Description("echo", None, {"path": "/a:b", "compression": False}),
        Description("chat.py", "room", {"x": "1", "history": 5}),
    )


def test_single_values_for_lists(file: Path) -> None:
    """An option that can be given several times needs no brackets for a single
    value."""
    values = read(file, 'app = "echo"\norigin = "*"\nlisten = "unix:/a"\n')
    assert values["app"] == (Description("echo"),)
    assert values["origin"] == ("*",)
    assert values["listen"] == ("unix:/a",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 80", "unknown key 'prot'; did you mean 'port'?"),
        ("zzz = 1", "unknown key 'zzz'"),
        ("[sever]\nx = 1", "unknown table 'sever'"),
        ("[[apps]]\nuse = 'echo'", "unknown table 'apps'; did you mean 'app'?"),
        ("port = 'x'", "port takes a whole number from 0 to 65535, not 'x'"),
        ("port = 65536", "port takes"),
        ("port = [80]", "port takes a single value"),
        ("max-message-size = 0", "max-message-size takes a size"),
        ("open-timeout = 1979-05-27", "open-timeout takes a single value"),
        ("origin = [1]", "origin takes strings, not 1"),
        ("listen = {a = 1}", "listen takes strings"),
        ("app = 5", "app takes strings or tables, not 5"),
        ("[[app]]\npath = '/'", "[[app]] table 1: the key 'use'"),
        ("[[app]]\nuse = 'a'\n[[app]]\nuse = 1", "[[app]] table 2: the key 'use'"),
        ("app = ['']", "name is missing"),
        ("port = ", "is not TOML"),
        ("port = 1\nport = 2", "is not TOML"),
    ],
)
def test_wrong_file(file: Path, text: str, words: str) -> None:
    """An error is one line that begins with the file's name."""
    with pytest.raises(InvalidOption) as caught:
        read(file, text)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert words in message
    assert "\n" not in message


def test_unreadable_file(file: Path) -> None:
    """A missing file, a folder, and a file that isn't UTF-8 are errors."""
    with pytest.raises(InvalidOption, match=r"can't read .*No such file"):
        readFile(str(file))
    with pytest.raises(InvalidOption, match=r"can't read .*Is a directory"):
        readFile(str(file.parent))
    file.write_bytes(b"a = '\xff'")
    with pytest.raises(InvalidOption, match="is not TOML"):
        readFile(str(file))


ECHO = [Description("echo")]


@pytest.mark.parametrize(
    ("commandLine", "file", "endpoints"),
    [
        ({}, {}, ["tcp:9000:backlog=1024"]),
        ({"port": 80}, {"port": 81}, ["tcp:80:backlog=1024"]),
        ({}, {"port": 81}, ["tcp:81:backlog=1024"]),
        ({"interface": "::1"}, {"port": 81}, [r"tcp6:81:backlog=1024:interface=\:\:1"]),
        ({"interface": "127.0.0.1"}, {}, ["tcp:9000:backlog=1024:interface=127.0.0.1"]),
        ({"listen": ["unix:/a"]}, {"port": 81}, ["unix:/a"]),
        ({"port": 80}, {"listen": ["unix:/a"]}, ["tcp:80:backlog=1024"]),
        ({"port": 80, "listen": ["unix:/a"]}, {}, ["tcp:80:backlog=1024", "unix:/a"]),
        ({}, {"listen": ["unix:/a", "tcp:1"]}, ["unix:/a", "tcp:1"]),
        ({"listen": ["tcp:1"]}, {"listen": ["tcp:2"]}, ["tcp:1"]),
    ],
)
def test_where_to_listen(
    commandLine: dict[str, Any], file: dict[str, Any], endpoints: list[str]
) -> None:
    """The command line wins; each way to say where to listen replaces the other."""
    configuration = combine({"app": ECHO, **commandLine}, file)
    assert [endpoint for _, endpoint in configuration.listening.describe()] == endpoints


def test_precedence() -> None:
    """The command line wins for each option separately."""
    configuration = combine(
        {"app": ECHO, "max-headers": 5, "origin": ["*"]},
        {"app": [Description("x")], "max-headers": 6, "max-connections": 7},
    )
    assert configuration.applications == tuple(ECHO)
    assert configuration.settings == Settings(max_headers=5, max_connections=7)
    assert configuration.access.origins == ("*",)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no application to serve"),
        ({"app": []}, "no application to serve"),
        ({"app": ECHO, "origin": ["example.org"]}, "'example.org' is not an origin"),
        ({"app": ECHO, "listen": ["tcp:1"], "interface": "::1"}, "interface goes with"),
    ],
)
def test_what_can_not_be(values: dict[str, Any], words: str) -> None:
    """Options that are right separately may be wrong together."""
    with pytest.raises(InvalidOption, match=words):
        combine(values, {})


def test_settings_are_all_there() -> None:
    """Each setting is an option and vice versa, with the same default."""
    names = [option.name.replace("-", "_") for option in SETTINGS]
    assert sorted(names) == sorted(vars(Settings()))
    for option in SETTINGS:
        default = getattr(Settings(), option.name.replace("-", "_"))
        assert option.default == default
        assert option.parse(option.shownDefault) == default


def test_wrong_option_names_its_table(tmp_path: Path) -> None:
    """An error in an application's option names the table that it is in."""
    path = tmp_path / "wsplug.toml"
    path.write_text('[[app]]\nuse = "echo"\n\n[[app]]\nuse = "echo"\ncolor = "red"\n')
    configuration = combine({}, readFile(str(path)))
    clock = Clock()
    with pytest.raises(InvalidOption) as raised:
        makeMounts(
            configuration.applications, Services(clock, clock, MemoryBroker(clock))
        )
    assert str(raised.value).startswith("[[app]] table 2 (echo): ")
    assert "'color'" in str(raised.value)


def test_exempt() -> None:
    """Networks are exempt if they are listed; 'none' exempts none.

    An invalid network is an error.
    """
    app = {"app": [Description("echo")]}
    assert combine(app, {}).access.exempt == ("127.0.0.1", "::1")
    assert combine({**app, "exempt": ["none"]}, {}).access.exempt == ()
    with pytest.raises(
        InvalidOption, match=r"exempt: '10\.0\.0\.1/8' is not a network"
    ):
        combine({**app, "exempt": ["10.0.0.1/8"]}, {})


def test_hosts() -> None:
    """Names are taken as they are written. An invalid name is an error."""
    app = {"app": [Description("echo")]}
    assert combine({**app, "allowed-host": ["*.a.test"]}, {}).access.hosts == (
        "*.a.test",
    )
    with pytest.raises(
        InvalidOption, match=r"allowed-host: 'http://a\.test' is not a host name"
    ):
        combine({**app, "allowed-host": ["http://a.test"]}, {})


def test_framed_by() -> None:
    """The sites that may frame the pages are given as an origin or a keyword."""
    app = {"app": [Description("echo")]}
    assert combine(app, {}).access.frameAncestors == ("same-origin",)
    for wrong in (["null"], ["none", "same-host"], ["example.org"], ["https://a; b"]):
        with pytest.raises(InvalidOption, match="frame-ancestor: "):
            combine({**app, "frame-ancestor": wrong}, {})
