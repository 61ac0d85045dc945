"""
A visitor's conversation with the bot: one command at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import WebSocketProtocol
from wsplug.apps.bot.vocabulary import findCommand
from wsplug.awaiting import maybeAwait
from wsplug.interfaces import (
    ICommand,
    IConversation,
    IHandshakeRequest,
    IServices,
)

__all__ = ["Conversation"]

_NOTHING = "You have entered nothing. Type help to see what I know."

_BINARY = "I can't read binary messages. Send me text, please."


@implementer(IConversation)
class Conversation(WebSocketProtocol):
    """
    The protocol of a connection, and the conversation that commands get.
    """

    _log = Logger()

    def __init__(
        self,
        request: IHandshakeRequest,
        options: Mapping[str, Any],
        services: IServices,
        commands: Mapping[str, ICommand],
    ) -> None:
        self.visitor: str | None = None
        self.request = request
        self.memory: dict[str, Any] = {}
        self.options = options
        self.services = services
        self.commands = commands
        # While a command is running: what the next line waits for, the command's
        # Deferred, and its timeout.
        self._over: Deferred[None] | None = None
        self._running: Deferred[Any] | None = None
        self._deadline: IDelayedCall | None = None
        self._closing = False

    # The protocol

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        limit: int = self.options["max-length"]
        if len(message) > limit:
            self._say(
                f"That is too long for me: it has {len(message)} characters, and I "
                f"read at most {limit}."
            )
            return None
        line = message.strip()
        if not line:
            self._say(_NOTHING)
            return None
        word, arguments = [*line.split(None, 1), ""][:2]
        command = findCommand(self.commands, word)
        if command is None:
            self._say(f"You have entered: {line}")
            return None
        return self._ask(command, arguments)

    def bytesMessageReceived(self, data: bytes) -> None:
        self._say(_BINARY)

    def noticeReceived(self, text: str) -> None:
        self._say(text)

    def connectionLost(self, reason: Failure) -> None:
        running = self._running
        over = self._end()
        if running is not None:
            self._cancel(running)
        if over is not None:
            over.callback(None)

    # For commands

    def close(self) -> None:
        self._closing = True
        if self._over is None:
            self.transport.loseConnection()

    # Running a command

    def _ask(self, command: ICommand, arguments: str) -> Deferred[None]:
        """
        Run a command.

        @return: fires when it has answered, failed or timed out, or when the visitor
            has left.
        """
        word = command.words[0]
        over: Deferred[None] = Deferred()
        self._over = over
        running: Deferred[Any] = maybeAwait(command.respond, arguments, self)
        running.addCallback(self._answer, over)
        running.addErrback(self._failed, word, over)
        if self._over is not over:
            # It is over already. If that is because the visitor has left, the command
            # may still be running.
            self._cancel(running)
            return over
        self._running = running
        timeout = self.options["timeout"]
        if timeout:
            clock = self.services.clock
            self._deadline = clock.callLater(timeout, self._giveUp, word)
        return over

    def _answer(self, result: Any, over: Deferred[None]) -> None:
        texts = _textsOf(result)
        if self._over is over:
            for text in texts:
                self._say(text)
            self._resume(self._end())

    def _failed(self, failure: Failure, word: str, over: Deferred[None]) -> None:
        if self._over is over:
            self._log.failure("the command {word!r} failed", failure, word=word)
            self._say(f"Sorry, something went wrong with {word}. It is not your fault.")
            self._resume(self._end())
        elif not failure.check(CancelledError):
            # It was cancelled, and probably converted the CancelledError.
            self._log.debug(
                "the cancelled command {word!r} ended with {error}",
                word=word,
                error=failure.getErrorMessage(),
            )
        # The frames in its traceback refer to the connection.
        failure.cleanFailure()

    def _giveUp(self, word: str) -> None:
        self._deadline = None
        timeout = self.options["timeout"]
        self._log.warn(
            "the command {word!r} took longer than {timeout:g} seconds",
            word=word,
            timeout=timeout,
        )
        self._say(
            f"Sorry, {word} takes too long: I have given up on it after {timeout:g} "
            "seconds."
        )
        running = self._running
        over = self._end()
        assert running is not None
        self._cancel(running)
        self._resume(over)

    def _end(self) -> Deferred[None] | None:
        """
        Forget the running command.

        @return: what the next line waits for.
        """
        over, self._over = self._over, None
        deadline, self._deadline = self._deadline, None
        self._running = None
        if deadline is not None:
            deadline.cancel()
        return over

    def _resume(self, over: Deferred[None] | None) -> None:
        if self._closing:
            self.transport.loseConnection()
        if over is not None:
            over.callback(None)

    def _cancel(self, running: Deferred[Any]) -> None:
        try:
            running.cancel()
        except BaseException:
            # The canceller is the command's own code.
            self._log.failure("a command's Deferred could not be cancelled")

    def _say(self, text: str) -> None:
        self.transport.sendTextMessage(text)


def _textsOf(result: Any) -> list[str]:
    """
    Return the texts of a command's answer.

    @raise TypeError: it isn't a text.
    """
    if result is None:
        return []
    texts = list(result) if isinstance(result, (list, tuple)) else [result]
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"a command answers with text, not {text!r}")
    return texts
