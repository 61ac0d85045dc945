"""
The contracts of wsplug: every zope interface, and nothing else.

An application is written against three of them: L{IWebSocketApplication} lives as long
as the server does and makes one L{IWebSocketProtocol} for each connection, which is
given an L{IWebSocketTransport} to answer through. L{IWebSocketApplicationPlugin} gives
an application its word for C{--app}. An L{ICommand} is a word that the command bot
answers to. An L{IPlainResource} answers plain HTTP requests.

The dialect is that of C{twisted.web.websocket}: what is written for that runs here,
with handlers that overlap as they do there; L{IHandlerRules} tells when they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from twisted.cred.credentials import ICredentials
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from zope.interface import Attribute, Interface, Invalid, taggedValue

from wsplug.options import Option

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from wsplug.broker.publication import History, Position, Publication
    from wsplug.errors import Side
    from wsplug.plain import Response

__all__ = [
    "IAvatar",
    "IBearerToken",
    "IBroker",
    "ICommand",
    "IConversation",
    "IHandlerRules",
    "IHandshakeRequest",
    "INoticeReceiver",
    "IPlainRequest",
    "IPlainResource",
    "IPreparedMessage",
    "IServerConnection",
    "IServices",
    "ISubscriber",
    "IWebSocketApplication",
    "IWebSocketApplicationPlugin",
    "IWebSocketProtocol",
    "IWebSocketTransport",
]


class IHandshakeRequest(Interface):
    """
    The request that opened, or asks to open, a connection. Where C{twisted.web} has a
    name for something, it is the name here.
    """

    method: bytes = Attribute("C{b'GET'}.")
    uri: bytes = Attribute("The request's target as it was sent, query and all.")
    path: bytes = Attribute("The path as it was sent: percent-encoded, no query.")
    prepath: list[bytes] = Attribute(
        "The segments of the path that the application is mounted at, decoded."
    )
    postpath: list[bytes] = Attribute(
        "The segments behind those, decoded: they are the application's own. "
        "C{/chat/lobby} gives C{[b'lobby']} to what is mounted at C{/chat}."
    )
    segments: tuple[str, ...] = Attribute(
        "C{postpath} as text, without empty segments; what is no UTF-8 has "
        "replacement characters."
    )
    args: dict[bytes, list[bytes]] = Attribute("The query's names and values, decoded.")
    requestHeaders: Headers = Attribute("The request's headers.")
    responseHeaders: Headers = Attribute(
        "What C{buildProtocol} puts in here is sent with the 101. The handshake's own "
        "headers can't be changed."
    )
    subprotocols: tuple[str, ...] = Attribute(
        "The subprotocols that the client offers, its preferred first."
    )
    subprotocol: str | None = Attribute(
        "The one that was chosen. C{buildProtocol} may set it, to one of those "
        "offered: anything else is a C{ValueError}. Where it doesn't, it is the first "
        "offered one that the application names."
    )
    clientCertificate: Certificate | None = Attribute(
        "The certificate that the client has shown, and that an authority of "
        "C{tls-client-ca} has signed, as a C{cryptography.x509.Certificate}; C{None} "
        "where it has shown none, or wasn't asked. C{subject.rfc4514_string()} is its "
        "name."
    )
    avatar: object = Attribute(
        "Who the client proved to be: what the realm has given, an "
        "L{wsplug.auth.Avatar} unless it is one's own. C{None} for nobody."
    )

    def getHeader(name: bytes) -> bytes | None:
        """
        Give a request header's last value.

        @param name: in any case.
        """

    def getCookie(name: bytes) -> bytes | None:
        """
        Give a cookie's value as it was sent.
        """

    def getClientAddress() -> IAddress:
        """
        Give the client's address: of whom the connection is from or, where that is a
        trusted proxy, of whom the proxy names.

        @return: an C{IPv4Address} or C{IPv6Address}, with port 0 where a proxy didn't
            say which; a C{UNIXAddress} for one that came through a UNIX socket.
        """

    def getHost() -> IAddress:
        """
        Give the address of the server's own socket: behind a proxy, the one that the
        proxy connected to.
        """

    def isSecure() -> bool:
        """
        Tell whether the client uses TLS: to the server itself or, where it came by a
        trusted proxy that says so, to the proxy.
        """


class IBearerToken(ICredentials, Interface):
    """
    A token that says who its bearer is (RFC 6750).
    """

    token: bytes = Attribute("The token, in ASCII.")
    lasts: float | None = Attribute(
        "A checker sets this to the seconds that the token is good for from now on: "
        "then the connection is closed. C{None} for no end."
    )


class IAvatar(Interface):
    """
    Who a client proved to be. It is what a realm is asked for; whatever the realm gives
    then is what the application finds as C{request.avatar}.
    """

    name: str = Attribute("The name, for the log.")


class IPreparedMessage(Interface):
    """
    A message that goes to many connections: framed once, and compressed once for all
    that agreed on the same. L{wsplug.server.prepared.PreparedMessage} makes one.
    """

    isText: bool = Attribute("Whether it is a text message.")
    payload: bytes = Attribute("Its payload; UTF-8 if it is text.")

    def frame(deflater: Any) -> bytes:
        """
        Give the whole frame for a connection. Transports call this.

        @param deflater: the connection's L{wsplug.codec.Deflater}, one that takes
            nothing over; C{None} for no compression.
        """


class IWebSocketTransport(Interface):
    """
    A connection, as its application sees it.

    Sending never blocks and never waits: what the network doesn't take at once is kept
    in order, up to the send limit, and what is sent in one turn of the reactor on top
    of it. Who has much to send waits for C{whenDrained} now and then. Once the
    connection is closing, whatever is sent is dropped in silence, as by any Twisted
    transport.
    """

    request: IHandshakeRequest = Attribute("The request that opened the connection.")
    bytesWaiting: int = Attribute(
        "How many bytes wait to be sent because the peer doesn't read them, at most: "
        "0 where nothing holds it up."
    )

    def sendTextMessage(text: str) -> None:
        """
        Send a text message.

        @param text: a C{str}, or an instance of a subclass.
        @raise UnicodeEncodeError: it holds lone surrogates, which no UTF-8 has.
        @raise TypeError: it is no text.
        """

    def sendBytesMessage(data: bytes) -> None:
        """
        Send a binary message.

        @param data: C{bytes} or another bytes-like object; may be changed by its owner
            as soon as this returns.
        @raise TypeError: it is something else, as a number or a list.
        """

    def sendPreparedMessage(message: IPreparedMessage) -> None:
        """
        Send a message that goes to other connections too.

        @param message: a L{wsplug.server.prepared.PreparedMessage}.
        @raise TypeError: it is something else.
        """

    def ping(payload: bytes = b"") -> None:
        """
        Send a ping. The answer comes to C{pongReceived}.

        @raise ValueError: the payload has over 125 bytes (RFC 6455 section 5.5).
        @raise TypeError: it isn't bytes-like.
        """

    def loseConnection(code: int | None = 1000, reason: str | None = "") -> None:
        """
        Close, once all that was sent before is on its way: a close frame goes out, and
        the connection ends when the peer has answered it, or hasn't in time. No
        message is delivered any more.

        @param code: 1000 to 1014 without 1004 to 1006, or 3000 to 4999; C{None} for a
            close frame without one.
        @param reason: cut to 123 bytes of UTF-8; C{None} is none.
        @raise ValueError: the code may not be sent (RFC 6455 section 7.4), or there is
            a reason without one. Nothing has changed then.
        @raise TypeError: the code is no whole number, or the reason no text; the same.
        """

    def abortConnection() -> None:
        """
        End the connection at once; what waits to be sent is lost.
        """

    def whenDrained() -> Deferred[None]:
        """
        Wait until the network has room: until all that was sent before this call has
        been handed to the kernel, or to Twisted's transport where one is in between
        (TLS, UNIX sockets) and has less than 64 KiB left of it. It is the moment in
        which C{bytesWaiting} is 0. Where it is so now, what is returned has fired.

        @return: fires with C{None}; fails with the L{wsplug.errors.ConnectionClosed}
            that C{connectionLost} gets if the connection is lost first, or was before.
            It may be cancelled. What fails behind it, and isn't handled within a turn
            of the reactor, is the application's failure: it is logged, and the
            connection is closed with 1011.
        """

    def attachProducer(producer: IPushProducer) -> None:
        """
        Have a producer told when to pause, because the peer doesn't read what it is
        sent, and when to go on.

        @raise RuntimeError: another one is attached.
        """

    def detachProducer() -> None:
        """
        Tell the attached producer nothing more.
        """


class IServerConnection(IWebSocketTransport):
    """
    A connection, as the server and its operators see it. Each transport of a server
    provides it.
    """

    name: str = Attribute("The name of the application that serves it.")
    opened: float = Attribute(
        "When the handshake was answered, in seconds of the server's clock."
    )

    def close(code: int, reason: str, side: Side, setting: str | None = None) -> None:
        """
        Start the closing handshake (RFC 6455 section 7.1.2), as C{loseConnection} does,
        and say who closes and why. It does nothing if the connection is closing.

        @param code: a code that may be sent (RFC 6455 section 7.4).
        @param reason: cut to 123 bytes of UTF-8.
        @param side: who closes; C{Side.SERVER} for operators.
        @param setting: the setting or the role behind it, for the log, the metrics and
            C{connectionLost}: C{"operator"}.
        @raise ValueError: the code may not be sent.
        """

    def notify(text: str) -> bool:
        """
        Give the client a notice of the operator's, in the way of its application: see
        L{INoticeReceiver}.

        @return: whether the application can do so, and the connection is open.
        """


class IWebSocketProtocol(Interface):
    """
    One connection of an application. The application's author writes it;
    L{wsplug.WebSocketProtocol} has an empty one to start from.

    Each method but C{negotiationStarted} may return a C{Deferred} or a coroutine: then
    nothing more is delivered to it, and hardly anything more is read from the
    connection, until that has fired.

    If the connection is lost before, what it returned is cancelled, in the turn of the
    reactor behind C{connectionLost}, unless the method had closed the connection itself
    before it returned. A peer that has ended the
    connection in order while more waits to be delivered counts as lost only when a
    method then takes longer than the close timeout. If a method takes longer than the
    handler timeout, the connection is closed with 1011, and what it returned is
    cancelled, too. What has to be done in any case goes into L{wsplug.shielded}.
    L{IHandlerRules} says otherwise for an application.

    If a method raises, or what it returned fails, the traceback is logged, the
    connection is closed with 1011, and nothing else happens to anybody.
    """

    def negotiationStarted(transport: IWebSocketTransport) -> None:
        """
        The handshake was right, and the answer to it is on its way. What is sent from
        here on arrives behind it.
        """

    def negotiationFinished() -> Any:
        """
        Messages can go both ways.
        """

    def textMessageReceived(message: str) -> Any:
        """
        A whole text message, within the size limit, has come.
        """

    def bytesMessageReceived(data: bytes) -> Any:
        """
        A whole binary message, within the size limit, has come. It belongs to the
        application.
        """

    def pongReceived(payload: bytes) -> Any:
        """
        The peer has answered a ping, or sent a pong on its own. The answers to
        wsplug's own pings don't come here.
        """

    def connectionLost(reason: Failure) -> Any:
        """
        The connection is gone: called once, last, and always, if C{negotiationStarted}
        was.

        @param reason: its value is a L{wsplug.errors.ConnectionClosed}: who closed,
            with which code and reason, and which setting did it. It is a Twisted
            C{ConnectionDone} too where both sides closed in order, else a
            C{ConnectionLost}.
        """


class INoticeReceiver(Interface):
    """
    What an L{IWebSocketProtocol} may have besides: its client can be told something by
    the server's operator, in whatever way the application tells things. Nobody has to
    declare it: it is the method that counts.
    """

    def noticeReceived(text: str) -> Any:
        """
        The operator has something to say to the client, as that the server is about to
        be restarted.

        @param text: up to 2000 characters, for a person.
        @return: C{None}, or what the next message waits for, as from other methods.
        """


class IWebSocketApplication(Interface):
    """
    What is mounted at a path. It lives as long as the server.

    Nobody has to declare it: it is what an object has that counts. Only
    C{buildProtocol} is needed; what else is missing is as where there is nothing to do.
    """

    subprotocols: Sequence[str] = Attribute(
        "The names of the subprotocols that it speaks; empty for none."
    )
    pages: str | PathLike[str] | IPlainResource | IResource | None = Attribute(
        "What plain HTTP requests for its path get: the path of a folder of pages, an "
        "L{IPlainResource}, or a C{twisted.web} resource that answers; C{None} for "
        "none: those get a 426 then. It is judged when the application is mounted and "
        "when it has started. The C{maxBodySize} of a resource of C{twisted.web} says "
        "how many bytes a request's body may have, 1 MiB where there is none: over it, "
        "requests get a 413 at once. Forms are parsed into C{request.args} only where "
        "its C{parsesForms} is true."
    )

    def buildProtocol(request: IHandshakeRequest) -> Any:
        """
        Make what serves one connection.

        @return: an L{IWebSocketProtocol}, or a C{Deferred} or coroutine that gives
            one; the client waits for it, no longer than the open timeout.
        @raise wsplug.errors.HandshakeRefused: the client gets this HTTP status,
            headers and body instead.
        """

    def startApplication() -> Any:
        """
        The server starts. It may be listening already, but serves nobody yet.

        @return: C{None}, or a C{Deferred} or coroutine: the server serves once it has
            fired, and ends with an error if it fails. It is cancelled where the server
            stops meanwhile and it isn't over within the stop timeout.
        """

    def stopApplication() -> Any:
        """
        The server has closed all connections, and is about to end.

        @return: C{None}, or a C{Deferred} or coroutine that the end waits for. It is
            cancelled after the C{stop-timeout}, and when somebody is in a hurry.
        """


class IPlainRequest(IHandshakeRequest):
    """
    A plain HTTP request that an L{IPlainResource} answers. It offers no subprotocol,
    and nothing is sent of its C{responseHeaders}.
    """

    content: bytes = Attribute(
        "Its body; empty where it has none, and until it has been taken."
    )

    def getHeaders(name: bytes) -> Sequence[bytes]:
        """
        Give each value of a request header.

        @param name: in lower case.
        """


class IPlainResource(Interface):
    """
    What answers plain HTTP requests without C{twisted.web}: it is given a request once
    the whole body is there, and gives the whole answer back.
    L{wsplug.plain.PlainResource} has all of it but C{respond}.
    """

    maxBodySize: int = Attribute(
        "Bytes that a request's body may have: over it, requests get a 413, before "
        "anything of the body is read. Where it is 0, that is each that has one."
    )

    def find(request: IPlainRequest) -> IPlainResource | None:
        """
        Find what answers a request, by C{request.postpath}: this one, or something
        below it.

        @return: C{None} where there is nothing: that is a 404.
        """

    def judge(request: IPlainRequest) -> Response | None:
        """
        Look at a request's head, while nothing of its body has been taken.

        @return: the answer to one whose body isn't wanted; C{None} to take it.
        @raise wsplug.errors.HandshakeRefused: another way to answer.
        """

    def respond(request: IPlainRequest) -> Any:
        """
        Answer a request.

        @return: a L{wsplug.plain.Response}, or a C{Deferred} or coroutine that gives
            one.
        @raise wsplug.errors.HandshakeRefused: another way to answer.
        """


class IHandlerRules(Interface):
    """
    What an L{IWebSocketApplication} may have besides: how the methods of its protocols
    are treated that return a C{Deferred} or a coroutine. Nobody has to declare it: it
    is the attributes that count.
    """

    handlersOverlap: bool = Attribute(
        "Whether they overlap, as in C{twisted.web.websocket}: the next message is "
        "delivered at once, though the last one's method isn't done; what that has "
        "returned is waited for by nobody, and not cancelled, but if it fails the "
        "connection is closed with 1011. Without it, they do for what is written for "
        "C{twisted.web.websocket}: where neither the application declares "
        "L{IWebSocketApplication} nor the protocol L{IWebSocketProtocol}. What a mount "
        "says goes first: the C{overlap} of L{wsplug.server.mounts.Mount}."
    )
    handlerTimeout: float | None = Attribute(
        "Seconds that they may take, 0 for any time, C{None} for the server's "
        "C{handler-timeout}."
    )


class ISubscriber(Interface):
    """
    Who is called for what is published in a channel. It must be hashable.
    """

    def published(channel: str, publication: Publication) -> None:
        """
        Something was published. The calls for a channel come in the order of
        publishing, and soon: they may not take long.
        """


class IBroker(Interface):
    """
    Channels: what is published to one goes to all who subscribe to it, and is kept for
    a while for those who come back. A channel is there as soon as somebody speaks of
    it, and forgotten when nobody does and nothing is kept of it.

    Several servers may share the channels of a broker that can do so. A server gets
    each publication once, however many clients of its own want it; sending it to them
    is its own affair.

    All Deferreds fail with L{wsplug.errors.BrokerError} where what the channels are
    kept in fails.
    """

    def start() -> Deferred[None]:
        """
        Be ready. The server calls it once, before its applications start.

        @return: fires once it is, or fails with L{wsplug.errors.StartupError}.
        """

    def stop() -> Deferred[None]:
        """
        Let go of everything. The server calls it once, after its applications have
        stopped.

        @return: fires once what was published is where it stays.
        """

    def publish(channel: str, data: bytes, store: bool = True) -> Deferred[Publication]:
        """
        Publish something.

        @param data: C{bytes}, or another bytes-like object; passes through untouched.
        @param store: whether it is kept; what is of the moment, as that somebody is
            typing, needn't be.
        @return: fires with the publication once it is stored as well as this broker
            stores, and has gone to this server's subscribers; fails with
            L{wsplug.errors.PublicationTooLarge} where it is to be stored and is by
            itself more than a channel keeps.
        @raise TypeError: the channel's name is no text, or the data isn't bytes-like:
            nothing has happened then. The same goes for C{enter} and C{update}.
        """

    def subscribe(channel: str, subscriber: ISubscriber) -> Deferred[Position]:
        """
        Have a subscriber called for all that is published from now on. It is called
        once for each, however often it subscribes.

        @return: fires with the position from which on it is called. Calls may come
            before that.
        """

    def unsubscribe(channel: str, subscriber: ISubscriber) -> Deferred[None]:
        """
        Have it called no more. It isn't, from this call on; fine if it never was.

        @return: fires once nobody else's work is done for it either.
        """

    def history(
        channel: str, since: Position | None = None, limit: int | None = None
    ) -> Deferred[History]:
        """
        Read what is kept.

        @param since: give what comes behind this position, so that a client that was
            there has all again; without it, the end of what is kept.
        @param limit: give no more publications than this: the latest.
        @return: fires with what there is, the oldest first. Where C{isComplete} is
            false, it has the end of what is kept.
        """

    def enter(channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        """
        Be present in a channel.

        @param key: what nobody else there may have.
        @param info: what the others can know.
        @return: fires with whether the key was free, and is this server's now.
        """

    def update(channel: str, key: str, info: bytes) -> Deferred[bool]:
        """
        Change what the others can know.

        @return: fires with whether the key is present at all.
        """

    def leave(channel: str, key: str) -> Deferred[None]:
        """
        Be present no more; fine if it wasn't.

        @return: fires once the key is free.
        """

    def presence(channel: str) -> Deferred[Mapping[str, bytes]]:
        """
        Show who is present.

        @return: fires with what can be known, by key, in the order of entering.
        """


class IServices(Interface):
    """
    What the server has to offer to its applications.
    """

    reactor: Any = Attribute("The reactor that the server runs in.")
    clock: Any = Attribute(
        "An C{IReactorTime}: the reactor, or in tests a clock that they turn. Its "
        "C{seconds} are for how long something takes; for what time it is, see "
        "L{wsplug.clocks.timeOfDay}."
    )
    broker: IBroker = Attribute("The channels that all applications share.")
    logins: bool = Attribute(
        "Whether clients can log in here: then C{request.avatar} tells who has."
    )


class IWebSocketApplicationPlugin(IPlugin, Interface):
    """
    A kind of application, to be chosen with C{--app}.
    """

    name: str = Attribute("Its word for C{--app}: letters, digits, C{-} and C{_}.")
    help: str = Attribute("What it is for, in one line.")
    options: Sequence[Option] = Attribute("What can be set about it.")

    def makeApplication(
        options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        """
        Make an application.

        @param options: a value for each of C{options}, by name, of its type.
        @param services: what it may use.
        @raise wsplug.errors.InvalidOption: the values don't go together; the message
            says why.
        """


class IConversation(Interface):
    """
    One visitor's talk with the command bot, as its commands see it. It lasts as long
    as the connection does.
    """

    visitor: str | None = Attribute(
        "The visitor's name; C{None} as long as nobody has said it. Commands may set "
        "it, to what L{wsplug.apps.bot.sayable} has made of it."
    )
    request: IHandshakeRequest = Attribute("The request that opened the connection.")
    memory: dict[str, Any] = Attribute(
        "What commands keep of this conversation, by keys of their choice: empty at "
        "first, and gone at the end."
    )
    options: Mapping[str, Any] = Attribute("The bot's options, by name.")
    services: IServices = Attribute("What the server has to offer.")
    commands: Mapping[str, ICommand] = Attribute("All commands, by their words.")

    def close() -> None:
        """
        End the conversation, with the close code 1000: once the command that is at
        work has answered, or at once where none is.
        """


def _checkWords(command: Any) -> None:
    """
    Raise C{Invalid} for a command whose words or help can't be used.
    """
    words = command.words
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise Invalid(f"words has to be a list or tuple of words, not {words!r}")
    for word in words:
        if not isinstance(word, str) or word.split() != [word] or word != word.lower():
            raise Invalid(f"a word is in lower case and has no spaces, not {word!r}")
    if not isinstance(command.help, str) or "\n" in command.help:
        raise Invalid(f"help has to be one line of text, not {command.help!r}")


class ICommand(IPlugin, Interface):
    """
    A command of the command bot. L{wsplug.apps.bot.command} makes one of a function.
    """

    taggedValue("invariants", [_checkWords])

    words: Sequence[str] = Attribute(
        "The words that it answers to, in lower case and without spaces; the first one "
        "is its name."
    )
    help: str = Attribute("What it does, in one line.")

    def respond(arguments: str, conversation: IConversation) -> Any:
        """
        Answer a line that begins with one of the words.

        @param arguments: what is behind the word, without space around it; often
            empty.
        @return: a text; a list or tuple of texts, which are sent as that many
            messages; C{None} for no answer; or a C{Deferred} or coroutine of any of
            these. Until it fires, nothing more is read from the visitor. It is
            cancelled when it takes longer than the bot's C{timeout}, or when the
            connection is lost. Where this raises or that fails, the visitor gets an
            apology, and the log the traceback.
        """
