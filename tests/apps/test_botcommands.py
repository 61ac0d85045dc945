"""
Commands of one's own: what they may do, and what happens when they do it wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import LogLevel
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.apps.botkit import BUNDLED, ask, serveBot
from tests.server.conftest import logs
from tests.server.kit import Logs
from wsplug import dropins
from wsplug.apps.bot import CommandBot, DeclaredCommand, command, vocabulary
from wsplug.interfaces import ICommand, IConversation, IWebSocketApplicationPlugin
from wsplug.testing import MemoryServer

__all__ = ["logs"]


def answering(result: Any) -> DeclaredCommand:
    """
    Make the command C{try}, which returns something.
    """

    @command("try", help="Tries.")
    def try_(arguments: str, conversation: IConversation) -> Any:
        return result

    return try_


class Waiting:
    """
    The command C{wait}, with what it waits for.
    """

    def __init__(
        self, canceller: Callable[[Deferred[Any]], None] | None = None
    ) -> None:
        self.deferred: Deferred[Any] = Deferred(canceller or self._cancelled)
        self.cancelled = 0
        self.conversation: Any = None
        self.command = command("wait", help="Waits.")(self.respond)

    def respond(self, arguments: str, conversation: IConversation) -> Deferred[Any]:
        self.conversation = conversation
        return self.deferred

    def _cancelled(self, _: object) -> None:
        self.cancelled += 1


def stubborn(more: Deferred[str]) -> DeclaredCommand:
    """
    Make a command C{wait} that, when it is cancelled, waits for something else.
    """

    @command("wait", help="Waits.")
    async def wait(arguments: str, conversation: IConversation) -> str:
        try:
            await Deferred()
        except CancelledError:
            return await more
        return "early"

    return wait


SORRY = "Sorry, something went wrong with {}. It is not your fault."

TOO_SLOW = "Sorry, wait takes too long: I have given up on it after {} seconds."

# What a command returns


@pytest.mark.parametrize(
    ("result", "messages"),
    [
        ("text", ["text"]),
        ("", [""]),
        ("two\nlines", ["two\nlines"]),
        (None, []),
        (["one", "two"], ["one", "two"]),
        (("one", "two"), ["one", "two"]),
        ([], []),
        (succeed("later"), ["later"]),
        (succeed(["one", "two"]), ["one", "two"]),
        (succeed(None), []),
    ],
)
def test_results(result: Any, messages: list[str]) -> None:
    """
    A text, several, none, or a Deferred of that.
    """
    _, client = serveBot(answering(result))
    client.send("try")
    assert client.messages == messages
    client.messages.clear()
    assert ask(client, "hello") == "Hello, human!"


@pytest.mark.parametrize("result", [7, b"bytes", [None], ["a", 7], {"a": 1}, object])
def test_wrongResults(result: Any, logs: Logs) -> None:
    """
    Anything else is a mistake of the command's: the visitor gets an apology alone, and
    the log says what it was.
    """
    _, client = serveBot(answering(result))
    assert ask(client, "try") == SORRY.format("try")
    (failure,) = logs.failures()
    assert "a command answers with text, not " in failure.getErrorMessage()
    assert ask(client, "hello") == "Hello, human!"


def test_surrogates(logs: Logs) -> None:
    """
    Text that no UTF-8 has is a mistake of the command's too.
    """
    _, client = serveBot(answering("\ud800"))
    assert ask(client, "try") == SORRY.format("try")
    assert logs.failures()[0].check(UnicodeEncodeError)


def test_coroutine() -> None:
    """
    A coroutine function is a command, and may wait.
    """

    @command("echo", help="Answers later.")
    async def echo(arguments: str, conversation: IConversation) -> str:
        await deferLater(conversation.services.clock, 2, lambda: None)
        return arguments

    server, client = serveBot(echo)
    client.send("echo  two words ")
    server.advance(1.875)
    assert client.messages == []
    server.advance(0.125)
    assert client.messages == ["two words"]


def test_object() -> None:
    """
    Any object that keeps the contract is a command.
    """

    @implementer(ICommand)
    class Object:
        words = ("object",)
        help = "Is an object."

        def respond(self, arguments: str, conversation: IConversation) -> str:
            return "yes"

    verifyObject(ICommand, Object())
    _, client = serveBot(Object())
    assert ask(client, "object") == "yes"
    assert ask(client, "help object") == "object: Is an object."


# What a command gets


def test_conversation() -> None:
    """
    A command gets what is behind the word; the request, the bot's options, the
    server's services, all commands, the visitor's name, and room for its own.
    """
    seen: list[tuple[str, Any]] = []

    @command("look", "peek", help="Looks.")
    def look(arguments: str, conversation: IConversation) -> None:
        seen.append((arguments, conversation))

    server, _ = serveBot(look, age="9")
    client = server.connect("/room?a=b")
    for arguments in ("", "a  b", "\u202ec\nd"):
        client.send(f" Look! {arguments} ")
    assert [each[0] for each in seen] == ["", "a  b", "\u202ec\nd"]
    conversation = seen[0][1]
    assert all(each[1] is conversation for each in seen)
    verifyObject(IConversation, conversation)
    assert conversation.request.segments == ("room",)
    assert conversation.request.args == {b"a": [b"b"]}
    assert conversation.options["age"] == "9"
    assert conversation.services.clock is server.clock
    assert conversation.services.broker is server.broker
    assert conversation.commands["peek"] is look
    assert {"hello", "?"} < conversation.commands.keys()
    assert conversation.visitor is None
    assert ask(client, "name Ann")
    assert conversation.visitor == "Ann"
    conversation.visitor = "Bea"
    assert ask(client, "hello") == "Hello, Bea!"


def test_memory() -> None:
    """
    What a command keeps of a conversation is there in the next line, and in no other
    conversation.
    """

    @command("count", help="Counts.")
    def count(arguments: str, conversation: IConversation) -> str:
        memory = conversation.memory
        memory["count"] = memory.get("count", 0) + 1
        return str(memory["count"])

    server, client = serveBot(count)
    assert [ask(client, "count") for _ in range(3)] == ["1", "2", "3"]
    assert ask(server.connect(), "count") == "1"


def test_close() -> None:
    """
    close() ends the conversation behind the answer, whenever that comes.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    waiting.conversation.close()
    server.run()
    assert client.closed is None
    waiting.deferred.callback(["so", "long"])
    server.run()
    assert client.messages == ["so", "long"]
    assert client.closed == (1000, "")


def test_closeLater() -> None:
    """
    Between two lines, close() ends the conversation at once.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    waiting.deferred.callback(None)
    server.run()
    assert client.closed is None
    waiting.conversation.close()
    server.run()
    assert client.closed == (1000, "")


# What goes wrong


class _Failed(Exception):
    pass


def _raise(arguments: str, conversation: IConversation) -> str:
    raise _Failed("a secret")


async def _raiseLater(arguments: str, conversation: IConversation) -> str:
    await deferLater(conversation.services.clock, 0, lambda: None)
    raise _Failed("a secret")


def _exit(arguments: str, conversation: IConversation) -> str:
    raise SystemExit("a secret")


@pytest.mark.parametrize("function", [_raise, _raiseLater, _exit])
def test_raising(logs: Logs, function: Callable[[str, IConversation], Any]) -> None:
    """
    A command that raises: an apology for the visitor, the traceback for the log, and
    the connection stays.
    """
    server, client = serveBot(command("oops", help="Fails.")(function))
    client.send("oops")
    server.run()
    assert client.messages == [SORRY.format("oops")]
    client.messages.clear()
    (failure,) = logs.failures()
    assert "a secret" in failure.getErrorMessage()
    assert logs.lines("the command 'oops' failed")
    assert ask(client, "hello") == "Hello, human!"


def test_raisingBye(logs: Logs) -> None:
    """
    A command that closes and then raises still closes.
    """

    @command("oops", help="Fails.")
    def oops(arguments: str, conversation: IConversation) -> str:
        conversation.close()
        raise _Failed

    _, client = serveBot(oops)
    client.send("oops")
    assert client.messages == [SORRY.format("oops")]
    assert client.closed == (1000, "")
    assert logs.failures()[0].check(_Failed)


def test_ownCancellation(logs: Logs) -> None:
    """
    A Deferred that fails with a CancelledError of somebody else's is a failed one.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    waiting.deferred.cancel()
    server.run()
    assert client.messages == [SORRY.format("wait")]
    assert logs.failures()[0].check(CancelledError)


# What takes its time


def test_order() -> None:
    """
    What comes while a command is at work waits for it; nobody else does.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    client.send("hello")
    client.send("age")
    other = server.connect()
    assert ask(other, "hello") == "Hello, human!"
    server.advance(29)
    assert client.messages == []
    waiting.deferred.callback("done")
    server.run()
    assert client.messages == ["done", "Hello, human!", "I am younger than I act."]
    # And no deadline is left behind.
    server.advance(60)
    assert len(client.messages) == 3
    assert waiting.cancelled == 0


@pytest.mark.parametrize(
    ("timeout", "said"), [("30", "30"), ("1m", "60"), ("0.5", "0.5")]
)
def test_timeout(logs: Logs, timeout: str, said: str) -> None:
    """
    A command that takes longer than C{timeout} is cancelled, with an apology and a
    line in the log; what it answers after that is dropped, and the next line is
    answered.
    """
    waiting = Waiting()
    waiting.deferred = Deferred()  # it can be cancelled, but doesn't know
    server, client = serveBot(waiting.command, timeout=timeout)
    client.send("wait")
    client.send("hello")
    server.advance(float(said) - 0.125)
    assert client.messages == []
    server.advance(0.125)
    assert client.messages == [TOO_SLOW.format(said), "Hello, human!"]
    (line,) = logs.lines("took longer")
    assert line == f"the command 'wait' took longer than {said} seconds"
    waiting.deferred.callback("late")
    server.run()
    assert len(client.messages) == 2


def test_timeoutIsThirtySeconds() -> None:
    """
    Without an option, it is 30 seconds.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    server.advance(29.875)
    assert client.messages == []
    server.advance(0.125)
    assert client.messages == [TOO_SLOW.format(30)]
    assert waiting.cancelled == 1


def test_noTimeout() -> None:
    """
    C{timeout=off} lets a command take as long as it likes.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command, timeout="off")
    client.send("wait")
    server.advance(120)
    assert client.messages == []
    waiting.deferred.callback("done")
    server.run()
    assert client.messages == ["done"]


def test_chainedDeferred() -> None:
    """
    A Deferred that has fired, and waits for another one, takes its time too.
    """
    inner: Deferred[str] = Deferred()
    outer = succeed(None)
    outer.addCallback(lambda _: inner)
    server, client = serveBot(answering(outer), timeout="2")
    client.send("try")
    server.advance(2)
    assert client.messages == [TOO_SLOW.format(2).replace("wait", "try")]
    assert inner.called


def test_stubborn() -> None:
    """
    A coroutine that won't be cancelled is left to itself: its visitor doesn't wait.
    """
    more: Deferred[str] = Deferred()
    server, client = serveBot(stubborn(more), timeout="2")
    client.send("wait")
    client.send("hello")
    server.advance(2)
    expected = [TOO_SLOW.format(2), "Hello, human!"]
    assert client.messages == expected
    more.callback("late")
    server.run()
    assert client.messages == expected


def test_timeoutBye() -> None:
    """
    A command that closes and then takes too long still closes.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command, timeout="2")
    client.send("wait")
    waiting.conversation.close()
    server.advance(2)
    assert client.messages == [TOO_SLOW.format(2)]
    assert client.closed == (1000, "")


def test_brokenCanceller(logs: Logs) -> None:
    """
    A canceller that raises is told of, and nobody waits for it.
    """

    def canceller(deferred: Deferred[Any]) -> None:
        raise _Failed

    waiting = Waiting(canceller)
    server, client = serveBot(waiting.command, timeout="2")
    client.send("wait")
    server.advance(2)
    assert client.messages == [TOO_SLOW.format(2)]
    assert logs.failures()[0].check(_Failed)
    client.messages.clear()
    assert ask(client, "hello") == "Hello, human!"


# Who leaves


def test_leaving(logs: Logs) -> None:
    """
    When the visitor leaves, the command is cancelled, and nothing fails.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    start = len(logs.lines())
    client.drop()
    assert waiting.cancelled == 1
    server.advance(60)
    (line,) = logs.lines()[start:]
    assert "closed by the peer" in line


def test_lateAnswer(logs: Logs) -> None:
    """
    What can't be cancelled, and answers or fails when the visitor is gone, answers
    nobody; that it failed is in the log at its lowest level alone.
    """
    for outcome in ("late", _Failed()):
        more: Deferred[str] = Deferred()
        server, client = serveBot(stubborn(more))
        client.send("wait")
        client.drop()
        if isinstance(outcome, str):
            more.callback(outcome)
        else:
            more.errback(outcome)
        server.advance(60)
        assert client.messages == []
    levels = {event["log_level"] for event in logs.events("the cancelled command")}
    assert levels == {LogLevel.debug}


def test_leavingWhileAsked() -> None:
    """
    When the connection ends inside of the command, what it returns is cancelled.
    """
    waiting = Waiting()

    @command("drop", help="Drops.")
    def drop(arguments: str, conversation: Any) -> Deferred[Any]:
        conversation.transport.abortConnection()
        return waiting.deferred

    server, client = serveBot(drop)
    client.send("drop")
    server.run()
    assert client.closed == (1006, "")
    assert waiting.cancelled == 1


def test_serverStops() -> None:
    """
    A server that stops doesn't wait for commands: they are cancelled.
    """
    waiting = Waiting()
    server, client = serveBot(waiting.command)
    client.send("wait")
    stopped: list[object] = []
    server.stop().addCallback(stopped.append)
    server.advance(1)
    assert client.closed is not None
    assert client.closed[0] == 1001
    assert waiting.cancelled == 1
    assert stopped == [None]


# Declaring


def test_declaring() -> None:
    """
    C{@command} takes several words, and its help from the docstring where none is
    given; what it makes keeps the contract.
    """

    @command("roll", "dice")
    def roll(arguments: str, conversation: IConversation) -> None:
        """
        Throws a die.

        Any die.
        """

    verifyObject(ICommand, roll)
    ICommand.validateInvariants(roll)
    assert (roll.words, roll.help) == (("roll", "dice"), "Throws a die.")
    assert repr(roll) == f"<command 'roll' of {__name__}>"
    verifyObject(IWebSocketApplicationPlugin, CommandBot([roll]))


def _fine(arguments: str, conversation: IConversation) -> None:
    pass


@pytest.mark.parametrize(
    ("words", "function", "error", "message"),
    [
        ((), _fine, ValueError, "words must be a list or tuple of words, not ()"),
        (
            ("Roll",),
            _fine,
            ValueError,
            "must be lower case without spaces, not 'Roll'",
        ),
        (("roll it",), _fine, ValueError, "without spaces, not 'roll it'"),
        (("",), _fine, ValueError, "without spaces, not ''"),
        ((7,), _fine, ValueError, "without spaces, not 7"),
        (("roll",), "no function", TypeError, "'no function' isn't a function"),
        (("roll",), Waiting, TypeError, "isn't a function"),
        (("roll",), lambda: None, TypeError, "two arguments: arguments, conversation"),
        (("roll",), lambda a, b, c: None, TypeError, "has to take two arguments"),
    ],
)
def test_declaringWrongly(
    words: Any, function: Any, error: type[Exception], message: str
) -> None:
    """
    What can't be a command is an error where it is declared.
    """
    with pytest.raises(error) as caught:
        command(*words, help="Help.")(function)
    assert message in str(caught.value)


def test_severalLinesOfHelp() -> None:
    """
    Help is one line.
    """
    with pytest.raises(ValueError, match="help must be one line of text"):
        command("roll", help="Throws\na die.")(_fine)


# Words that several have, and what keeps no contract


def test_sameWord(logs: Logs) -> None:
    """
    Of two commands with the same word the first has it, and the log says so; the
    other one keeps its other words.
    """
    own = answering("mine")
    own.words = ("try", "hello", "hey")
    _, client = serveBot(own)
    assert ask(client, "hello") == ask(client, "hey") == ask(client, "try") == "mine"
    assert ask(client, "hi") == "What's up, human?"
    assert logs.lines("two commands") == [
        f"two commands have the word {word!r}: <command 'try' of {__name__}> gets it, "
        f"<command {loser!r} of wsplug.apps.bot.commands> does not"
        for word, loser in [("hello", "hello"), ("hey", "hi")]
    ]
    lines = ask(client, "help").splitlines()
    assert "try: Tries." in lines
    assert "hello: Says hello." not in lines
    assert ask(client, "help hello") == "try (hello, hey too): Tries."
    assert ask(client, "help hi") == "hi: Says hello as friends do."


def test_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Other people's commands come before those of wsplug, by their modules' names.
    """
    registered = []
    for module in ("wsplug.apps.bot.commands", "zoo", "wsplugged", "anteater"):
        made = answering(module)
        made.__module__ = module
        registered.append(made)
    monkeypatch.setattr(dropins, "findPlugins", lambda interface: registered)
    found = [each.respond("", None) for each in vocabulary.findPlugins()]  # type: ignore[arg-type]
    assert found == ["anteater", "wsplugged", "zoo", "wsplug.apps.bot.commands"]


def test_twiceTheSame(logs: Logs) -> None:
    """
    The same command twice is no matter.
    """
    own = answering("mine")
    own.words = ("try", "try")
    _, client = serveBot(own, own)
    assert ask(client, "help try") == "try: Tries."
    assert logs.lines("two commands") == []


def test_capitals() -> None:
    """
    Words of other alphabets are found in any case, and however they are composed.
    """
    own = answering("yes")
    own.words = ("grüße", "привет", "i̇stanbul", "ή")
    _, client = serveBot(own)
    for word in ("GRÜSSE", "gru\u0308ße", "ПРИВЕТ!", "İstanbul", "Ή"):
        assert ask(client, word) == "yes"


class _Broken:
    words: Any = ("broken",)
    help: Any = "Is broken."

    def respond(self, arguments: str, conversation: IConversation) -> str:
        return "no"

    def __repr__(self) -> str:
        return "<broken>"


def _broken(**attributes: Any) -> Any:
    return implementer(ICommand)(type("Broken", (_Broken,), attributes))()


def _raising(self: object) -> Any:
    raise _Failed("computed")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (_Broken(), "Does not declaratively implement"),
        (_broken(words="broken"), "words must be a list or tuple of words"),
        (_broken(words=None), "words must be a list or tuple of words"),
        (_broken(words=[]), "words must be a list or tuple of words"),
        (_broken(words=["Broken"]), "a word must be lower case without spaces"),
        (_broken(help=None), "help must be one line of text"),
        (_broken(respond=lambda self: "no"), "is violated because"),
        (_broken(respond=None), "is violated because"),
        (_broken(words=property(_raising)), "computed"),
    ],
)
def test_brokenContract(logs: Logs, command: Any, reason: str) -> None:
    """
    What breaks the contract is left out, and named in the log; the others are there.
    """
    _, client = serveBot(command)
    assert ask(client, "broken") == "You have entered: broken"
    assert ask(client, "hello") == "Hello, human!"
    assert ask(client, "help")
    (line,) = logs.lines("command")
    assert line.startswith("the command <broken> is left out: ")
    assert reason in line


# The list for pages


def test_commandsResource() -> None:
    """
    C{commands.json} has the commands, with the words that are theirs, in the order of
    the alphabet.
    """
    own = answering("mine")
    own.words = ("try", "hey")
    server, _ = serveBot(own)
    response = server.request("GET", "/commands.json")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-cache"
    commands = json.loads(response.body)["commands"]
    words = [each["words"] for each in commands]
    assert words == sorted(words)
    assert {"words": ["try", "hey"], "help": "Tries."} in commands
    assert {"words": ["hi"], "help": "Says hello as friends do."} in commands
    assert len(commands) == len(BUNDLED) + 1
    assert server.request("HEAD", "/commands.json").body == b""
    assert server.request("POST", "/commands.json").status == 405


def test_pages() -> None:
    """
    The page and what it is made of are there, below any path, and nothing else is.
    """
    server = MemoryServer(CommandBot(BUNDLED), path="/a/bot")
    for name in ("", "index.html", "bot.js", "bot.css", "commands.json", "-/page.js"):
        assert server.request("GET", f"/a/bot/{name}").status == 200, name
    for name in ("application.py", "../application.py", "commands.json/x", "%00"):
        assert server.request("GET", f"/a/bot/{name}").status == 404, name


def test_noCommands() -> None:
    """
    A bot without any command gives back what it gets.
    """
    client = MemoryServer(CommandBot([])).connect()
    assert ask(client, "hello") == "You have entered: hello"


def test_bundledOnesAreDeclared() -> None:
    """
    Those that come with the bot are commands like others.
    """
    for each in BUNDLED:
        assert isinstance(each, DeclaredCommand)
        ICommand.validateInvariants(each)
