"""
What clients send to prove who they are, read from where it may be: the C{Authorization}
header, a cookie, the first message.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Final

import msgspec
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from zope.interface import implementer

from wsplug.interfaces import IBearerToken
from wsplug.jsontext import decodeJSON

__all__ = [
    "MAX_FIRST_MESSAGE_SIZE",
    "MAX_TOKEN_SIZE",
    "BearerToken",
    "FirstMessage",
    "LoginRefused",
    "UsernamePassword",
    "readAuthorization",
    "readFirstMessage",
    "readToken",
]

MAX_TOKEN_SIZE: Final = 8 * 1024
"""
Bytes that a token may have.
"""

MAX_FIRST_MESSAGE_SIZE: Final = MAX_TOKEN_SIZE + 1024
"""
Bytes that a message with a token may have.
"""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class LoginRefused(UnauthorizedLogin):
    """
    Credentials are no good, with a reason that the client may know. Checkers raise
    this, or any other C{UnauthorizedLogin}.

    @ivar reason: why: one line of ASCII that has nothing of the credentials.
    @ivar isGenuine: whether the credentials were made by who may make them, and only
        are no good now or here, as a token that has expired: then no other checker is
        asked.
    """

    def __init__(self, reason: str, isGenuine: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.isGenuine = isGenuine


@implementer(IUsernamePassword)
class UsernamePassword:
    """
    A name and a password. Other than Twisted's, it takes as long to compare any two
    passwords of a length.

    @ivar username: in UTF-8.
    @ivar password: in UTF-8.
    """

    __slots__ = ("password", "username")

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.password = password

    def checkPassword(self, password: bytes | str) -> bool:
        """
        Compare the password with the right one.
        """
        right = password.encode("utf-8") if isinstance(password, str) else password
        return hmac.compare_digest(self.password, right)


@implementer(IBearerToken)
class BearerToken:
    """
    A token: who has it is who it says.
    """

    __slots__ = ("lasts", "token")

    def __init__(self, token: bytes) -> None:
        self.token = token
        self.lasts: float | None = None


def readAuthorization(value: bytes) -> UsernamePassword | BearerToken | None:
    """
    Read an C{Authorization} header.

    @return: what is in it, for the schemes Basic (RFC 7617) and Bearer (RFC 6750);
        C{None} for others.
    @raise LoginRefused: it is malformed.
    """
    scheme, _, rest = value.strip(b" \t").partition(b" ")
    rest = rest.strip(b" ")
    if scheme.lower() == b"basic":
        return _readBasic(rest)
    if scheme.lower() == b"bearer":
        return readToken(rest)
    return None


def _readBasic(value: bytes) -> UsernamePassword:
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise LoginRefused("no name and password in base64 and UTF-8") from None
    name, colon, password = text.partition(":")
    # RFC 7617 section 2: no control characters in either.
    if not colon or _CONTROL.search(text):
        raise LoginRefused("no name and password")
    return UsernamePassword(name.encode("utf-8"), password.encode("utf-8"))


def readToken(token: bytes) -> BearerToken:
    """
    Take a token.

    @raise LoginRefused: it is none (RFC 6750 section 2.1), or is too long.
    """
    if len(token) > MAX_TOKEN_SIZE:
        raise LoginRefused(f"a token of over {MAX_TOKEN_SIZE} bytes")
    if not _TOKEN.fullmatch(token):
        raise LoginRefused("no token")
    return BearerToken(token)


class FirstMessage(msgspec.Struct, tag_field="type", tag="auth"):
    """
    The message that logs in.

    @ivar token: the token.
    @ivar request: what the client calls its request; the answer has the same.
    """

    token: str
    request: int | str | None = None


_firstMessage: Final = msgspec.json.Decoder(FirstMessage)


def readFirstMessage(text: str) -> FirstMessage:
    """
    Read the message that logs in.

    @raise LoginRefused: it is another one.
    """
    try:
        return decodeJSON(_firstMessage, text)
    except msgspec.DecodeError:
        raise LoginRefused("the first message is no token") from None
