"""
The zope interfaces of wsplug.

You write an application against three of them. An L{IWebSocketApplication} lives as
long as the server and makes an L{IWebSocketProtocol} for each connection. The protocol
sends through an L{IWebSocketTransport}. An L{IWebSocketApplicationPlugin} makes the
application available to C{--app}. An L{ICommand} is a command of the command bot. An
L{IPlainResource} answers plain HTTP requests.

The methods have the names that they have in C{twisted.web.websocket}. Applications
written for that run here, and their handlers overlap as they do there: see
L{IHandlerRules}.
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

    from wsplug.broker.publication import ChannelState, History, Position, Publication
    from wsplug.broker.retention import ChannelRetention
    from wsplug.errors import Side
    from wsplug.responses import Response

__all__ = [
    "IAvatar",
    "IBearerToken",
    "IBroker",
    "ICommand",
    "IConversation",
    "IHandlerRules",
    "IHandshakeRequest",
    "IKeyValueStore",
    "IListsChannels",
    "INamesClient",
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
    The opening handshake's request. Names are those of C{twisted.web} where it has one.
    """

    method: bytes = Attribute("C{b'GET'}.")
    uri: bytes = Attribute("The request target as it was sent, with the query.")
    path: bytes = Attribute(
        "The path as it was sent: percent-encoded, without the query."
    )
    prepath: list[bytes] = Attribute(
        "The decoded segments of the path that the application is mounted at."
    )
    postpath: list[bytes] = Attribute(
        "The decoded segments after C{prepath}, which belong to the application. If it "
        "is mounted at C{/chat}, C{/chat/lobby} gives C{[b'lobby']}."
    )
    segments: tuple[str, ...] = Attribute(
        "C{postpath} as text, without empty segments. Replacement characters stand for "
        "what isn't UTF-8."
    )
    args: dict[bytes, list[bytes]] = Attribute(
        "The decoded names and values of the query."
    )
    requestHeaders: Headers = Attribute("The request's headers.")
    responseHeaders: Headers = Attribute(
        "Headers that C{buildProtocol} adds to the 101 response. The handshake's own "
        "headers can't be changed."
    )
    subprotocols: tuple[str, ...] = Attribute(
        "The subprotocols that the client offers, in order of preference."
    )
    subprotocol: str | None = Attribute(
        "The chosen subprotocol. C{buildProtocol} may set it to one of those offered; "
        "anything else is a C{ValueError}. By default, it is the first offered one "
        "that the application names."
    )
    clientCertificate: Certificate | None = Attribute(
        "The client's certificate, a C{cryptography.x509.Certificate} signed by an "
        "authority of C{tls-client-ca}. C{None} if the client sent none, or wasn't "
        "asked for one. C{subject.rfc4514_string()} is its name."
    )
    avatar: object = Attribute(
        "The authenticated user: the avatar that the realm returned, which is an "
        "L{wsplug.auth.Avatar} unless you use a realm of your own. C{None} if the "
        "client isn't authenticated."
    )

    def getHeader(name: bytes) -> bytes | None:
        """
        Return a request header's last value.

        @param name: the header's name; case doesn't matter.
        """

    def getCookie(name: bytes) -> bytes | None:
        """
        Return a cookie's value as it was sent.
        """

    def getClientAddress() -> IAddress:
        """
        Return the client's address. Behind a trusted proxy, it is the address that the
        proxy reports.

        @return: an C{IPv4Address} or C{IPv6Address}, with port 0 if a proxy didn't
            report the port; a C{UNIXAddress} for a UNIX socket.
        """

    def getHost() -> IAddress:
        """
        Return the address of the server's socket. Behind a proxy, it is the address
        that the proxy connected to.
        """

    def isSecure() -> bool:
        """
        Return whether the client uses TLS, with the server or, as a trusted proxy
        reports, with the proxy.
        """


class IBearerToken(ICredentials, Interface):
    """
    A bearer token (RFC 6750).
    """

    token: bytes = Attribute("The token, in ASCII.")
    lasts: float | None = Attribute(
        "Seconds for which the token remains valid, set by the checker. The connection "
        "is closed when they are over. C{None} if the token doesn't expire."
    )


class IAvatar(Interface):
    """
    An authenticated user. wsplug asks the realm for this interface. Applications find
    what the realm returns as C{request.avatar}.
    """

    name: str = Attribute("The user's name, for the log.")


class IPreparedMessage(Interface):
    """
    A message for many connections. It is framed once, and compressed once for all
    connections with the same compression. Make one with C{wsplug.PreparedMessage}.
    """

    isText: bool = Attribute("Whether it is a text message.")
    payload: bytes = Attribute("Its payload; UTF-8 if it is text.")

    def frame(deflater: Any) -> bytes:
        """
        Return the frame for a connection. Transports call this.

        @param deflater: the connection's L{wsplug.codec.Deflater} without context
            takeover; C{None} for no compression.
        """


class IWebSocketTransport(Interface):
    """
    A connection, as its application sees it.

    Sending never blocks. What the network doesn't take at once is queued in order, up
    to the send limit; what you send in one turn of the reactor may exceed that. If you
    have much to send, wait for C{whenDrained} now and then. Once the connection is
    closing, whatever you send is dropped silently, as by any Twisted transport.
    """

    request: IHandshakeRequest = Attribute("The request that opened the connection.")
    bufferedAmount: int = Attribute(
        "An upper bound of the bytes that wait to be sent because the peer doesn't "
        "read them. 0 if nothing waits."
    )

    def sendTextMessage(text: str) -> None:
        """
        Send a text message.

        @param text: a C{str}, or an instance of a subclass.
        @raise UnicodeEncodeError: the text has lone surrogates, which UTF-8 can't
            encode.
        @raise TypeError: it isn't a C{str}.
        """

    def sendBytesMessage(data: bytes) -> None:
        """
        Send a binary message.

        @param data: C{bytes} or another bytes-like object. You may change it once this
            has returned.
        @raise TypeError: it isn't bytes-like.
        """

    def sendPreparedMessage(message: IPreparedMessage) -> None:
        """
        Send a message that goes to other connections too.

        @param message: a C{wsplug.PreparedMessage}.
        @raise TypeError: it is something else.
        """

    def ping(payload: bytes = b"") -> None:
        """
        Send a ping. The answer is delivered to C{pongReceived}.

        @raise ValueError: the payload has over 125 bytes (RFC 6455 section 5.5).
        @raise TypeError: it isn't bytes-like.
        """

    def loseConnection(code: int | None = 1000, reason: str | None = "") -> None:
        """
        Start the closing handshake (RFC 6455 section 7.1.2). A close frame is sent
        after all earlier messages. The connection ends when the peer has answered, or
        after the close timeout. No further messages are delivered.

        @param code: a L{wsplug.CloseCode} that may be sent, or 3000 to 4999; C{None}
            for a close frame without a code.
        @param reason: cut to 123 bytes of UTF-8; C{None} for none.
        @raise ValueError: the code may not be sent (RFC 6455 section 7.4), or there is
            a reason without a code. The connection stays open.
        @raise TypeError: the code isn't an integer, or the reason isn't a C{str}. The
            connection stays open.
        """

    def abortConnection() -> None:
        """
        Drop the connection. What waits to be sent is lost.
        """

    def whenDrained() -> Deferred[None]:
        """
        Wait until C{bufferedAmount} is 0: the kernel has taken everything that was sent
        before this call. With TLS and UNIX sockets, Twisted's transport has taken it,
        and has less than 64 KiB left to send.

        @return: fires with C{None}, at once if nothing waits. It fails with the
            L{wsplug.errors.ConnectionClosed} that C{connectionLost} gets if the
            connection is lost. You may cancel it. If a callback fails, and you don't
            handle that within a turn of the reactor, it is the application's failure:
            it is logged, and the connection is closed with 1011.
        """

    def attachProducer(producer: IPushProducer) -> None:
        """
        Pause a producer while the peer doesn't read what it is sent, and resume it
        afterwards.

        @raise RuntimeError: another producer is attached.
        """

    def detachProducer() -> None:
        """
        Stop pausing and resuming the attached producer.
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

    clientName: str | None = Attribute(
        "What the application calls its client: see L{INamesClient}. C{None} where it "
        "has no name."
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
    What handles one connection of an application. You write it; the base class is
    L{wsplug.WebSocketProtocol}.

    Each method except C{negotiationStarted} may return a C{Deferred} or a coroutine.
    Then nothing more is delivered until it has fired, and reading pauses.

    If the connection is lost first, the C{Deferred} or coroutine is cancelled, one turn
    of the reactor after C{connectionLost}. It isn't cancelled if the method closed the
    connection before it returned. If the peer has closed the connection cleanly while
    messages wait to be delivered, they are delivered first: the connection counts as
    lost once a method takes longer than the close timeout. If a method takes longer
    than the handler timeout, the connection is closed with 1011 and what the method
    returned is cancelled. Use L{wsplug.shielded} for work that must not be cancelled.
    An application can change these rules: see L{IHandlerRules}.

    If a method raises, or what it returned fails, the traceback is logged and the
    connection is closed with 1011. Other connections aren't affected.
    """

    def negotiationStarted(transport: IWebSocketTransport) -> None:
        """
        The handshake has been accepted. What you send from now on follows the response.
        """

    def negotiationFinished() -> Any:
        """
        The connection is open: messages can be sent and received.
        """

    def textMessageReceived(message: str) -> Any:
        """
        A complete text message, within the size limit, has been received.
        """

    def bytesMessageReceived(data: bytes) -> Any:
        """
        A complete binary message, within the size limit, has been received. The
        application owns the data.
        """

    def pongReceived(payload: bytes) -> Any:
        """
        The peer has answered a ping of the application, or sent an unsolicited pong.
        Answers to wsplug's keepalive pings aren't delivered.
        """

    def connectionLost(reason: Failure) -> Any:
        """
        The connection is closed. This is always called after C{negotiationStarted},
        once, as the last method.

        @param reason: its value is a L{wsplug.errors.ConnectionClosed}, which has the
            side that closed, the code, the reason and the setting behind it. It is also
            a Twisted C{ConnectionDone} if both sides closed cleanly, else a
            C{ConnectionLost}.
        """


class INoticeReceiver(Interface):
    """
    An optional extension of L{IWebSocketProtocol}: the protocol passes on an operator's
    notices to its client, in the application's own format. You needn't declare the
    interface; having the method is enough.
    """

    def noticeReceived(text: str) -> Any:
        """
        The operator sends a notice, for example that the server will restart soon.

        @param text: up to 2000 characters, for a person to read.
        @return: C{None}, or a C{Deferred} or coroutine, as from other methods.
        """


class INamesClient(Interface):
    """
    An optional extension of L{IWebSocketProtocol}: the protocol knows how its client is
    called, so that operators find it. You needn't declare the interface; having the
    attribute is enough.
    """

    clientName: str | None = Attribute(
        "The name; C{None} or empty while it isn't known. Operators see the name of "
        "the avatar then, if there is one."
    )


class IWebSocketApplication(Interface):
    """
    An application, mounted at a path. It lives as long as the server. The base class is
    L{wsplug.WebSocketApplication}.

    You needn't declare the interface. Only C{buildProtocol} is required; if anything
    else is missing, the default of the base class applies.
    """

    subprotocols: Sequence[str] = Attribute(
        "The subprotocols that the application speaks; empty for none. The server "
        "takes the first one that the client offers and that is among them, unless "
        "C{buildProtocol} has chosen. C{'*'} stands for any subprotocol but those of "
        "wsplug, C{wsplug.…}, which have to be named. The mount may set others."
    )
    pages: str | PathLike[str] | IPlainResource | IResource | None = Attribute(
        "What answers plain HTTP requests for the application's path: the path of a "
        "folder of pages, an L{IPlainResource}, or a C{twisted.web} resource. With "
        "C{None}, browsers get a console, and others 426. It is checked when the "
        "application is mounted and again when it has started. The C{maxBodySize} of a "
        "C{twisted.web} resource is the limit in bytes for a request's body, 1 MiB by "
        "default; larger requests are answered with 413. Forms are parsed into "
        "C{request.args} only if the resource's C{parsesForms} is true."
    )

    def buildProtocol(request: IHandshakeRequest) -> Any:
        """
        Make the protocol for a connection.

        @return: an L{IWebSocketProtocol}, or a C{Deferred} or coroutine that results in
            one. The client waits for it, up to the open timeout.
        @raise wsplug.errors.HandshakeRefused: the handshake is answered with this HTTP
            status, headers and body.
        """

    def startApplication() -> Any:
        """
        The server starts. It may be listening already, but doesn't answer clients yet.

        @return: C{None}, or a C{Deferred} or coroutine. The server answers clients once
            it has fired, and ends with an error if it fails. It is cancelled if the
            server stops meanwhile and the stop timeout expires.
        """

    def stopApplication() -> Any:
        """
        The server has closed all connections and is about to stop.

        @return: C{None}, or a C{Deferred} or coroutine that the server waits for. It is
            cancelled after the C{stop-timeout}, or at a second signal.
        """


class IPlainRequest(IHandshakeRequest):
    """
    A plain HTTP request for an L{IPlainResource}. It offers no subprotocols, and its
    C{responseHeaders} aren't sent.
    """

    content: bytes = Attribute(
        "The request's body; empty without one, and until it has been read."
    )

    def getHeaders(name: bytes) -> Sequence[bytes]:
        """
        Return all values of a request header.

        @param name: the header's name in lower case.
        """


class IPlainResource(Interface):
    """
    A resource that answers plain HTTP requests without C{twisted.web}. It gets a
    request with its complete body, and returns a complete response. The base class is
    L{wsplug.plain.PlainResource}, which lacks only C{respond}.
    """

    maxBodySize: int = Attribute(
        "Bytes that a request's body may have. Larger requests, or with 0 all requests "
        "with a body, are answered with 413 before the body is read."
    )

    def find(request: IPlainRequest) -> IPlainResource | None:
        """
        Find the resource for a request by its C{postpath}: this one, or one below it.

        @return: C{None} if there is none, which is answered with 404.
        """

    def judge(request: IPlainRequest) -> Response | None:
        """
        Check a request's head before its body is read.

        @return: a response, if the body isn't needed; C{None} to read it.
        @raise wsplug.errors.HandshakeRefused: becomes the response.
        """

    def respond(request: IPlainRequest) -> Any:
        """
        Answer a request.

        @return: a L{wsplug.plain.Response}, or a C{Deferred} or coroutine that results
            in one. If that takes longer than C{handler-timeout}, the client is refused
            with 503. It isn't cancelled, then or when the client leaves.
        @raise wsplug.errors.HandshakeRefused: becomes the response.
        """


class IHandlerRules(Interface):
    """
    An optional extension of L{IWebSocketApplication}: rules for protocol methods that
    return a C{Deferred} or a coroutine. You needn't declare the interface; having the
    attributes is enough.
    """

    handlersOverlap: bool = Attribute(
        "Whether they overlap, as in C{twisted.web.websocket}: the next message is "
        "delivered although the method for the last one hasn't finished. What the "
        "method returned is neither waited for nor cancelled; if it fails, the "
        "connection is closed with 1011. The default is true for applications written "
        "for C{twisted.web.websocket}, which declare neither L{IWebSocketApplication} "
        "nor, on their protocols, L{IWebSocketProtocol}. The C{overlap} of a "
        "C{wsplug.Mount} takes precedence."
    )
    handlerTimeout: float | None = Attribute(
        "Seconds that they may take; 0 for no limit, C{None} for the server's "
        "C{handler-timeout}."
    )


class ISubscriber(Interface):
    """
    A subscriber of a channel. It must be hashable.
    """

    def published(channel: str, publication: Publication) -> None:
        """
        A publication has arrived. Calls for one channel come in the order of
        publishing. Return quickly.
        """


class IBroker(Interface):
    """
    Channels with publish and subscribe, history and presence. A channel exists as soon
    as it is used, and is forgotten when it has no subscribers, no history and nobody
    present.

    Servers may share a broker that supports it. A server gets each publication once,
    and sends it to its own clients.

    All Deferreds fail with L{wsplug.errors.BrokerError} if the broker's storage fails.
    """

    def start() -> Deferred[None]:
        """
        Start. The server calls this once, before its applications start.

        @return: fires when the broker is ready, or fails with
            L{wsplug.errors.StartupError}.
        """

    def stop() -> Deferred[None]:
        """
        Stop, and release all resources. The server calls this once, after its
        applications have stopped.

        @return: fires once everything published is stored.
        """

    def publish(
        channel: str,
        data: bytes,
        store: bool = True,
        retention: ChannelRetention | None = None,
    ) -> Deferred[Publication]:
        """
        Publish to a channel.

        @param data: C{bytes}, or another bytes-like object; it isn't interpreted.
        @param store: whether it is added to the channel's history. What matters only
            at the moment, such as typing notices, needn't be.
        @param retention: how much of the channel's history is kept from now on, if the
            publication is stored; C{None} for what was given last, or for the server's
            limits. The server's limit on all channels together always applies.
        @return: fires with the publication once it is stored, as durably as this broker
            stores, and has been delivered to this server's subscribers. It fails with
            L{wsplug.errors.PublicationTooLarge} if it is to be stored and exceeds
            what a channel keeps.
        @raise TypeError: the channel's name isn't a C{str}, or the data isn't
            bytes-like; nothing has been published. The same applies to C{enter} and
            C{update}.
        """

    def subscribe(channel: str, subscriber: ISubscriber) -> Deferred[Position]:
        """
        Subscribe to a channel. The subscriber is called once for each publication from
        now on, however often it subscribes.

        @return: fires with the position after which the subscriber gets everything.
            Calls may come before this fires.
        """

    def unsubscribe(channel: str, subscriber: ISubscriber) -> Deferred[None]:
        """
        Unsubscribe from a channel. The subscriber isn't called any more once this
        returns. It needn't be subscribed.

        @return: fires once the broker has released the subscription.
        """

    def history(
        channel: str, since: Position | None = None, limit: int | None = None
    ) -> Deferred[History]:
        """
        Read a channel's history.

        @param since: return the publications after this position, so that a client can
            recover what it has missed; without it, return the latest.
        @param limit: return at most this many, the latest ones.
        @return: fires with the history, oldest first. If its C{isComplete} is false,
            publications since the position are missing; it has the latest ones.
        """

    def enter(channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        """
        Enter a channel's presence.

        @param key: a key that is unique in the channel.
        @param info: data for others to read.
        @return: fires with whether the key was free; it belongs to this server then.
        """

    def update(channel: str, key: str, info: bytes) -> Deferred[bool]:
        """
        Change the data of a key that is present.

        @return: fires with whether the key is present.
        """

    def leave(channel: str, key: str) -> Deferred[None]:
        """
        Leave a channel's presence. The key needn't be present.

        @return: fires once the key is free.
        """

    def presence(channel: str) -> Deferred[Mapping[str, bytes]]:
        """
        Read a channel's presence.

        @return: fires with the data by key, in the order of entering.
        """

    def openStore(application: str) -> IKeyValueStore:
        """
        Return the store of an application: the same keys and values for the same name.

        @param application: the application's name.
        """


class IKeyValueStore(Interface):
    """
    A small store of keys and values, which an application has for itself. The broker
    keeps it beside its channels: what C{sqlite} stores outlives the process.

    Calls take effect in their order. All Deferreds fail with
    L{wsplug.errors.BrokerError} if the broker's storage fails.

    A key is a C{str} of at most 1024 bytes of UTF-8; anything else is a C{TypeError} or
    C{ValueError}.
    """

    def get(key: str) -> Deferred[bytes | None]:
        """
        Read a value.

        @return: fires with it; with C{None} if the key doesn't exist.
        """

    def set(key: str, value: bytes) -> Deferred[None]:
        """
        Set a value, whether the key exists or not.

        @param value: C{bytes}, or another bytes-like object.
        @return: fires once it is stored, as durably as the broker stores. It fails with
            L{wsplug.errors.StoreFull} if it doesn't fit; the old value stays.
        @raise TypeError: it isn't bytes-like.
        """

    def delete(key: str) -> Deferred[bool]:
        """
        Delete a key.

        @return: fires with whether it existed.
        """

    def items(prefix: str = "") -> Deferred[Mapping[str, bytes]]:
        """
        Read the values of all keys that begin with a prefix.

        @return: fires with the values by their keys, which are sorted.
        """


class IListsChannels(Interface):
    """
    An optional extension of L{IBroker}: it lists its channels for operators.
    """

    def listChannels(search: str, limit: int) -> Deferred[list[ChannelState]]:
        """
        List the channels that have subscribers on this server or a history.

        @param search: words that a name has to contain, in any case.
        @param limit: list at most this many: first those with the most subscribers,
            then those that were published to most recently.
        @return: fires with the channels.
        """


class IServices(Interface):
    """
    The services that the server provides to its applications.
    """

    reactor: Any = Attribute("The reactor that the server runs in.")
    clock: Any = Attribute(
        "An C{IReactorTime}: the reactor, or in tests a clock that the test advances. "
        "Use its C{seconds} to measure durations, and L{wsplug.clocks.timeOfDay} for "
        "the time of day."
    )
    broker: IBroker = Attribute("The broker that all applications share.")
    store: IKeyValueStore = Attribute(
        "The application's own store. Mounts of the same application share it."
    )
    logins: bool = Attribute(
        "Whether the server authenticates clients; C{request.avatar} is the user then."
    )


class IWebSocketApplicationPlugin(IPlugin, Interface):
    """
    A plugin that makes applications for C{--app}.
    """

    name: str = Attribute("The name for C{--app}: letters, digits, C{-} and C{_}.")
    help: str = Attribute("One line of help.")
    options: Sequence[Option] = Attribute("The application's options.")

    def makeApplication(
        options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        """
        Make an application.

        @param options: the parsed value of each option, by name.
        @param services: the server's services.
        @raise wsplug.errors.InvalidOption: the values contradict each other; the
            message says how.
        """


class IConversation(Interface):
    """
    A visitor's conversation with the command bot, as its commands see it. It lasts as
    long as the connection.
    """

    visitor: str | None = Attribute(
        "The visitor's name; C{None} until it is known. Commands may set it, to a "
        "name cleaned by L{wsplug.apps.bot.visitorName}."
    )
    request: IHandshakeRequest = Attribute("The request that opened the connection.")
    memory: dict[str, Any] = Attribute(
        "Data that commands keep for this conversation, under keys of their choice. "
        "It is empty at first."
    )
    options: Mapping[str, Any] = Attribute("The bot's options, by name.")
    services: IServices = Attribute("The server's services.")
    commands: Mapping[str, ICommand] = Attribute("All commands, by their words.")

    def close() -> None:
        """
        End the conversation with the close code 1000, once the running command, if any,
        has answered.
        """


def _checkWords(command: Any) -> None:
    """
    Raise C{Invalid} if a command's words or help can't be used.
    """
    words = command.words
    if isinstance(words, str) or not isinstance(words, Sequence) or not words:
        raise Invalid(f"words must be a list or tuple of words, not {words!r}")
    for word in words:
        if not isinstance(word, str) or word.split() != [word] or word != word.lower():
            raise Invalid(f"a word must be lower case without spaces, not {word!r}")
    if not isinstance(command.help, str) or "\n" in command.help:
        raise Invalid(f"help must be one line of text, not {command.help!r}")


class ICommand(IPlugin, Interface):
    """
    A command of the command bot. L{wsplug.apps.bot.command} makes one from a function.
    """

    taggedValue("invariants", [_checkWords])

    words: Sequence[str] = Attribute(
        "The words that the command answers to, in lower case and without spaces. The "
        "first one is its name."
    )
    help: str = Attribute("What the command does, in one line.")

    def respond(arguments: str, conversation: IConversation) -> Any:
        """
        Answer a line that starts with one of the words.

        @param arguments: the rest of the line, stripped; it may be empty.
        @return: a text; a list or tuple of texts, which are sent as separate messages;
            C{None} for no answer; or a C{Deferred} or coroutine that results in any of
            these. Nothing more is read from the visitor until it fires. It is cancelled
            if it takes longer than the bot's C{timeout}, or if the connection is lost.
            If the command fails, the visitor gets an apology, and the traceback is
            logged.
        """
