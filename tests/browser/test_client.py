"""
wsplug.js, in a browser, against servers that end, hang and come back.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.browser.conftest import Visit, Visitor
from tests.processes import HOST, Server, serve, waitUntil

APPLICATION = Path(__file__).with_name("application.py")

CLIENT = Path(__file__).parents[2] / "src" / "wsplug" / "web" / "static" / "wsplug.js"

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u202eevil\u2066 \u200b\u200d\ufeff zero",
    "x" * 100_000,
    "\u0000\u2028\u2029 \U0001f9e6 e\u0301",
    '"}\\',
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A server with the test's application.
    """
    with serve(tmp_path_factory.mktemp("client"), f"--app={APPLICATION}") as server:
        yield server
        assert "Traceback" not in server.log + server.err


@pytest.fixture
def server(shared: Server) -> Server:
    """
    The same for all, with a clean slate; not to be stopped.
    """
    with Other(shared.port) as other:
        other.ask("reset")
    return shared


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """
    A server of the test's own.
    """
    with serve(tmp_path, f"--app={APPLICATION}") as server:
        yield server


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[Restartable]:
    """
    A server with channels in a file, which can be killed and started again.
    """
    made = Restartable(tmp_path, f"--broker=sqlite:{tmp_path / 'channels.db'}")
    yield made
    made.end()


class Restartable:
    """
    A server that comes back at the same port.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = (f"--app={APPLICATION}", *arguments)
        self.server = Server(folder, self._arguments)
        self.port = self.server.port

    def kill(self) -> None:
        """
        Kill it: nothing is closed, nothing is said.
        """
        self.server.signal(signal.SIGKILL)
        self.server.wait()

    def start(self) -> None:
        """
        Start it again.
        """
        listen = [f"tcp:{self.port}:interface={HOST}"]
        self.server = Server(self._folder, self._arguments, listen=listen)

    def end(self) -> None:
        self.server.kill()


class Other:
    """
    Another client, that publishes.
    """

    def __init__(self, port: int) -> None:
        self._making = connect(f"ws://{HOST}:{port}/")

    def __enter__(self) -> Other:
        self._connection = self._making.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, type_: str, **values: Any) -> Any:
        """
        Have a request answered.
        """
        message = {"type": type_, "request": 1, **values}
        self._connection.send(json.dumps(message))
        return json.loads(self._connection.recv(20))

    def publish(self, channel: str, *data: object, store: bool = True) -> None:
        """
        Publish, one after the other.
        """
        for each in data:
            answer = self.ask("publish", channel=channel, data=each, store=store)
            assert answer["type"] == "published"


def start(
    visit: Visitor, port: int, script: str = "{}", *, beside: Visit | None = None
) -> Visit:
    """
    Open the page, and have it connected.

    @param script: the options, in JavaScript.
    """
    made = visit(f"http://{HOST}:{port}/", beside=beside)
    made.wait("window.ready")
    made.run(f"start({script})")
    made.wait("connection.state === 'open'", "told")
    return made


def follow(page: Visit, name: str, options: object = None) -> None:
    """
    Subscribe, and wait until the server has answered.
    """
    page.run("([name, options]) => follow(name, options ?? {})", [name, options])
    page.wait(f"got[{name!r}].length > 0")


def waitFor(page: Visit, name: str, *what: object) -> None:
    """
    Wait until a subscription has got so many things, and see that they are those.
    """
    page.wait(f"got[{name!r}].length >= {len(what)}", f"got[{name!r}]")
    assert page.run(f"got[{name!r}]") == [
        list(each) if isinstance(each, tuple) else each for each in what
    ]


FRESH = ("entered", True)


TURN_TIME = """
window.delays = [];
window.ahead = 0;
const [timeout, now] = [window.setTimeout, Date.now];
Date.now = () => now() + ahead;
window.setTimeout = (call, delay, ...more) => {
  if (delay >= 10000) return timeout(call, delay, ...more);
  delays.push(delay);
  return timeout(call, 1, ...more);
};
"""
"""
Has short timers go off at once, and kept in C{delays}; C{ahead} is how many
milliseconds have gone by.
"""


@pytest.mark.everyday
def test_size() -> None:
    """
    It is small, as it ships: under 11 KiB; and needs nothing else.
    """
    content = CLIENT.read_bytes()
    assert len(content) < 11 * 1024
    assert b"import " not in content


# The connection


@pytest.mark.everyday
def test_states(visit: Visitor, server: Server) -> None:
    """
    Connecting, open, and closed for good: nothing is sent any more, and it says so.
    """
    page = start(visit, server.port)
    assert page.run("connection.send('hello')") is True
    page.wait("told.messages.length")
    assert page.run("told.messages") == ["hello"]
    page.run("connection.close(4001, 'enough')")
    assert page.run("connection.state") == "closed"
    assert page.run("connection.send('more')") is False
    page.wait("told.closings.length")
    assert page.run("told.states") == ["connecting", "open", "closed"]
    assert page.run("told.closings") == [{"code": 4001, "reason": "", "wasClean": True}]
    server.waitForLog("4001")


def test_retryNow(visit: Visitor, server: Server) -> None:
    """
    One that is closed can be opened again; on one that is open nothing changes.
    """
    page = start(visit, server.port)
    page.run("connection.retryNow()")
    page.run("connection.close()")
    page.run("connection.close()")
    page.run("connection.retryNow()")
    page.wait("connection.state === 'open'")
    assert page.run("told.states") == [
        *("connecting", "open", "closed"),
        *("connecting", "open"),
    ]


def test_close_while_connecting(visit: Visitor, server: Server) -> None:
    """
    Closed before it is open: it never opens.
    """
    page = visit(f"http://{HOST}:{server.port}/")
    page.wait("window.ready")
    page.run("(start(), connection.close())")
    page.wait("told.closings.length")
    assert page.run("told.states") == ["connecting", "closed"]
    assert page.run("connection.send('x')") is False


def test_nothing_after_close(visit: Visitor, server: Server) -> None:
    """
    Once it is closed, nothing comes any more, though it may be on its way; and nothing
    of the page refers to it.
    """
    page = visit(f"http://{HOST}:{server.port}/")
    page.wait("window.ready")
    page.run(
        """() => {
          window.listening = new Set();
          const { addEventListener, removeEventListener } = window;
          window.addEventListener = (type, call) => {
            listening.add(type);
            addEventListener.call(window, type, call);
          };
          window.removeEventListener = (type, call) => {
            listening.delete(type);
            removeEventListener.call(window, type, call);
          };
          start();
        }"""
    )
    page.wait("connection.state === 'open'")
    assert page.run("[...listening]") == ["online", "visibilitychange"]
    page.run(
        """() => {
          for (let number = 0; number < 100; number++) connection.send("x");
          connection.close();
        }"""
    )
    page.wait("told.closings.length")
    assert page.run("told.messages") == []
    assert page.run("[...listening]") == []


def test_wrong_close(visit: Visitor, server: Server) -> None:
    """
    With a code that can't be sent, nothing changes.
    """
    page = start(visit, server.port)
    script = "() => { try { connection.close(1) } catch (error) { return error.name } }"
    assert page.run(script) == "InvalidAccessError"
    assert page.run("connection.state") == "open"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (1001, "waiting"),
        (1011, "waiting"),
        (1012, "waiting"),
        (1013, "waiting"),
        (1000, "closed"),
        (1002, "closed"),
        (1008, "closed"),
        (4000, "closed"),
    ],
)
def test_closings(visit: Visitor, server: Server, code: int, state: str) -> None:
    """
    By some codes a server says to come back, by others that it is over.
    """
    page = start(visit, server.port, "{minDelay: 60000, maxDelay: 60000}")
    page.run("(code) => connection.send({type: 'close', code, reason: 'so'})", code)
    page.wait("told.closings.length")
    assert page.run("told.states.at(-1)") == state
    assert page.run("told.closings") == [
        {"code": code, "reason": "so", "wasClean": True}
    ]
    page.run("connection.close()")


def test_again(visit: Visitor, server: Server) -> None:
    """
    Which closings are final can be chosen. Where the choice fails, what is usual
    happens.
    """
    script = """{again: ({code}) => {
      if (code === 4002) throw new Error("no choice");
      return code === 4001 ? true : undefined;
    }}"""
    page = start(visit, server.port, script)
    page.run("connection.send({type: 'close', code: 4001})")
    page.wait("told.states.length === 5", "told")
    assert page.run("connection.state") == "open"
    page.run("connection.send({type: 'close', code: 4002})")
    page.wait("connection.state === 'closed'")
    assert page.run("told.failures") == ["Uncaught Error: no choice"]


def test_delays(visit: Visitor, mortal: Server) -> None:
    """
    A server that isn't there is asked again in delays that grow, up to a limit, each
    between half and the whole of it; also after one that was open for a moment.
    """
    page = visit(f"http://{HOST}:{mortal.port}/")
    page.wait("window.ready")
    page.run(
        """(turnTime) => {
          eval(turnTime);
          Math.random = () => 0;
          start({minDelay: 100, maxDelay: 1000});
        }""",
        TURN_TIME,
    )
    page.wait("connection.state === 'open'")
    mortal.signal(signal.SIGKILL)
    page.wait("delays.length >= 6", "[delays, told]")
    assert page.run("delays.slice(0, 6)") == [50, 100, 200, 400, 500, 500]
    page.run("Math.random = () => 1")
    page.wait("delays.at(-1) === 1000")
    page.run("connection.close()")


def test_delays_begin_small_again(visit: Visitor, server: Server) -> None:
    """
    Once a connection has lasted, the next delay is the first again; before, it isn't.
    """
    page = visit(f"http://{HOST}:{server.port}/")
    page.wait("window.ready")
    page.run(
        """(turnTime) => {
          eval(turnTime);
          Math.random = () => 1;
          start({minDelay: 100, maxDelay: 1000});
        }""",
        TURN_TIME,
    )
    for opened in range(1, 4):
        page.wait(f"told.states.filter((each) => each === 'open').length === {opened}")
        page.run("connection.send({type: 'abort'})")
    page.wait("told.states.filter((each) => each === 'open').length === 4")
    assert page.run("delays") == [100, 200, 400]
    page.run("ahead = 6000")
    page.run("connection.send({type: 'abort'})")
    page.wait("delays.length === 4")
    assert page.run("delays.at(-1)") == 100


def test_refused(visit: Visitor, tmp_path: Path) -> None:
    """
    A handshake that is refused looks like a server that isn't there: it is tried
    again.
    """
    with serve(tmp_path, f"--app={APPLICATION}", "--origin=none") as server:
        page = visit(f"http://{HOST}:{server.port}/")
        page.wait("window.ready")
        page.run("start()")
        page.wait("told.closings.length >= 2")
        assert page.run("told.closings[1].code") == 1006
        assert page.run("told.states.slice(0, 4)") == ["connecting", "waiting"] * 2


def test_online(visit: Visitor, server: Server) -> None:
    """
    The network is back, or somebody looks at the page again: it is tried at once.
    """
    page = start(visit, server.port, "{minDelay: 60000, maxDelay: 60000}")
    for event, target in [("online", "window"), ("visibilitychange", "document")]:
        page.run("connection.send({type: 'abort'})")
        page.wait("connection.state === 'waiting'")
        page.run(f"{target}.dispatchEvent(new Event('{event}', {{bubbles: true}}))")
        page.wait("connection.state === 'open'", "told")
    page.run("connection.close()")
    page.run("window.dispatchEvent(new Event('online'))")
    assert page.run("connection.state") == "closed"


def test_hidden(visit: Visitor, server: Server) -> None:
    """
    A page that nobody looks at waits for its turn.
    """
    page = start(visit, server.port, "{minDelay: 60000, maxDelay: 60000}")
    page.run("connection.send({type: 'abort'})")
    page.wait("connection.state === 'waiting'")
    page.run("Object.defineProperty(document, 'hidden', {value: true})")
    page.run("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")
    assert page.run("connection.state") == "waiting"


@pytest.mark.parametrize("noticed", ["silence", "online"])
def test_dead(visit: Visitor, mortal: Server, noticed: str) -> None:
    """
    A connection that is dead without anybody saying so is noticed: by its silence, or
    as soon as there is a reason to doubt it. What was missed comes later.
    """
    quiet = 200 if noticed == "silence" else 60_000
    page = start(visit, mortal.port, f"{{quiet: {quiet}, timeout: 1000}}")
    follow(page, "news")
    with Other(mortal.port) as other:
        other.publish("news", "one")
        waitFor(page, "news", FRESH, "one")
        mortal.signal(signal.SIGSTOP)
        try:
            if noticed == "online":
                page.run("window.dispatchEvent(new Event('online'))")
            page.wait("told.closings.length")
            assert page.run("told.closings[0]") == {
                "code": 1006,
                "reason": "no answer in 1000 ms",
                "wasClean": False,
            }
            # To one that hangs, each attempt ends too.
            page.wait("told.closings.length >= 2")
            assert page.run("told.closings[1].reason") == "no connection in time"
        finally:
            mortal.signal(signal.SIGCONT)
        other.publish("news", "two")
    page.wait("got.news.includes('two')", "[got, told]")
    news = [each for each in page.run("got.news") if isinstance(each, str)]
    assert news == ["one", "two"]


def test_check(visit: Visitor, server: Server) -> None:
    """
    One that lives is asked, and stays; where it has no subscription, or C{check} is
    null, nothing is sent that nobody has asked for. An error is an answer too.
    """
    page = start(visit, server.port, "{quiet: 20}")
    page.run("new Promise((resolve) => setTimeout(resolve, 150))")
    with Other(server.port) as other:
        assert "ping" not in other.ask("seen")["types"]
        follow(page, "news")
        waitUntil(lambda: "ping" in other.ask("seen")["types"], "a check")
        assert page.run("told.states") == ["connecting", "open"]
        start(visit, server.port, "{quiet: 20, check: {type: 'mine'}}")
        waitUntil(lambda: "mine" in other.ask("seen")["types"], "a check of its own")


def test_check_only_silence(visit: Visitor, server: Server) -> None:
    """
    A connection on which something comes isn't asked. (A machine that is too busy to
    answer in time makes silence of its own.)
    """
    page = start(visit, server.port, "{quiet: 400}")
    follow(page, "news")
    silence, checks = page.run(
        """async () => {
          const checks = async () => {
            const { types } = await ask({type: "seen"});
            return types.filter((each) => each === "ping").length;
          };
          const before = await checks();
          const end = performance.now() + 1000;
          let [last, longest] = [performance.now(), 0];
          while (last < end) {
            await ask({type: "echo"});
            const now = performance.now();
            [last, longest] = [now, Math.max(longest, now - last)];
          }
          return [longest, await checks() - before];
        }"""
    )
    assert checks == 0 or silence > 300


# Greeting


def test_greet(visit: Visitor, server: Server) -> None:
    """
    The greeting comes before the subscriptions, each time; it is open only then.
    """
    script = """{greet: async (connection) => {
      told.states.push("greeting");
      told.greeted = await connection.request({type: "echo", data: "hello"});
    }}"""
    page = visit(f"http://{HOST}:{server.port}/")
    page.wait("window.ready")
    page.run(f"(start({script}), follow('news'))")
    page.wait("got.news.length")
    with Other(server.port) as other:
        other.publish("news", 1)  # or the channel would be forgotten, and begin anew
    page.run("connection.send({type: 'abort'})")
    page.wait("got.news.length === 3", "got")
    once = ["connecting", "greeting", "open"]
    assert page.run("told.states") == [*once, "waiting", *once]
    assert page.run("told.greeted.data") == "hello"
    with Other(server.port) as other:
        seen = other.ask("seen")["types"]
    first = ["echo", "subscribe", "publish", "abort"]
    assert seen == [*first, "echo", "subscribe", "seen"]


def test_greeting_refused(visit: Visitor, server: Server) -> None:
    """
    Where the server refuses the greeting, it is over. Where anything else goes wrong
    with it, it is tried again.
    """
    page = visit(f"http://{HOST}:{server.port}/")
    page.wait("window.ready")
    page.run("start({greet: (connection) => connection.request({type: 'nonsense'})})")
    page.wait("connection.state === 'closed'")
    assert page.run("told.errors") == ["RequestError: no type 'nonsense'"]
    page.run(
        """() => {
          let times = 0;
          start({greet: () => { if (times++ === 0) throw new Error("not yet"); }});
        }"""
    )
    page.wait("connection.state === 'open'")
    assert page.run("told.errors")[1:] == ["Error: not yet"]


# Requests


@pytest.mark.everyday
def test_request(visit: Visitor, server: Server) -> None:
    """
    Requests are answered, whichever order the answers come in; an error fails them, and
    says what the server said.
    """
    page = start(visit, server.port)
    answers = page.run(
        "Promise.all([1, 2, 3].map((data) => ask({type: 'echo', data})))"
    )
    assert [each["data"] for each in answers] == [1, 2, 3]
    failure = page.run("ask({type: 'nonsense'})")
    assert failure["failed"] is True
    assert (failure["code"], failure["text"]) == ("unknown-type", "no type 'nonsense'")
    assert failure["answer"]["type"] == "error"


def test_request_fails(visit: Visitor, server: Server) -> None:
    """
    No answer in time, no connection, and one that is lost: each has its code. A late
    answer is a message like others.
    """
    page = start(visit, server.port, "{minDelay: 60000, maxDelay: 60000}")
    page.run("ask({type: 'mute', kind: 'echo'})")
    late = page.run("ask({type: 'echo', data: 1}, {timeout: 30})")
    assert (late["code"], late["text"]) == ("timeout", "no answer in 30 ms")
    page.run("(text) => ask({type: 'say', texts: [text]})", '{"request":2,"x":1}')
    assert page.run("told.messages") == [{"request": 2, "x": 1}]
    follow(page, "news")
    text = '{"request":2,"channel":"news"}'
    page.run("(text) => ask({type: 'say', texts: [text]})", text)
    assert page.run("told.messages.length") == 2
    lost = page.run("(connection.send({type: 'abort'}), ask({type: 'echo', data: 1}))")
    assert (lost["code"], lost["text"]) == ("closed", "the connection was lost")
    none = page.run("ask({type: 'echo', data: 1})")
    assert (none["code"], none["text"]) == ("closed", "there is no connection")


# Messages


def test_binary(visit: Visitor, server: Server) -> None:
    """
    Bytes go and come as bytes: an ArrayBuffer, a view or a Blob.
    """
    page = start(visit, server.port)
    page.run(
        """() => {
          const bytes = Uint8Array.from({length: 256}, (_, number) => number);
          connection.send(bytes.buffer);
          connection.send(bytes.subarray(1, 3));
          connection.send(new Blob([bytes.subarray(4, 6)]));
        }"""
    )
    page.wait("told.messages.length === 3")
    assert page.run("told.messages.every((each) => each instanceof ArrayBuffer)")
    assert page.run("told.messages.map((each) => [...new Uint8Array(each)])") == [
        [*range(256)],
        [1, 2],
        [4, 5],
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text(visit: Visitor, server: Server, text: str) -> None:
    """
    Whatever a text is, it arrives as it was: alone, in an answer and in a channel.
    """
    page = start(visit, server.port)
    follow(page, "news")
    page.run("(text) => connection.send(text)", text)
    page.wait("told.messages.length")
    assert page.run("told.messages") == [text]
    answer = page.run("(data) => ask({type: 'echo', data})", text)
    assert answer["data"] == text
    with Other(server.port) as other:
        other.publish("news", text)
    waitFor(page, "news", FRESH, text)


def test_hostile_json(visit: Visitor, server: Server) -> None:
    """
    What is no JSON object is text; one that is malformed, or is nothing expected,
    disturbs nobody. With C{json: false}, all is text.
    """
    texts = ['{"a":', "null", "[1]", "3.0", '"x"', "{}", '{"request":"__proto__"}']
    texts += ['{"channel":{"a":1}}', '{"__proto__":{"request":1}}', ""]
    page = start(visit, server.port)
    follow(page, "news")
    page.run("(texts) => ask({type: 'say', texts})", texts)
    got = page.run("told.messages.map((each) => [typeof each, JSON.stringify(each)])")
    assert [kind for kind, _ in got] == [
        *["string"] * 5,
        *["object"] * 4,
        "string",
    ]
    with Other(server.port) as other:
        other.publish("news", 1)
    waitFor(page, "news", FRESH, 1)
    raw = start(visit, server.port, "{json: false}")
    raw.run("(texts) => connection.send({type: 'say', texts})", texts)
    raw.wait(f"told.messages.length > {len(texts)}")
    assert raw.run("told.messages") == [*texts, '{"type": "said"}']


def test_listeners_that_throw(visit: Visitor, server: Server) -> None:
    """
    A listener that throws is reported, and disturbs nothing else.
    """
    page = start(visit, server.port)
    follow(page, "news")
    page.run(
        """() => {
          const fail = ({type}) => { throw new Error(type) };
          connection.addEventListener("state", fail);
          connection.addEventListener("close", fail);
          for (const type of ["entered", "message"]) {
            followed.news.addEventListener(type, fail);
          }
        }"""
    )
    with Other(server.port) as other:
        other.publish("news", 1)
        waitFor(page, "news", FRESH, 1)
        page.run("connection.send({type: 'abort'})")
        page.wait("got.news.length === 3", "got")
        other.publish("news", 2)
    waitFor(page, "news", FRESH, 1, FRESH, 2)
    failures = {each.split()[-1] for each in page.run("told.failures")}
    assert failures == {"state", "close", "entered", "message"}


# Channels


@pytest.mark.everyday
def test_restart(visit: Visitor, restartable: Restartable) -> None:
    """
    The server is killed and comes back: what was published meanwhile is there, once
    and in order.
    """
    page = start(visit, restartable.port)
    follow(page, "news")
    sent: list[str] = []
    for turn in range(3):
        with Other(restartable.port) as other:
            sent += [f"{turn}.{number}" for number in range(20)]
            other.publish("news", *sent[-20:-10])
            page.wait(f"got.news.includes('{sent[-11]}')")
            page.run("connection.send({type: 'abort'})")
            other.publish("news", *sent[-10:])
        restartable.kill()
        page.wait("connection.state !== 'open'")
        restartable.start()
    page.wait(f"got.news.includes('{sent[-1]}')", "[got, told]")
    got = page.run("got.news")
    assert [each for each in got if isinstance(each, str)] == sent
    assert ["gap", None] not in got


def test_new_epoch(visit: Visitor, tmp_path: Path) -> None:
    """
    Channels in memory begin anew with the server: what was missed is lost, it is said,
    and what comes then counts from there.
    """
    made = Restartable(tmp_path)
    try:
        page = start(visit, made.port)
        follow(page, "news")
        with Other(made.port) as other:
            other.publish("news", *range(5))
        page.wait("got.news.length === 6")
        first = page.run("followed.news.position")
        made.kill()
        made.start()
        page.wait("got.news.length === 8", "got")
        with Other(made.port) as other:
            other.publish("news", "new")
        page.wait("got.news.length === 9", "got")
        again = ("entered", False)
        waitFor(page, "news", FRESH, *range(5), again, ("gap", None), "new")
        position = page.run("followed.news.position")
        assert (first["offset"], position["offset"]) == (5, 1)
        assert first["epoch"] != position["epoch"]
    finally:
        made.end()


def test_moment(visit: Visitor, server: Server) -> None:
    """
    Messages of the moment are delivered, and move nothing: what is stored still comes
    once, and a reconnect goes on behind the last stored one.
    """
    page = start(visit, server.port)
    follow(page, "moments")
    page.run("window.kept = followed.moments.position")
    with Other(server.port) as other:
        other.publish("moments", "stored")
        other.publish("moments", "moment", "moment", store=False)
        waitFor(page, "moments", FRESH, "stored", "moment", "moment")
        assert page.run("[kept.offset, followed.moments.position.offset]") == [0, 1]
        page.run("connection.send({type: 'abort'})")
        page.wait("got.moments.length === 5", "got")
        other.publish("moments", "next")
    waitFor(page, "moments", FRESH, "stored", "moment", "moment", FRESH, "next")


def test_once_and_in_order(visit: Visitor, server: Server) -> None:
    """
    What comes before the answer to the subscription waits for it; what is in the answer
    already, or was there before, doesn't come twice.
    """
    page = start(visit, server.port, "{timeout: 60000}")
    page.run("ask({type: 'mute', kind: 'subscribe'})")
    page.run("follow('news', {since: {offset: 3, epoch: 'e'}})")

    def message(offset: int | None) -> dict[str, object]:
        count = {} if offset is None else {"offset": offset}
        return {"type": "message", "channel": "news", "data": offset or "now", **count}

    answer = {
        "type": "subscribed",
        "channel": "news",
        "request": 2,
        "position": {"offset": 5, "epoch": "e"},
        "recovered": True,
        "messages": [message(4), message(5)],
    }
    texts = [message(5), message(6), message(None), answer, message(6), message(7)]
    texts.append({"type": "gap", "channel": "news", "count": 3})
    texts.append(message(11))
    said = [json.dumps(each) for each in texts]
    page.run("(texts) => connection.send({type: 'say', texts})", said)
    expected = (FRESH, 4, 5, 6, "now", 7, ("gap", 3), 11)
    page.wait("got.news.length >= 8", "got")
    waitFor(page, "news", *expected)
    assert page.run("followed.news.position") == {"offset": 11, "epoch": "e"}


def test_lost_and_begun_anew(visit: Visitor, server: Server) -> None:
    """
    Where the server can't give all that was missed, what it can give comes all the
    same, however its offsets compare with those of before. A page that stores the
    position with each message never stores none, nor one that is ahead of it.
    """
    page = start(visit, server.port, "{timeout: 60000}")
    page.run("ask({type: 'mute', kind: 'subscribe'})")
    page.run("follow('news', {since: {offset: 9, epoch: 'old'}})")
    page.run(
        "() => { window.kept = []; followed.news.addEventListener('message',"
        " () => kept.push(followed.news.position)); }"
    )
    answer = {
        "type": "subscribed",
        "request": 2,
        "position": {"offset": 2, "epoch": "new"},
        "recovered": False,
        "messages": [
            {"channel": "news", "offset": offset, "data": offset} for offset in (1, 2)
        ],
    }
    said = [json.dumps(answer)]
    page.run("(texts) => connection.send({type: 'say', texts})", said)
    page.wait("got.news.length >= 4", "got")
    waitFor(page, "news", ("entered", False), ("gap", None), 1, 2)
    assert page.run("followed.news.position") == {"offset": 2, "epoch": "new"}
    assert page.run("kept") == [{"offset": each, "epoch": "new"} for each in (1, 2)]


@pytest.mark.parametrize("since", [None, {"offset": 9, "epoch": "old"}])
def test_position_of_an_empty_channel(
    visit: Visitor, server: Server, since: dict[str, object] | None
) -> None:
    """
    A page that stores the position with each event has one from the first answer on,
    also where no message comes with it: what is published later is not missed.
    """
    page = start(visit, server.port, "{timeout: 60000}")
    page.run("ask({type: 'mute', kind: 'subscribe'})")
    page.run("(options) => follow('news', options)", {"since": since})
    page.run(
        "() => { window.kept = []; for (const event of ['entered', 'gap', 'message'])"
        " followed.news.addEventListener(event,"
        " () => kept.push(followed.news.position)); }"
    )
    position = {"offset": 2, "epoch": "new"}
    answer = {
        **{"type": "subscribed", "request": 2, "position": position},
        **{"recovered": since is None, "messages": []},
    }
    said = [json.dumps(answer)]
    page.run("(texts) => connection.send({type: 'say', texts})", said)
    page.wait("kept.length", "told")
    assert page.run("kept") == [position] * (1 if since is None else 2)


@pytest.mark.parametrize("times", [1, 2])
def test_lost_answer(visit: Visitor, server: Server, times: int) -> None:
    """
    A subscription whose answer never comes is tried again, on another connection. An
    answer that a busy machine gives too late counts as lost, too.
    """
    page = start(visit, server.port, "{timeout: 100}")
    with Other(server.port) as other:
        other.ask("mute", kind="subscribe", times=times)
        page.run("follow('news')")
        page.wait("got.news.length", "told")
        other.publish("news", 1)
    waitFor(page, "news", FRESH, 1)
    reasons = page.run("told.closings.map((closing) => closing.reason)")
    assert reasons.count("no answer in 100 ms") >= times


def test_refused_subscription(visit: Visitor, server: Server) -> None:
    """
    Where the server refuses, it is told and over: it isn't tried again, and the name is
    free.
    """
    page = start(visit, server.port)
    follow(page, "secret")
    waitFor(page, "secret", ("error", "forbidden"))
    page.run("connection.send({type: 'abort'})")
    page.wait("told.states.length === 5")
    with Other(server.port) as other:
        assert other.ask("seen")["types"].count("subscribe") == 1
    follow(page, "secret")


def test_unavailable(visit: Visitor, server: Server) -> None:
    """
    A server that can't for the moment is asked again.
    """
    page = start(visit, server.port, "{timeout: 60000}")
    page.run("ask({type: 'mute', kind: 'subscribe'})")
    page.run("follow('news')")
    text = '{"type":"error","code":"unavailable","message":"not now","request":2}'
    page.run("(text) => connection.send({type: 'say', texts: [text]})", text)
    waitFor(page, "news", FRESH)
    assert page.run("told.closings[0].reason") == "not now"


def test_leaving(visit: Visitor, server: Server) -> None:
    """
    What was left says nothing more, and isn't entered again; its name is free at once.
    """
    page = start(visit, server.port)
    follow(page, "news")
    page.run("followed.news.close()")
    page.run("window.before = got.news")
    page.run("follow('news')")
    page.run("followed.news.close()")
    page.run("followed.news.close()")
    page.run("follow('news')")
    with Other(server.port) as other:
        other.publish("news", 1)
        waitFor(page, "news", FRESH, 1)
        page.run("followed.news.close()")
        page.run("ask({type: 'echo', data: 1})")
        other.publish("news", 2)
        page.run("connection.send({type: 'abort'})")
        page.wait("told.states.length === 5")
        page.run("ask({type: 'echo', data: 1})")
        assert other.ask("seen")["types"].count("subscribe") == 3
    assert page.run("[before, got.news]") == [
        [["entered", True]],
        [["entered", True], 1],
    ]


def test_twice(visit: Visitor, server: Server) -> None:
    """
    A second subscription to the same is a mistake, and says so.
    """
    page = start(visit, server.port)
    follow(page, "news")
    script = "() => { try { follow('news') } catch (error) { return error.message } }"
    assert page.run(script) == "news is subscribed to already"
    with Other(server.port) as other:
        assert other.ask("seen")["types"].count("subscribe") == 1


def test_words(visit: Visitor, server: Server) -> None:
    """
    An application may have words of its own, and be told more than the name.
    """
    page = start(visit, server.port)
    words = {"enter": "enter", "leave": "exit"}
    follow(page, "news", {"words": words, "color": "red"})
    page.run("followed.news.close()")
    page.run("ask({type: 'echo', data: 1})")
    with Other(server.port) as other:
        assert other.ask("seen")["types"] == ["enter", "exit", "echo", "seen"]


def test_key(visit: Visitor, server: Server) -> None:
    """
    A room is no channel of the same name.
    """
    page = start(visit, server.port, "{timeout: 60000}")
    follow(page, "news")
    page.run("ask({type: 'mute', kind: 'join'})")
    words = {"enter": "join", "leave": "leave", "key": "room"}
    page.run("(words) => { window.both = got; follow('news', {words}) }", words)
    texts = ['{"type":"joined","request":3}', '{"type":"message","room":"news"}']
    page.run("(texts) => connection.send({type: 'say', texts})", texts)
    waitFor(page, "news", ("entered", None), "message")
    assert page.run("both.news") == [["entered", True]]


def test_since(visit: Visitor, server: Server) -> None:
    """
    A page that has kept its position goes on from there.
    """
    page = start(visit, server.port)
    follow(page, "news")
    with Other(server.port) as other:
        other.publish("news", 1)
        waitFor(page, "news", FRESH, 1)
        position = page.run("followed.news.position")
        other.publish("news", 2, 3)
        after = start(visit, server.port)
        follow(after, "news", {"since": position})
        waitFor(after, "news", FRESH, 2, 3)
