"""
Credentials that clients send: in the C{Authorization} header, in a cookie, or in the
first message.
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
The maximum size of a token, in bytes.
"""

MAX_FIRST_MESSAGE_SIZE: Final = MAX_TOKEN_SIZE + 1024
"""
The maximum size of a first message with a token, in bytes.
"""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class LoginRefused(UnauthorizedLogin):
    """
    Credentials are wrong, for a reason that the client may know. Checkers raise this,
    or any other C{UnauthorizedLogin}.

    @ivar reason: why: one line of ASCII that doesn't quote the credentials.
    @ivar isGenuine: whether the credentials are authentic, but not valid now or here,
        such as an expired token. No other checker is asked then.
    """

    def __init__(self, reason: str, isGenuine: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.isGenuine = isGenuine


@implementer(IUsernamePassword)
class UsernamePassword:
    """
    A name and a password. Unlike with Twisted's class, passwords are compared in
    constant time.

    @ivar username: in UTF-8.
    @ivar password: in UTF-8.
    """

    __slots__ = ("password", "username")

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.password = password

    def checkPassword(self, password: bytes | str) -> bool:
        """
        Return whether the password is the right one.
        """
        right = password.encode("utf-8") if isinstance(password, str) else password
        return hmac.compare_digest(self.password, right)


@implementer(IBearerToken)
class BearerToken:
    """
    A bearer token.
    """

    __slots__ = ("lasts", "token")

    def __init__(self, token: bytes) -> None:
        self.token = token
        self.lasts: float | None = None


def readAuthorization(value: bytes) -> UsernamePassword | BearerToken | None:
    """
    Parse an C{Authorization} header.

    @return: the credentials, for the schemes Basic (RFC 7617) and Bearer (RFC 6750);
        C{None} for other schemes.
    @raise LoginRefused: the header is malformed.
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
        raise LoginRefused("malformed Basic credentials") from None
    name, colon, password = text.partition(":")
    # RFC 7617 section 2: no control characters in either.
    if not colon or _CONTROL.search(text):
        raise LoginRefused("malformed name and password")
    return UsernamePassword(name.encode("utf-8"), password.encode("utf-8"))


def readToken(token: bytes) -> BearerToken:
    """
    Check the syntax of a token.

    @raise LoginRefused: it is malformed (RFC 6750 section 2.1), or too long.
    """
    if len(token) > MAX_TOKEN_SIZE:
        raise LoginRefused(f"the token is over {MAX_TOKEN_SIZE} bytes")
    if not _TOKEN.fullmatch(token):
        raise LoginRefused("malformed token")
    return BearerToken(token)


class FirstMessage(msgspec.Struct, tag_field="type", tag="auth"):
    """
    The message that logs in.

    @ivar token: the token.
    @ivar request: the client's ID for the request, which the answer repeats.
    """

    token: str
    request: int | str | None = None


_firstMessage: Final = msgspec.json.Decoder(FirstMessage)


def readFirstMessage(text: str) -> FirstMessage:
    """
    Parse the message that logs in.

    @raise LoginRefused: it is another message.
    """
    try:
        return decodeJSON(_firstMessage, text)
    except msgspec.DecodeError:
        raise LoginRefused("the first message must contain a token") from None
