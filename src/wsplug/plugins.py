"""
Applications by name: C{--app NAME[:key=value...]} parsed, looked up, and made.

A name is that of a plugin (L{IWebSocketApplicationPlugin}, found by C{twisted.plugin}),
a file (C{shout.py}), or an attribute of a module (C{package.module:shout}).
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from zope.interface import Interface, implementer
from zope.interface.exceptions import Invalid

from wsplug.codec.httphead import TOKEN
from wsplug.dropins import (
    addToPath,
    brokenContract,
    explainImport,
    findBrokenDropIns,
    findPlugins,
)
from wsplug.errors import InvalidOption, PluginFailed, UnknownApplication
from wsplug.interfaces import (
    IBroker,
    ICommand,
    IKeyValueStore,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)
from wsplug.options import (
    Option,
    boolean,
    pairOptions,
    parseOptions,
    splitDescription,
    text,
)
from wsplug.server.mounts import Mount

__all__ = [
    "MOUNT_OPTIONS",
    "Description",
    "Services",
    "findApplications",
    "findFailures",
    "loadPlugin",
    "makeMount",
    "makeMounts",
    "parseDescription",
]


def _subprotocols(value: str) -> tuple[str, ...]:
    names = () if value == "none" else tuple(name.strip() for name in value.split(","))
    if not all(map(_SUBPROTOCOL.fullmatch, names)):
        raise ValueError(
            "names separated by commas, '*' for any, or 'none', as in 'chat,superchat'"
        )
    return names


def _folder(value: str) -> str:
    if not os.path.isdir(value):
        raise ValueError("the path of a folder that is there")
    # As a daemon, the server changes its working directory.
    return os.path.abspath(value)


_SUBPROTOCOL = re.compile(TOKEN.decode("ascii"))

MOUNT_OPTIONS = (
    Option("path", text, "", "Path to serve it at.", "/, or /NAME with several"),
    Option("compression", boolean, True, "Whether its messages may be compressed."),
    Option(
        "subprotocols",
        _subprotocols,
        None,
        "Subprotocols that it takes, separated by commas; * takes the first one that a "
        "client offers.",
        "the application's",
    ),
    Option(
        "pages",
        _folder,
        None,
        "A folder of your own pages, in place of the application's.",
        "the application's",
    ),
    Option("auth", boolean, True, "Whether its clients log in, where --auth is given."),
)
"""
The options that each application has besides its own.
"""


@implementer(IServices)
@dataclass(frozen=True)
class Services:
    """
    What applications may use. A program that embeds the server makes one for its
    L{wsplug.Application}.

    @ivar reactor: see L{IServices}.
    @ivar clock: see L{IServices}; C{reactor} where there is no other.
    @ivar broker: see L{IServices}; that of the L{wsplug.WebSocketService}.
    @ivar logins: see L{IServices}.
    @ivar application: the name of the application that uses it.
    """

    reactor: Any
    clock: Any
    broker: IBroker
    logins: bool = False
    application: str = ""

    @property
    def store(self) -> IKeyValueStore:
        """
        The application's own store.
        """
        return self.broker.openStore(self.application)


@dataclass(frozen=True)
class Description:
    """
    One parsed C{--app}.

    @ivar name: the name of a plugin, a file or a module.
    @ivar attribute: the application's name in the file or module.
    @ivar values: the options, not parsed yet.
    @ivar source: where it comes from, for error messages; empty for the command line.
    """

    name: str
    attribute: str | None = None
    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.name if self.attribute is None else f"{self.name}:{self.attribute}"


def parseDescription(description: str) -> Description:
    """
    Parse C{NAME[:key=value...]} by the rules of Twisted's endpoint strings: colons
    separate, and a backslash escapes a colon, an equals sign or a backslash.

    @raise InvalidOption: the syntax is wrong. The message names the application, but no
        option, because options may contain secrets.
    """
    words = list(splitDescription(description))
    name = words.pop(0)[0]
    if not name:
        raise InvalidOption("the application's name is missing: --app NAME")
    attribute = None
    if words and words[0][1] is None:
        attribute = words.pop(0)[0]
    try:
        return Description(name, attribute, pairOptions(words))
    except InvalidOption as error:
        raise InvalidOption(f"--app {name}: {error}") from None


# Looking up


def findApplications() -> list[IWebSocketApplicationPlugin]:
    """
    Return the plugins that load and provide their interface, sorted by name.
    """
    kept = [
        plugin
        for plugin in findPlugins(IWebSocketApplicationPlugin)
        if _brokenContract(plugin) is None
    ]
    return sorted(kept, key=lambda plugin: str(plugin.name))


def findFailures() -> list[tuple[str, str]]:
    """
    Return the drop-ins that don't load, of any kind, and the applications and bot
    commands that don't provide their interface.

    @return: name and reason for each.
    """
    failures = []
    for interface in (IWebSocketApplicationPlugin, ICommand):
        for plugin in findPlugins(interface):
            reason = _brokenContract(plugin, interface)
            if reason is not None:
                failures.append((repr(plugin), reason))
    return failures + findBrokenDropIns()


def loadPlugin(description: Description) -> IWebSocketApplicationPlugin:
    """
    Find the plugin that a description names.

    @raise UnknownApplication: there is none.
    @raise PluginFailed: it doesn't load, or doesn't provide its interface.
    """
    name = description.name
    if name.endswith(".py"):
        found = _choose(_importFile(name), description)
    elif description.attribute is not None:
        found = _choose(_importModule(name), description)
    else:
        found = _findByName(name)
    plugin = _adapt(found, str(description))
    reason = _brokenContract(plugin)
    if reason is not None:
        raise PluginFailed(f"the application {description} is broken: {reason}")
    return plugin


def _findByName(name: str) -> object:
    for plugin in findPlugins(IWebSocketApplicationPlugin):
        if _nameOf(plugin) == name:
            return plugin
    if "." in name or "/" in name:
        raise UnknownApplication(
            f"no application {name!r}; name one in a module package.module:name, one "
            "in a file by a path that ends in .py"
        )
    if os.path.isfile(f"{name}.py"):
        raise UnknownApplication(
            f"no application {name!r}; for the file here, say {name}.py"
        )
    names = [plugin.name for plugin in findApplications()]
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else "available: " + ", ".join(names)
    failures = findFailures()
    if failures:
        hint += f" ({failures[0][0]} does not load; see --list-apps)"
    raise UnknownApplication(f"no application {name!r}; {hint}")


def _nameOf(plugin: object) -> object:
    try:
        return getattr(plugin, "name", None)
    except Exception:
        return None  # the attribute is computed, and fails


def _importFile(name: str) -> ModuleType:
    path = os.path.abspath(name)
    if not os.path.isfile(path):
        raise UnknownApplication(f"no file {name!r}")
    stem = os.path.basename(path)[: -len(".py")]
    spec = spec_from_file_location(f"wsplug_file_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    # It may import modules beside it.
    addToPath(os.path.dirname(path))
    module = module_from_spec(spec)
    # Code that inspects the module's functions looks it up there.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise PluginFailed(f"{name} does not load: {explainImport(error)}") from None
    return module


def _importModule(name: str) -> ModuleType:
    # As with "python -m", modules in the working directory can be named.
    if "" not in sys.path:
        addToPath(os.getcwd())
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise UnknownApplication(f"no module {error.name!r}") from None
        raise PluginFailed(f"{name} does not load: {explainImport(error)}") from None
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{name} does not load: {explainImport(error)}") from None


def _namesIn(module: ModuleType, *interfaces: type[Interface]) -> list[str]:
    """
    Return the names of a module's objects that provide one of some interfaces.
    """
    return [
        name
        for name, value in vars(module).items()
        if any(each.providedBy(value) for each in interfaces)
    ]


def _isDefinedIn(module: ModuleType, value: object) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def _hintAt(module: ModuleType) -> str:
    """
    List a module's applications in an error about another name.
    """
    names = _namesIn(module, IWebSocketApplicationPlugin, IWebSocketApplication)
    return f"; it has {' and '.join(map(repr, names))}" if names else ""


def _choose(module: ModuleType, description: Description) -> object:
    if description.attribute is not None:
        found: object = module
        for part in description.attribute.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise UnknownApplication(
                    f"{description.name} has no {description.attribute!r}"
                    + _hintAt(module)
                ) from None
        return found
    names = _namesIn(module, IWebSocketApplicationPlugin)
    if len(names) > 1:
        # Those that it imports may be what its own ones are made of.
        own = [name for name in names if _isDefinedIn(module, getattr(module, name))]
        names = own or names
    if not names:
        raise UnknownApplication(
            f"{description.name} has no application: write a class of "
            "wsplug.Application, or decorate a coroutine function with "
            '@application("name")'
        )
    if len(names) > 1:
        raise UnknownApplication(
            f"{description.name} has several applications; name one of them: "
            + " or ".join(f"{description.name}:{name}" for name in names)
        )
    return getattr(module, names[0])


@implementer(IWebSocketApplicationPlugin)
class _ReadyApplication:
    """
    A plugin for an application object, which has no options.
    """

    options: Sequence[Option] = ()
    help = ""

    def __init__(self, application: Any, name: str) -> None:
        self._application = application
        self.name = name

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        application: IWebSocketApplication = self._application
        return application


def _adapt(found: object, name: str) -> IWebSocketApplicationPlugin:
    if IWebSocketApplicationPlugin.providedBy(found):
        plugin: Any = found
        return plugin  # type: ignore[no-any-return]
    if not isinstance(found, type) and callable(getattr(found, "buildProtocol", None)):
        return _ReadyApplication(found, name.rpartition(":")[2])
    raise UnknownApplication(
        f"{name} is not an application: name a class of wsplug.Application, what "
        '@application("name") has made, or an object that has buildProtocol'
    )


def _brokenContract(
    plugin: Any, interface: Any = IWebSocketApplicationPlugin
) -> str | None:
    checks = [_checkShown] if interface is IWebSocketApplicationPlugin else []
    return brokenContract(plugin, interface, *checks)


def _checkShown(plugin: Any) -> None:
    """
    Raise C{Invalid} if a plugin can't be listed.
    """
    for name in ("name", "help"):
        value = getattr(plugin, name)
        if not isinstance(value, str) or "\n" in value:
            raise Invalid(f"{name} must be one line of text, not {value!r}")
    options = plugin.options
    if not isinstance(options, Sequence) or not all(
        isinstance(option, Option) for option in options
    ):
        raise Invalid(f"options must be a list or tuple of Option, not {options!r}")


# Making


def makeMounts(descriptions: Sequence[Description], services: Services) -> list[Mount]:
    """
    Make and mount applications.

    @raise wsplug.errors.ConfigurationError: as for L{makeMount}.
    """
    isSingle = len(descriptions) == 1
    return [makeMount(description, services, isSingle) for description in descriptions]


def makeMount(description: Description, services: Services, isSingle: bool) -> Mount:
    """
    Make and mount an application.

    @param isSingle: whether it is the only one. Then its path is C{/}, otherwise
        C{/NAME}, unless C{path} is given.
    @raise UnknownApplication: the application doesn't exist.
    @raise PluginFailed: the application doesn't load, or its plugin fails.
    @raise InvalidOption: an option is unknown or missing, or has an invalid value.
    """
    plugin = loadPlugin(description)
    values = dict(description.values)
    own = {option.name for option in plugin.options}
    shared = {
        option.name: values.pop(option.name)
        for option in MOUNT_OPTIONS
        if option.name in values and option.name not in own
    }
    try:
        mountOptions = parseOptions(MOUNT_OPTIONS, shared)
        options = parseOptions(plugin.options, values)
        application = plugin.makeApplication(
            options, replace(services, application=plugin.name)
        )
        path = mountOptions["path"] or ("/" if isSingle else f"/{plugin.name}")
        return Mount(
            path,
            application,
            plugin.name,
            mountOptions["compression"],
            mountOptions["auth"],
            subprotocols=mountOptions["subprotocols"],
            folder=mountOptions["pages"],
        )
    except InvalidOption as error:
        source = description.source or f"--app {description}"
        raise InvalidOption(f"{source}: {error}") from None
    except (Exception, SystemExit) as error:
        raise PluginFailed(
            f"--app {description} can't be created: {explainImport(error)}"
        ) from None
