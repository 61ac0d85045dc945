"""
Signed tokens: C{--auth jwt:key=/path/to/key:algorithm=RS256} (RFC 7519, following the
best practices of RFC 8725).

PyJWT, from the extra C{jwt}, checks the signature. The algorithm is that of the option,
never that of the token: otherwise a token could be signed with the public key as a
secret, or not at all. Times are checked here, with the given clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.strcred import ICheckerFactory
from twisted.internet.defer import Deferred, execute
from twisted.plugin import IPlugin
from zope.interface import implementer

from wsplug.auth.credentials import LoginRefused
from wsplug.auth.realm import Identity
from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnIfExposed
from wsplug.interfaces import IBearerToken
from wsplug.options import (
    REQUIRED,
    Option,
    choice,
    delayUpTo,
    pairOptions,
    parseOptions,
    splitDescription,
    text,
)

__all__ = ["ALGORITHMS", "JWT_OPTIONS", "JWTChecker", "JWTCheckerFactory"]

_SECRETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""
The algorithms with a secret, and its minimum size in bytes (RFC 7518 section 3.2).
"""

_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1"}

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

_MIN_RSA_SIZE: Final = 2048
"""
The minimum size of an RSA key, in bits (RFC 7518 section 3.3).
"""

ALGORITHMS: Final = (*_SECRETS, *_RSA, *_CURVES, "EdDSA")

JWT_OPTIONS: Final = (
    Option("key", text, REQUIRED, "file with the secret, or the public key as PEM"),
    Option("algorithm", choice(*ALGORITHMS), REQUIRED, "the only accepted algorithm"),
    Option(
        "audience", text, "", "required in aud", "none: tokens with an aud are refused"
    ),
    Option("issuer", text, "", "the required iss", "any"),
    Option("kid", text, "", "the required kid of the header", "any"),
    Option("name", text, "sub", "the claim with the user's name"),
    Option("leeway", delayUpTo(3600), 10.0, "seconds that clocks may differ"),
    Option(
        "expiry",
        choice("close", "login", "no"),
        "close",
        "close: exp is required, and ends the connection; login: exp is required, and "
        "only checked at the login; no: like close, but exp may be missing",
    ),
)
"""
The options of C{jwt:}.
"""

_NO_TIME: Final = 253_402_300_800.0
"""
Seconds from 1970 to the year 10000. A larger number isn't a time in seconds; it may be
in milliseconds.
"""

_UNCHECKED: Final = (
    *("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"),
    *("verify_sub", "verify_jti"),
)
"""
The checks that PyJWT doesn't do: it would use the wall clock, and accepts some values
that aren't numbers.
"""


@implementer(ICredentialsChecker)
class JWTChecker:
    """
    Checks signed tokens.
    """

    credentialInterfaces = (IBearerToken,)

    def __init__(
        self, options: Mapping[str, Any], now: Callable[[], float] = time.time
    ) -> None:
        """
        @param options: a value for each of L{JWT_OPTIONS}.
        @param now: returns the seconds since 1970.
        @raise InvalidOption: the key can't be used, or PyJWT isn't installed.
        """
        self._options = options
        self._algorithm: str = options["algorithm"]
        self._leeway: float = options["leeway"]
        self._now = now
        self._key = _readKey(options["key"], self._algorithm)
        self._jwt = _importJWT()

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """
        Return the user of a token.

        @return: fires with an L{Identity}, or fails with L{LoginRefused}: the signature
            is wrong, or the token isn't valid here or now.
        """
        return execute(self._check, credentials)

    def _check(self, credentials: IBearerToken) -> Identity:
        header, claims = self._verify(credentials.token)
        self._checkHeader(header)
        expires = self._checkTimes(claims)
        self._checkIssuerAndAudience(claims)
        claim = self._options["name"]
        name = claims.get(claim)
        if not isinstance(name, str) or not name:
            raise LoginRefused(f"the token has no {claim}", isGenuine=True)
        try:
            identity = Identity.of(name, claims)
        except UnicodeEncodeError:
            raise LoginRefused(f"the token's {claim} isn't text", True) from None
        if expires is not None and self._options["expiry"] != "login":
            credentials.lasts = expires - self._now()
        return identity

    def _verify(self, token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Return the header and the claims of a token whose signature is valid.
        """
        try:
            decoded = self._jwt.decode_complete(
                token,
                self._key,
                algorithms=[self._algorithm],
                options=dict.fromkeys(_UNCHECKED, False),
            )
        except self._jwt.InvalidSignatureError:
            raise LoginRefused("the token has a wrong signature") from None
        except self._jwt.InvalidAlgorithmError:
            raise LoginRefused("the token has another algorithm") from None
        except Exception:
            # Malformed tokens cause errors of many kinds: deeply nested JSON is a
            # RecursionError.
            raise LoginRefused("malformed token") from None
        return decoded["header"], decoded["payload"]

    def _checkHeader(self, header: Mapping[str, Any]) -> None:
        # RFC 7515 section 4.1.11: critical headers must be understood.
        if "crit" in header:
            raise LoginRefused("the token has a critical header", isGenuine=True)
        kid = self._options["kid"]
        if kid and header.get("kid") != kid:
            raise LoginRefused("the token names another key")

    def _checkTimes(self, claims: Mapping[str, Any]) -> float | None:
        """
        Check the times of a token (RFC 7519 section 4.1).

        @return: when it expires, in seconds since 1970; C{None} for never.
        """
        now = self._now()
        begins = (_time(claims, "nbf"), _time(claims, "iat"))
        if any(each is not None and each > now + self._leeway for each in begins):
            raise LoginRefused("the token is not valid yet", isGenuine=True)
        end = _time(claims, "exp")
        if end is None:
            if self._options["expiry"] != "no":
                raise LoginRefused("the token has no exp", isGenuine=True)
            return None
        if end + self._leeway <= now:
            raise LoginRefused("the token has expired", isGenuine=True)
        return end + self._leeway

    def _checkIssuerAndAudience(self, claims: Mapping[str, Any]) -> None:
        """
        Check the issuer and the audience. A token with an audience must not be accepted
        by others (RFC 7519 section 4.1.3).
        """
        issuer, audience = self._options["issuer"], self._options["audience"]
        if issuer and claims.get("iss") != issuer:
            raise LoginRefused("the token is from another issuer", isGenuine=True)
        named = claims.get("aud", [])
        if (audience or "aud" in claims) and audience not in (
            named if isinstance(named, list) else [named]
        ):
            raise LoginRefused("the token is for another audience", isGenuine=True)


def _time(claims: Mapping[str, Any], claim: str) -> float | None:
    """
    Return a claim that is a time, in seconds since 1970.

    @raise LoginRefused: the claim isn't a time.
    """
    if claim not in claims:
        return None
    value = claims[claim]
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
            if abs(number) < _NO_TIME:
                return number
    except OverflowError:
        pass
    raise LoginRefused(f"the token's {claim} is not a time", isGenuine=True)


def _importJWT() -> Any:
    """
    @raise InvalidOption: PyJWT isn't installed.
    """
    try:
        import jwt
    except ImportError:
        raise InvalidOption(
            "jwt needs PyJWT, which isn't installed: pip install 'wsplug[jwt]'"
        ) from None
    return jwt


def _readKey(path: str, algorithm: str) -> Any:
    """
    Read the key.

    @raise InvalidOption: it doesn't fit the algorithm, or is too weak.
    """
    content = readBytes(path, "can't read the key in")
    secretSize = _SECRETS.get(algorithm)
    if secretSize is not None:
        secret = content.strip(b"\r\n")
        if b"-----BEGIN" in secret:
            raise InvalidOption(f"{path} has a PEM key; {algorithm} needs a secret")
        if len(secret) < secretSize:
            raise InvalidOption(
                f"the secret in {path} has {len(secret)} bytes; {algorithm} needs at "
                f"least {secretSize}: openssl rand -hex {secretSize}"
            )
        warnIfExposed(path)
        return secret
    warnIfExposed(path, isSecret=False)
    return _readPublicKey(content, path, algorithm)


def _readPublicKey(content: bytes, path: str, algorithm: str) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise InvalidOption(
            f"{algorithm} needs cryptography, which isn't installed: "
            "pip install 'wsplug[jwt]'"
        ) from None
    if b"PRIVATE KEY-----" in content:
        raise InvalidOption(
            f"{path} has a private key; use the public key: "
            f"openssl pkey -in {path} -pubout"
        )
    try:
        key = load_pem_public_key(content)
    except Exception:
        raise InvalidOption(f"{path} has no public key in PEM") from None
    if algorithm in _RSA:
        if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_SIZE:
            raise InvalidOption(
                f"the key in {path} has {key.key_size} bits; {algorithm} needs at "
                f"least {_MIN_RSA_SIZE}"
            )
        fits = isinstance(key, RSAPublicKey)
    elif algorithm in _CURVES:
        fits = (
            isinstance(key, EllipticCurvePublicKey)
            and key.curve.name == _CURVES[algorithm]
        )
    else:
        fits = isinstance(key, (Ed25519PublicKey, Ed448PublicKey))
    if not fits:
        raise InvalidOption(f"the key in {path} does not fit {algorithm}")
    return key


@implementer(ICheckerFactory, IPlugin)
class JWTCheckerFactory:
    """
    Makes the checker for C{jwt:key=...:algorithm=...}.
    """

    authType = "jwt"
    authHelp = "Signed tokens (RFC 7519). Options:\n\n" + "\n".join(
        f"{option.name}: {option.help} [{option.shownDefault}]"
        for option in JWT_OPTIONS
    )
    argStringFormat = "key=/path/to/key:algorithm=RS256[:audience=...][:issuer=...]"
    credentialInterfaces = (IBearerToken,)

    def generateChecker(self, argstring: str) -> JWTChecker:
        """
        Make a checker.

        @raise InvalidOption: an option or the key is missing or wrong.
        """
        values = pairOptions(splitDescription(argstring) if argstring else ())
        return JWTChecker(parseOptions(JWT_OPTIONS, values))


jwtCheckerFactory = JWTCheckerFactory()
