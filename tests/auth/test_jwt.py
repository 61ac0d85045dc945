"""
Signed tokens (wsplug.auth.jwt): everything that can be wrong with one.
"""

from __future__ import annotations

import base64
import hmac
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.internet.defer import Deferred

from tests.server.kit import Logs
from wsplug.auth import BearerToken, Identity, LoginRefused
from wsplug.auth.checkers import makeChecker
from wsplug.auth.jwt import ALGORITHMS, JWT_OPTIONS, JWTChecker
from wsplug.errors import InvalidOption
from wsplug.options import parseOptions

SECRET = b"0123456789abcdef" * 4

NOW = 1_000_000.0

CLAIMS: Mapping[str, Any] = {"sub": "ann", "exp": NOW + 60}


class Keys:
    """
    A key of each kind, as files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.private: dict[str, Any] = {
            "RS256": rsa.generate_private_key(65537, 2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "ES384": ec.generate_private_key(ec.SECP384R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }
        for name, key in self.private.items():
            self._write(f"{name}.pem", publicPEM(key))
        self._write("secret", SECRET + b"\n")

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.write_bytes(content)
        path.chmod(0o600)

    def file(self, algorithm: str) -> Path:
        if algorithm.startswith("HS"):
            return self._folder / "secret"
        name = "RS256" if algorithm[:2] in ("RS", "PS") else algorithm
        return self._folder / f"{name}.pem"

    def signing(self, algorithm: str) -> Any:
        if algorithm.startswith("HS"):
            return SECRET
        return self.private["RS256" if algorithm[:2] in ("RS", "PS") else algorithm]


def publicPEM(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def make(keys: Keys, algorithm: str = "HS256", **options: object) -> JWTChecker:
    """
    Make a checker whose clock always shows L{NOW}.
    """
    values = {"key": str(keys.file(algorithm)), "algorithm": algorithm, **options}
    return JWTChecker(parseOptions(JWT_OPTIONS, values), lambda: NOW)


def sign(
    claims: Mapping[str, Any] = CLAIMS,
    key: Any = SECRET,
    algorithm: str = "HS256",
    **headers: Any,
) -> bytes:
    return jwt.encode(dict(claims), key, algorithm, headers=headers).encode()


def part(value: object) -> bytes:
    """
    Encode a part of a token.
    """
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def forge(header: object, claims: object, key: bytes = SECRET) -> bytes:
    """
    Sign any parts, as HS256 does.
    """
    signed = part(header) + b"." + part(claims)
    return signed + b"." + part(hmac.digest(key, signed, "sha256"))


def ask(checker: Any, token: bytes) -> tuple[Any, Any]:
    """
    Have a token checked.

    @return: the identity or the error, and how long the login lasts.
    """
    credentials = BearerToken(token)
    answers: list[Any] = []
    asked: Deferred[Any] = checker.requestAvatarId(credentials)
    asked.addCallback(answers.append)
    asked.addErrback(lambda failure: answers.append(failure.value))
    return answers[0], credentials.lasts


def reason(checker: Any, token: bytes) -> str:
    """
    Return why a token is refused.
    """
    answer, lasts = ask(checker, token)
    assert isinstance(answer, LoginRefused), answer
    assert lasts is None
    return answer.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_right(keys: Keys, algorithm: str) -> None:
    """
    A right token gives its subject, with all its claims, until it expires and the
    leeway is over.
    """
    claims = {**CLAIMS, "room": ["a"]}
    token = sign(claims, keys.signing(algorithm), algorithm)
    identity, lasts = ask(make(keys, algorithm), token)
    assert isinstance(identity, Identity)
    assert identity == b"ann"
    assert identity.claims == claims
    assert lasts == 70.0
    with pytest.raises(TypeError):
        identity.claims["sub"] = "eve"  # type: ignore[index]


@pytest.mark.parametrize("algorithm", ["HS512", "RS256", "ES256", "EdDSA"])
def test_another_algorithm(keys: Keys, algorithm: str) -> None:
    """
    The algorithm is the option's, whatever the token says.
    """
    token = sign(CLAIMS, keys.signing(algorithm), algorithm)
    assert reason(make(keys), token) == "the token has another algorithm"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", [b"", b"eA"])
def test_none(keys: Keys, algorithm: str, signature: bytes) -> None:
    """
    A token without a signature is refused, for any key.
    """
    token = part({"alg": algorithm}) + b"." + part(dict(CLAIMS)) + b"." + signature
    for kind in ("HS256", "RS256"):
        assert reason(make(keys, kind), token) in (
            "the token has another algorithm",
            "malformed token",
        )


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_key_confusion(keys: Keys, ending: bytes) -> None:
    """
    A public key, which anyone can have, is no secret to sign with (RFC 8725 section
    2.1).
    """
    pem = keys.file("RS256").read_bytes().strip() + ending
    token = forge({"alg": "HS256", "typ": "JWT"}, dict(CLAIMS), pem)
    checker = make(keys, "RS256")
    assert reason(checker, token) == "the token has another algorithm"
    token = forge({"alg": "RS256", "typ": "JWT"}, dict(CLAIMS), pem)
    assert reason(checker, token) == "the token has a wrong signature"


def test_signature(keys: Keys) -> None:
    """
    A signature with another key, for other claims, or without content is wrong.
    """
    checker = make(keys)
    assert reason(checker, sign(key=SECRET[::-1])) == "the token has a wrong signature"
    header, _, signature = sign().split(b".")
    eve = part({**CLAIMS, "sub": "eve"})
    token = b".".join([header, eve, signature])
    assert reason(checker, token) == "the token has a wrong signature"
    assert reason(checker, header + b"." + eve + b".") == (
        "the token has a wrong signature"
    )
    other = rsa.generate_private_key(65537, 2048)
    assert reason(make(keys, "RS256"), sign(key=other, algorithm="RS256")) == (
        "the token has a wrong signature"
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": NOW - 9}, None),
        ({"exp": NOW - 10}, "the token has expired"),
        ({"exp": 0}, "the token has expired"),
        ({"exp": -1}, "the token has expired"),
        ({"exp": None}, "the token's exp is not a time"),
        ({"exp": str(NOW + 60)}, "the token's exp is not a time"),
        ({"exp": True}, "the token's exp is not a time"),
        ({"exp": [NOW]}, "the token's exp is not a time"),
        ({"exp": 10**400}, "the token's exp is not a time"),
        ({"exp": float("inf")}, "the token's exp is not a time"),
        ({"exp": 1e308}, "the token's exp is not a time"),
        ({"exp": -1e308}, "the token's exp is not a time"),
        ({"exp": 1_700_000_000_000}, "the token's exp is not a time"),
        ({"exp": 253_402_300_799}, None),
        ({"nbf": -1e308}, "the token's nbf is not a time"),
        ({"exp": float("nan")}, "the token's exp is not a time"),
        ({"nbf": NOW + 10}, None),
        ({"nbf": NOW + 11}, "the token is not valid yet"),
        ({"nbf": "now"}, "the token's nbf is not a time"),
        ({"iat": NOW - 10}, None),
        ({"iat": NOW + 11}, "the token is not valid yet"),
        ({"iat": "now"}, "the token's iat is not a time"),
        ({"sub": ""}, "the token has no sub"),
        ({"sub": 7}, "the token has no sub"),
        ({"sub": None}, "the token has no sub"),
        ({"sub": "\ud800"}, "the token's sub isn't text"),
        ({"aud": "api"}, "the token is for another audience"),
        ({"aud": ["api"]}, "the token is for another audience"),
        ({"aud": None}, "the token is for another audience"),
    ],
)
def test_claims(keys: Keys, claims: dict[str, Any], expected: str | None) -> None:
    """
    Each claim that wsplug knows is checked to the second, and for its type (RFC 7519
    section 4.1).
    """
    token = forge({"alg": "HS256"}, {**CLAIMS, **claims})
    if expected is None:
        assert ask(make(keys), token)[0] == b"ann"
    else:
        assert reason(make(keys), token) == expected


def test_leeway(keys: Keys) -> None:
    """
    Clocks may differ by the leeway, and no more.
    """
    token = sign({**CLAIMS, "exp": NOW})
    assert reason(make(keys, leeway=0), token) == "the token has expired"
    assert ask(make(keys, leeway=0.5), token) == (b"ann", 0.5)


def test_expiry(keys: Keys) -> None:
    """
    A token without exp is refused, unless the option allows it. An exp is always
    checked, but ends the connection only where the option says so.
    """
    endless, expired = sign({"sub": "ann"}), sign({"sub": "ann", "exp": 1})
    assert reason(make(keys), endless) == "the token has no exp"
    assert reason(make(keys, expiry="login"), endless) == "the token has no exp"
    assert ask(make(keys, expiry="no"), endless) == (b"ann", None)
    for expiry in ("close", "login", "no"):
        assert reason(make(keys, expiry=expiry), expired) == "the token has expired"
    assert ask(make(keys, expiry="login"), sign()) == (b"ann", None)
    assert ask(make(keys, expiry="no"), sign()) == (b"ann", 70.0)


@pytest.mark.parametrize(
    ("named", "right"),
    [
        ("wsplug", True),
        (["api", "wsplug"], True),
        ("api", False),
        (["api"], False),
        ("wsplug.example", False),
        (None, False),
        (7, False),
        ([], False),
        ([7], False),
        ({"wsplug": 1}, False),
    ],
)
def test_audience(keys: Keys, named: object, right: bool) -> None:
    """
    One of the audiences has to be this server, exactly (RFC 7519 section 4.1.3).
    """
    token = forge({"alg": "HS256"}, {**CLAIMS, "aud": named})
    checker = make(keys, audience="wsplug")
    if right:
        assert ask(checker, token)[0] == b"ann"
    else:
        assert reason(checker, token) == "the token is for another audience"
    assert reason(checker, sign()) == "the token is for another audience"


@pytest.mark.parametrize("issuer", ["https://evil.example", "", None, 7, ["a"]])
def test_issuer(keys: Keys, issuer: object) -> None:
    """
    The issuer has to be the configured one.
    """
    checker = make(keys, issuer="https://login.example")
    right = sign({**CLAIMS, "iss": "https://login.example"})
    assert ask(checker, right)[0] == b"ann"
    wrong = forge({"alg": "HS256"}, {**CLAIMS, "iss": issuer})
    assert reason(checker, wrong) == "the token is from another issuer"
    assert reason(checker, sign()) == "the token is from another issuer"


def test_kid(keys: Keys) -> None:
    """
    If the key has an ID, tokens have to name it. If it has none, a token's kid is
    ignored, and never read as a file or URL.
    """
    checker = make(keys, kid="2026")
    assert ask(checker, sign(kid="2026"))[0] == b"ann"
    for token in (sign(kid="2025"), sign(), forge({"alg": "HS256", "kid": 2026}, {})):
        assert reason(checker, token) in (
            "the token names another key",
            "malformed token",
        )
    hints: dict[str, Any] = {
        "kid": "/dev/null",
        "jku": "http://evil.example/",
        "x5u": "file:///x",
    }
    assert ask(make(keys), sign(**hints))[0] == b"ann"


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", None])
def test_crit(keys: Keys, crit: object) -> None:
    """
    A token with critical extensions is refused, since none is supported (RFC 7515
    section 4.1.11).
    """
    token = forge({"alg": "HS256", "crit": crit, "exp": 1}, dict(CLAIMS))
    assert reason(make(keys), token) in (
        "the token has a critical header",
        "malformed token",
    )


DEEP = b'{"a":' * 1500 + b"1" + b"}" * 1500


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"...",
        b"a.b.c",
        b"a.b.c.d.e",
        b"\xff.\xff.\xff",
        part({}) + b"." + part({}) + b".",
        part([]) + b"." + part({}) + b".eA",
        part("x") + b"." + part({}) + b".eA",
        part(DEEP) + b"." + part({}) + b".eA",
        part({"alg": 7}) + b"." + part({}) + b".eA",
        part({"alg": ["HS256"]}) + b"." + part({}) + b".eA",
        part({"alg": {"HS256": 1}}) + b"." + part({}) + b".eA",
        forge({"alg": "HS256"}, []),
        forge({"alg": "HS256"}, "x"),
        forge({"alg": "HS256"}, None),
        forge({"alg": "HS256"}, b"\xff"),
        forge({"alg": "HS256"}, DEEP),
        forge({"alg": "HS256", "b64": False}, dict(CLAIMS)),
        forge({"alg": "HS256", "kid": 7}, dict(CLAIMS)),
        b"A" * 8192,
        b"." * 8192,
    ],
    ids=range(23),
)
def test_garbage(keys: Keys, token: bytes) -> None:
    """
    Anything that isn't a token is refused, without a failure.
    """
    for algorithm in ("HS256", "RS256"):
        answer, _ = ask(make(keys, algorithm), token)
        assert isinstance(answer, LoginRefused)


def test_another_claim_for_the_name(keys: Keys) -> None:
    """
    The name may be in another claim.
    """
    checker = make(keys, name="email")
    assert ask(checker, sign({**CLAIMS, "email": "a@b"}))[0] == b"a@b"
    assert reason(checker, sign()) == "the token has no email"


def test_rotation(keys: Keys, tmp_path: Path) -> None:
    """
    While a key is replaced, both are accepted. For a token signed with either, the
    reason for a refusal is given.
    """
    from wsplug.auth import makePortal

    new = tmp_path / "new"
    new.write_bytes(SECRET[::-1])
    new.chmod(0o600)
    portal = makePortal(
        [f"jwt:key={path}:algorithm=HS256" for path in (keys.file("HS256"), new)]
    )
    (checker,) = portal.checkers.values()
    far = {"sub": "ann", "exp": 10**11}
    assert ask(checker, sign(far))[0] == b"ann"
    assert ask(checker, sign(far, SECRET[::-1]))[0] == b"ann"
    for key in (SECRET, SECRET[::-1]):
        answer, _ = ask(checker, sign({"sub": "ann", "exp": 1}, key))
        assert answer.reason == "the token has expired"
    answer, _ = ask(checker, sign(far, b"x" * 32))
    assert answer.reason == "the token has a wrong signature"


# Mistakes of the operator


def private(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem


def test_weak_secret(tmp_path: Path) -> None:
    """
    A secret shorter than the hash can be found by anyone with one token (RFC 7518
    section 3.2). The end of the line doesn't count.
    """
    path = tmp_path / "key"
    for algorithm, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        path.write_bytes(b"x" * (size - 1) + b"\r\n")
        with pytest.raises(InvalidOption) as caught:
            makeChecker(f"jwt:key={path}:algorithm={algorithm}")
        assert f"has {size - 1} bytes; {algorithm} needs at least {size}" in str(
            caught.value
        )
        assert "xxx" not in str(caught.value)
        path.write_bytes(b"x" * size + b"\n")
        path.chmod(0o600)
        makeChecker(f"jwt:key={path}:algorithm={algorithm}")


def test_wrong_key(keys: Keys, tmp_path: Path) -> None:
    """
    A key that doesn't fit the algorithm is refused at the start.
    """
    path = tmp_path / "key"

    def refused(content: bytes, algorithm: str) -> str:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(InvalidOption) as caught:
            makeChecker(f"jwt:key={path}:algorithm={algorithm}")
        message = str(caught.value)
        assert "\n" not in message
        return message

    rsaKey, ecKey = keys.private["RS256"], keys.private["ES256"]
    assert "needs a secret" in refused(publicPEM(rsaKey), "HS256")
    assert "has a private key" in refused(private(rsaKey), "RS256")
    assert "has a private key" in refused(private(ecKey), "ES256")
    assert "does not fit RS256" in refused(publicPEM(ecKey), "RS256")
    assert "does not fit ES256" in refused(publicPEM(rsaKey), "ES256")
    assert "does not fit ES384" in refused(publicPEM(ecKey), "ES384")
    assert "does not fit EdDSA" in refused(publicPEM(rsaKey), "EdDSA")
    assert "no public key in PEM" in refused(b"x" * 100, "RS256")
    assert "no public key in PEM" in refused(b"", "RS256")
    small = rsa.generate_private_key(65537, 1024)
    assert "has 1024 bits; RS256 needs at least 2048" in refused(
        publicPEM(small), "RS256"
    )


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "the option 'key' is missing"),
        ("key=K", "the option 'algorithm' is missing"),
        ("key=K:algorithm=none", "algorithm takes one of HS256"),
        ("key=K:algorithm=hs256", "algorithm takes one of HS256"),
        ("key=K:algorithm=HS256:RS256", "options are key=value, and option 3 isn't"),
        ("key=K:algorithm=HS256:algorithm=RS256", "options 2 and 3 have the same name"),
        ("key=K:algorithm=HS256:issuers=x", "unknown option 'issuers'"),
        (
            "key=K:algorithm=HS256:leeway=-1",
            "leeway takes a time in seconds from 0 to 3600",
        ),
        ("key=K:algorithm=HS256:expiry=maybe", "expiry takes one of close"),
        ("key=/no/where:algorithm=HS256", "can't read the key in /no/where"),
    ],
)
def test_wrong_options(keys: Keys, argument: str, words: str) -> None:
    """
    A mistake in the options is reported in one line.
    """
    argument = argument.replace("=K", f"={keys.file('HS256')}")
    with pytest.raises(InvalidOption, match=r"^auth jwt: ") as caught:
        makeChecker(f"jwt:{argument}")
    assert words in str(caught.value)


def test_escaped(keys: Keys) -> None:
    """
    Colons in values are escaped, as in all such strings.
    """
    checker = makeChecker(
        f"jwt:key={keys.file('HS256')}:algorithm=HS256:issuer=https\\://login.example"
    )
    claims = {"sub": "ann", "exp": 10**11, "iss": "https://login.example"}
    assert ask(checker, sign(claims))[0] == b"ann"


@pytest.mark.parametrize(
    ("module", "algorithm"), [("jwt", "HS256"), ("cryptography", "RS256")]
)
def test_missing_extra(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, module: str, algorithm: str
) -> None:
    """
    Where PyJWT or cryptography isn't installed, the line names the extra.
    """
    for name in list(sys.modules):
        if name == module or name.startswith(f"{module}."):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidOption, match=r"pip install 'wsplug\[jwt\]'"):
        makeChecker(f"jwt:key={keys.file(algorithm)}:algorithm={algorithm}")


def test_permissions(keys: Keys, tmp_path: Path, logs: Logs) -> None:
    """
    A secret that all users can read causes a warning. A public key does so only if all
    users can change it.
    """
    secret, public = tmp_path / "secret", tmp_path / "public"
    secret.write_bytes(SECRET)
    public.write_bytes(keys.file("RS256").read_bytes())
    for path, algorithm in ((secret, "HS256"), (public, "RS256")):
        path.chmod(0o644)
        makeChecker(f"jwt:key={path}:algorithm={algorithm}")
    (line,) = logs.lines("all users of this machine can read")
    assert str(secret) in line
    public.chmod(0o666)
    makeChecker(f"jwt:key={public}:algorithm=RS256")
    assert logs.lines(f"all users of this machine can change {public}")


def test_forging() -> None:
    """
    The signature that these tests make is HS256.
    """
    token = forge({"alg": "HS256"}, {"sub": "x"})
    assert jwt.decode(token, SECRET, ["HS256"]) == {"sub": "x"}
