"""What the pages show that isn't run on the tests' machine, each with the reason.

A block is identified by its page and the beginning of its first line, a command by its
page and its beginning.
"""

from __future__ import annotations

from tests.documentation.pages import Block

__all__ = [
    "COMMANDS_NOT_RUN",
    "TESTED_ELSEWHERE",
    "TEXTS",
    "lookUp",
    "namesOf",
]

TESTED_ELSEWHERE: dict[tuple[str, str], str] = {
    ("authentication", "# connect.py"): "documentation/test_sessions.py::test_session",
    ("asyncio", "# status.py"): "live/test_reactors.py::test_library_of_asyncio",
    ("asyncio", "# test_status.py"): "live/test_reactors.py::test_library_of_asyncio",
    ("embedding", "# echo.tac"): "documentation/test_sessions.py::test_session",
    ("embedding", "# configured.tac"): "unit/test_assembly.py::test_documentation",
    ("embedding", "# listen.py"): "documentation/test_sessions.py::test_listen",
    ("origins", "192.0.2.1:50312 refused"): "examples/test_origins.py::test_refusal",
    ("logs", "chat is at http"): "unit/test_announcing.py::test_documentation",
    ("push", "# read.py"): "live/test_push.py::test_documentation",
    ("push", '<script type="module">'): "browser/test_push.py::test_documentation",
    (
        "push",
        "services.broker.publish(",
    ): "apps/push/test_documentation.py::test_python",
    ("push", '→ {"type":"subscribe"'): (
        "apps/push/test_documentation.py::test_conversation"
    ),
    ("push", "← I am waiting"): "apps/push/test_documentation.py::test_ticker",
    ("status", "# announce.py"): "admin/test_documentation.py::test_script",
    ("process", "# greet.py"): "documentation/test_sessions.py::test_greet",
    ("proxies", "# nginx in front of wsplug"): "live/test_proxies.py::test_client",
    ("proxies", "# haproxy in front of wsplug"): "live/test_proxies.py::test_client",
    ("proxies", "# haproxy forwards TCP"): "live/test_proxies.py::test_client",
    ("proxies", "# nginx forwards TCP"): "live/test_proxies.py::test_client",
    ("proxies", "proxy_set_header Forwarded"): "live/test_proxies.py::test_forwarded",
    ("proxies", "http-request set-header Forwarded"): (
        "live/test_proxies.py::test_forwarded"
    ),
    ("browser-client", "import { connect }"): (
        "browser/test_documentation.py::test_examples"
    ),
    ("browser-client", "connection.addEventListener"): (
        "browser/test_documentation.py::test_examples"
    ),
    ("browser-client", "const chat = connect"): (
        "browser/test_documentation.py::test_examples"
    ),
    ("tls", "#!/bin/sh"): "examples/test_tls.py::test_hook",
    ("limits", "203.0.113.9: 98123"): "guard/test_loglimit.py::test_documented",
    ("logs", "203.0.113.9: 98123"): "guard/test_loglimit.py::test_documented",
    ("limits", "wsplug: max-connections"): "guard/test_documentation.py::test_error",
}
"""Blocks that another test runs, or compares with real output: its path below
tests/, and its name.
"""

TEXTS: dict[tuple[str, str], str] = {
    ("from-autobahn", "class EchoProtocol(WebSocketServerProtocol)"): (
        "Autobahn's, to compare with"
    ),
    ("from-websockets", "async def shout(websocket)"): (
        "that of websockets, to compare with"
    ),
    ("CONTRIBUTING", "src/wsplug/interfaces.py"): "a list of folders",
    ("CONTRIBUTING", "socket"): "a picture",
    ("CONTRIBUTING", "the application"): "a picture",
    ("logs", "2026-11-21T11:17:52+0000"): "lines of a log, with their times",
    ("logs", "192.0.2.7:50000 received GET"): "lines of a log, without their beginning",
    ("logs", "[wsplug.server.stalls#warn]"): "a line of a log, with a path",
    ("tls", "TLS: the old certificate stays"): "a line of a log, with its path",
    ("status", '{"type":"sample"'): "shows the shape of a message, with dots in it",
}
"""Blocks that aren't code, and what they are."""

COMMANDS_NOT_RUN: dict[tuple[str, str], str] = {
    ("chat-room", "pip install -e '.[test]'"): "tests/packaging runs it",
    ("chat-room", "twistd wsplug --list-apps"): "tests/packaging: once it is installed",
    ("chat-room", "twistd -n wsplug --port 9000 --app clubroom"): (
        "tests/packaging: once it is installed"
    ),
    ("chat-room", "python -m pytest"): "tests/packaging: once it is installed",
    ("chat-room", "pip wheel"): "tests/packaging runs it",
    ("README", "python3 -m venv env"): "tests/packaging makes one of its own",
    ("README", "pip install . &&"): "tests/packaging runs it",
    ("README", "WSPLUG_PURE_BUILD=1 pip install ."): "tests/packaging runs it",
    ("README", "pip install '.[test]' && pytest"): ".ci/run runs it: newest",
    ("CONTRIBUTING", "python -m venv env"): ".ci/run does the same: lint",
    ("CONTRIBUTING", "WSPLUG_PURE_BUILD=1 pip install"): ".ci/run runs it: lint",
    ("authentication", "pip install 'wsplug[jwt]'"): "wsplug is installed",
    ("tls", "pip install 'wsplug[tls]'"): "wsplug is installed",
    ("benchmarks", "python benchmarks/run.py"): "takes minutes; .ci/run: benchmark",
    ("operating", "python tests/soak/run.py"): "takes minutes; tests/soak runs it",
    ("operating", "kill -TERM $(cat old.pid)"): "no old server runs",
    ("operating", "twistd --pidfile /run/wsplug.pid"): "needs a user wsplug",
    ("production", ""): "tests/packaging runs those that change no system",
    ("dice", "pip install ."): "tests/examples/test_examples.py runs it",
    ("dice", "twistd"): "tests/examples/test_examples.py runs it, once it is installed",
    ("tricks", "pip install ."): "tests/examples/test_examples.py runs it",
    ("load", ""): "tests/examples/test_examples.py runs it, once it is installed",
    ("quiz", ""): "tests/examples/test_examples.py runs it, once it is installed",
    ("rpc", ""): "tests/examples/test_examples.py runs it, once it is installed",
    ("process", "twistd -n wsplug --port 9000 --app 'process:command=ping"): (
        "pings a machine of the internet"
    ),
}
"""Commands that are not run here.

If they start wsplug, their options are still checked.
"""


def lookUp(table: dict[tuple[str, str], str], page: str, text: str) -> str | None:
    """Look up the entry for a block or a command."""
    for (name, beginning), reason in table.items():
        if name == page and text.startswith(beginning):
            return reason
    return None


def namesOf(block: Block) -> str:
    """Give the name of a block's test."""
    return f"{block.name}-{block.line}"
