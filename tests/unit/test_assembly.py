"""From a configuration to a service (wsplug.assembly)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application, IServiceCollection
from twisted.internet.testing import MemoryReactorClock

from tests.documentation.pages import blocksOf, findPage
from tests.unit.test_durations import OPTIONS as EVERY_OPTION
from wsplug.assembly import Configuration, assemble, readConfiguration
from wsplug.assembly.configuration import OPTIONS, Listening
from wsplug.errors import ConfigurationError, InvalidOption
from wsplug.guard.access import Access
from wsplug.guard.proxies import ProxySettings
from wsplug.options import REQUIRED, makeGroup, optionOf, optionsOf
from wsplug.plugins import Description
from wsplug.server.settings import Settings
from wsplug.service import WebSocketService

FILE = """
app = ["echo:path=/a", "echo:path=/b"]
port = 8000
origin = "https://a.example"
exempt = "none"
max-headers = 5
broker = "memory:count=3"
admin = "tcp:8001"
metrics = "no"
auth = "memory:ann:secret"
auth-cookie = "session"
"""


def test_service(tmp_path: Path) -> None:
    """A file becomes a service for any service tree, without twistd."""
    path = tmp_path / "wsplug.toml"
    path.write_text(FILE)
    reactor = MemoryReactorClock()
    parts = assemble(readConfiguration(str(path)), reactor)
    assert [name for name, _ in parts.endpoints] == ["port 8000"]
    service = parts.makeService()
    assert type(service) is WebSocketService
    factory = service.factory
    assert {mount.path for mount in factory.mounts} == {"/a", "/b"}
    assert factory.settings.max_headers == 5
    assert factory.authenticator is not None
    assert not reactor.tcpServers
    service.privilegedStartService()
    assert [server[0] for server in reactor.tcpServers] == [8000, 8001]
    parts.reload()


def test_first_error() -> None:
    """The first part that can't be made is reported."""
    wrong = Configuration((Description("ecko"), Description("nothing")))
    with pytest.raises(ConfigurationError, match="no application 'ecko'"):
        assemble(wrong, MemoryReactorClock())


def test_all_errors() -> None:
    """The errors of all parts can be collected; the parts without errors are made."""
    configuration = Configuration(
        (Description("ecko"), Description("echo"), Description("echo", None, {"x": 1})),
        Listening(endpoints=("carrier:pigeon", "tcp:1")),
    )
    errors: list[str] = []

    def attempt(make: Any, *arguments: Any) -> Any:
        try:
            return make(*arguments)
        except ConfigurationError as error:
            errors.append(str(error))
            return None

    parts = assemble(configuration, MemoryReactorClock(), attempt=attempt)
    assert [mount.path for mount in parts.mounts] == ["/echo"]
    assert [endpoint is None for _, endpoint in parts.endpoints] == [True, False]
    assert len(errors) == 3
    for word, error in zip(("ecko", "'x'", "carrier"), errors, strict=True):
        assert word in error


@pytest.mark.parametrize("name", EVERY_OPTION)
def test_defaults_are_shown(name: str) -> None:
    """A default that the help shows is accepted as a value and means the same.

    Options of the server, of brokers, of tokens and of bundled applications describe a
    default in words only if no value expresses it.
    """
    option = EVERY_OPTION[name]
    if option.shown is not None:
        assert option.default in (None, "", ())
    elif option.default not in (REQUIRED, ()):
        shown = option.shownDefault
        given = shown.split(", ") if option.repeats else shown
        assert option.parse(given) == option.default


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_is_a_sentence(option: Any) -> None:
    """A help text is one line of complete sentences, which say what the option is and
    does.
    """
    assert option.help[0].isupper() or option.help[0] == "`"
    assert option.help.endswith(".")
    assert "\n" not in option.help
    assert option.group


def test_groups() -> None:
    """A group's options are its fields and those of its subgroups.

    Options that aren't given have their defaults.
    """
    names = [option.name for option in optionsOf(Access)]
    assert names[:2] == ["origin", "allowed-host"]
    assert "trusted-proxy" in names
    assert optionOf(Settings, "max_headers").name == "max-headers"
    access = makeGroup(Access, {"trusted-proxy": ["unix"], "exempt": ["10.0.0.0/8"]})
    assert access == Access(exempt=("10.0.0.0/8",), proxies=ProxySettings(("unix",)))
    assert makeGroup(Settings, {}) == Settings()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"origins": ("a",)}, "origin: 'a' is not an origin"),
        ({"hosts": ("http://a",)}, "allowed-host: 'http://a' is not a host name"),
        ({"frameAncestors": ("null",)}, "frame-ancestor: "),
        ({"exempt": ("10.0.0.1/8",)}, r"exempt: '10\.0\.0\.1/8' is not a network"),
    ],
)
def test_access(values: dict[str, Any], words: str) -> None:
    """A program that embeds the server also learns which option is wrong."""
    with pytest.raises(ValueError, match=f"^{words}"):
        Access(**values)


def test_goes_with(tmp_path: Path) -> None:
    """An option that has no effect alone is refused, and the error names the option it
    needs.
    """
    path = tmp_path / "wsplug.toml"
    path.write_text('app = "echo"\nauth-cookie = "session"\n')
    with pytest.raises(InvalidOption, match="auth-cookie goes with auth, which isn't"):
        readConfiguration(str(path))


def test_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample in embedding.md loads an application from a file."""
    (block,) = (
        each
        for each in blocksOf(findPage("embedding"))
        if each.first == "# configured.tac"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wsplug.toml").write_text('app = "echo"\n')
    names: dict[str, Any] = {}
    exec(block.text, names)
    assert isinstance(names["application"], type(Application("x")))
    (service,) = IServiceCollection(names["application"])
    assert isinstance(service, WebSocketService)
