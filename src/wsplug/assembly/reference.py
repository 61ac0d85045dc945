"""
The reference of all options, made from their declarations::

    python -m wsplug.assembly.reference docs/reference/options.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from wsplug.assembly.configuration import COMMANDS, OPTIONS
from wsplug.auth.jwt import JWT_OPTIONS
from wsplug.broker.selection import RETENTION_OPTIONS
from wsplug.options import REQUIRED, Option, describeKind
from wsplug.plugins import MOUNT_OPTIONS, findApplications

__all__ = ["main", "makeReference"]

_HEAD: Final = """\
# Options

<!-- Made by: python -m wsplug.assembly.reference docs/reference/options.md -->

Each option can be given on the command line of `twistd wsplug` and `wsplug check`, as
`--port`, and in the [configuration file](#the-configuration-file), as `port`. The
command line takes precedence over the file.

- A **size** is a number of bytes, or a number with a unit: `65536`, `64KiB`, `1MiB`,
  `2GiB`.
- **Seconds** can have a fraction or a unit: `0.5`, `10`, `5m`, `1h`.
- `unlimited` switches off a limit for a size or a number, `off` a timeout. No limit
  is off by default. See [what 0, off and unlimited
  mean](limits.md#what-0-off-and-unlimited-mean).
- You give an option that can be **repeated** several times on the command line. In
  the file, its value is an array.
"""

_ABOUT: Final = {
    "Applications": """\
`wsplug --list-apps` shows all applications. A single application is at `/`, several
are at `/NAME`, unless you set `path=`. The rest of a request's path belongs to the
application.
""",
    "Listening": """\
See [where it listens](../guides/operating.md#where-it-listens) and
[restarts](../guides/operating.md#restart-without-refusing-anybody).
""",
    "TLS": """\
These options are for `port`. Endpoint strings have their own:
`ssl:443:privateKey=PATH`. See [TLS](../guides/tls.md).
""",
    "Access": """\
See [origins](../guides/origins.md), [the server's
names](../guides/origins.md#which-names-are-the-servers),
[frames](../guides/origins.md#in-frames) and [proxies](../guides/proxies.md).
""",
    "Authentication": """\
See [authentication](../guides/authentication.md).
""",
    "Administration": """\
See [the status page](status.md).
""",
    "Operation": """\
See [the broker](broker.md), [metrics](metrics.md) and [logs](logs.md).
""",
    "Limits": """\
An address is an IPv4 address or an IPv6 network of 64 bits. While a client doesn't
read its messages, the server doesn't read from it either. [Limits](limits.md) explains
how these options work together and what to set. [How connections end](closing.md)
lists every way in which a connection ends, with its code, its reason and its option.
""",
}
"""
The text of the page about each group of options.
"""

_FILE: Final = """\
## The configuration file

`--config wsplug.toml` names a TOML file with the same options:

```toml
# wsplug.toml
port = 9000
origin = ["https://example.org"]
max-message-size = "64KiB"

[[app]]
use = "echo"
path = "/echo"

[[app]]
use = "shout.py"
times = 3
```

`app` is a list of descriptions, as on the command line, or tables: `use` names the
application, and each other key is one of its options. `wsplug check --config
wsplug.toml` reports everything that is wrong with a file.

Only the command line has these options:
"""

_APPLICATIONS: Final = """\
## Options of applications

They follow the application's name, `--app chat:path=/team:history=200`, or are keys of
its table in the file. Write `\\:` for a colon in a value. Every application has these
options:
"""

_BROKER: Final = """\
## Options of the broker

They follow its name: `--broker memory:count=100:age=5m`, `--broker
sqlite:channels.db:total=1GiB`.
"""

_JWT: Final = """\
## Options of signed tokens

They follow `jwt:`, as in `--auth
jwt:key=key.pem:algorithm=ES256:audience=chat`. See
[authentication](../guides/authentication.md#signed-tokens).
"""


def makeReference() -> str:
    """
    Make the page, as Markdown.
    """
    groups: dict[str, list[Option]] = {}
    for option in OPTIONS:
        groups.setdefault(option.group, []).append(option)
    parts = [_HEAD]
    for title, options in groups.items():
        parts += [f"## {title}\n", *([_ABOUT[title]] if title in _ABOUT else [])]
        parts.append(_table(options))
    parts += [_FILE, _table(COMMANDS)]
    parts += [_APPLICATIONS, _table(MOUNT_OPTIONS)]
    for plugin in findApplications():
        if plugin.__module__.startswith("wsplug.apps."):
            parts += [f"### {plugin.name}\n", f"{plugin.help}\n"]
            parts += [_table(plugin.options)] if plugin.options else []
    parts += [_BROKER, _table(RETENTION_OPTIONS)]
    parts += [_JWT, _table(JWT_OPTIONS)]
    return "\n".join(parts)


def _table(options: Iterable[Option]) -> str:
    rows = [
        "| option | value | default | what it does |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(_cells(option))} |" for option in options),
    ]
    return "\n".join(rows) + "\n"


def _cells(option: Option) -> Iterator[str]:
    yield f"`{option.name}`"
    yield _describeValue(option)
    yield _describeDefault(option)
    more = f" Goes with `{option.needs}`." if option.needs else ""
    yield (option.help + more).replace("|", "\\|")


def _describeValue(option: Option) -> str:
    if option.flag and option in COMMANDS:
        return ""
    return describeKind(option.kind) + (", repeated" if option.repeats else "")


def _describeDefault(option: Option) -> str:
    if option.flag and option in COMMANDS:
        return ""
    if option.shown is not None or option.default is REQUIRED:
        return option.shownDefault
    return f"`{option.shownDefault}`" if option.default not in ((), "") else "none"


def main(arguments: list[str]) -> None:
    """
    Write the page to a file.

    @param arguments: its path.
    """
    (path,) = arguments
    Path(path).write_text(makeReference(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
