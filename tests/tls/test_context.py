"""Reading certificates and keys (wsplug.tls.context)."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

from tests.live.certificates import Authority, Issued
from tests.processes import HOST
from wsplug.errors import InvalidOption
from wsplug.tls.context import Loaded, load
from wsplug.tls.options import TLSFiles


def read(path: Path, key: Path | None = None, **more: Any) -> Loaded:
    return load(TLSFiles(str(path), None if key is None else str(key), **more))


def handshake(
    loaded: Loaded, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, SSL.Connection]:
    """Perform a handshake in memory.

    @param session: the session that the client wants to resume.

    @raise ssl.SSLError: the client ends the handshake.
    @raise SSL.Error: the server ends the handshake.
    """
    server = SSL.Connection(loaded.context, None)
    server.set_accept_state()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = client.wrap_bio(
        incoming, outgoing, server_hostname=HOST, session=session
    )
    done = [False, False]
    for _ in range(20):
        for index, step in enumerate((connection.do_handshake, server.do_handshake)):
            if not done[index]:
                with suppress(ssl.SSLWantReadError, SSL.WantReadError):
                    step()
                    done[index] = True
            if data := outgoing.read():
                server.bio_write(data)
            with suppress(SSL.WantReadError):
                incoming.write(server.bio_read(65536))
        if all(done):
            return connection, server
    raise AssertionError("they wait for each other")


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem.decode("ascii"))


def test_right(files: tuple[Path, Path]) -> None:
    """A right certificate gives its names and its period of validity."""
    loaded = read(*files)
    assert loaded.names == HOST
    assert loaded.ends - loaded.begins == timedelta(days=31)


def test_in_one_file(issued: Issued, tmp_path: Path) -> None:
    """The key may be in the certificate's file, before or after the certificate."""
    path = tmp_path / "both.pem"
    for parts in (
        (issued.certificate, issued.key),
        (issued.key, issued.certificate),
        (b"Some words.\n", issued.certificate, b"\n# More.\n", issued.key),
        (issued.certificate.replace(b"\n", b"\r\n"), issued.key),
    ):
        path.write_bytes(b"".join(parts))
        assert read(path).names == HOST


def test_without_names(authority: Authority, tmp_path: Path) -> None:
    """A certificate without host names has its subject's name."""
    assert read(*authority.issue("some body").write(tmp_path)).names == "CN=some body"


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "EC", "Ed25519"],
)
def test_kinds_of_keys(key: Any, authority: Authority, tmp_path: Path) -> None:
    """All common kinds of keys work."""
    issued = authority.issue("kind", HOST, key=key)
    loaded = read(*issued.write(tmp_path))
    handshake(loaded, trusting(authority))


@pytest.mark.parametrize(
    ("form", "header"),
    [
        (PrivateFormat.PKCS8, b"BEGIN PRIVATE KEY"),
        (PrivateFormat.TraditionalOpenSSL, b"BEGIN EC PRIVATE KEY"),
    ],
)
def test_forms_of_keys(
    form: PrivateFormat, header: bytes, issued: Issued, tmp_path: Path
) -> None:
    """The old format of a key works too, and so do parameters that openssl writes
    before it."""
    key: Any = load_pem_private_key(issued.key, None)
    data = key.private_bytes(Encoding.PEM, form, NoEncryption())
    assert header in data
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
    data = parameters + b"-----END EC PARAMETERS-----\n" + data
    assert read(*Issued(issued.certificate, data).write(tmp_path)).names == HOST


def test_chain(tmp_path: Path, authority: Authority) -> None:
    """Intermediate certificates after the certificate in its file are sent with it. A
    client that trusts only the root needs them."""
    between = Authority("between", authority)
    issued = between.issue("server", HOST)
    certificate, key = issued.write(tmp_path)
    with pytest.raises(ssl.SSLError, match="unable to get local issuer"):
        handshake(read(certificate, key), trusting(authority))
    certificate.write_bytes(issued.certificate + between.pem)
    handshake(read(certificate, key), trusting(authority))


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
)
def test_encrypted_key(form: PrivateFormat, issued: Issued, tmp_path: Path) -> None:
    """A key with a passphrase is refused with a way out. The server doesn't prompt for
    it."""
    key: Any = load_pem_private_key(issued.key, None)
    data = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
    with pytest.raises(
        InvalidOption, match=r"encrypted.*openssl pkey -in OLD -out NEW"
    ):
        read(*Issued(issued.certificate, data).write(tmp_path))


def _dsa() -> Any:
    return dsa.generate_private_key(2048)


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        (None, b"", "tls-cert: can't read .*server.pem: No such file"),
        (b"", b"", "tls-cert: .*server.pem has no certificate in PEM"),
        (b"\x30\x82\x01\x0a\0\xff", b"", "tls-cert: .* has no certificate in PEM"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"",
            "brok",
        ),
        (b"-----BEGIN CERTIFICATE-----\n", b"", "or a broken one"),
        (b"@CERT", None, "tls-key: can't read .*server.key: No such file"),
        (b"@CERT", b"", "tls-key: .*server.key has no private key in PEM"),
        (b"@CERT", b"@CERT", "tls-key: .*server.key has no private key in PEM"),
        (b"@CERT", b"-----BEGIN PRIVATE KEY-----\n", "has no private key in PEM"),
        (
            b"@CERT",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "the key in .*server.key can't be read by OpenSSL",
        ),
        (b"@CERT", b"@OTHER", "server.key does not belong to the first certificate in"),
    ],
)
def test_wrong_files(
    certificate: bytes | None,
    key: bytes | None,
    words: str,
    issued: Issued,
    authority: Authority,
    tmp_path: Path,
) -> None:
    """Each mistake is reported in one line that names the option and the file."""
    paths = tmp_path / "server.pem", tmp_path / "server.key"
    other = authority.issue("other", HOST).key
    for path, content in zip(paths, (certificate, key), strict=True):
        if content is not None:
            content = {b"@CERT": issued.certificate, b"@OTHER": other}.get(
                content, content
            )
            path.write_bytes(content)
    with pytest.raises(InvalidOption, match=words) as caught:
        read(*paths)
    assert "\n" not in str(caught.value)


def test_missing_key(issued: Issued, tmp_path: Path) -> None:
    """It is a mistake to name no key if the certificate's file has none."""
    path = issued.write(tmp_path)[0]
    with pytest.raises(InvalidOption, match="has no private key; use --tls-key PATH"):
        read(path)


def test_folder(tmp_path: Path) -> None:
    """So is a folder."""
    with pytest.raises(InvalidOption, match=r"can't read .*: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), _dsa()],
    ids=["short", "DSA"],
)
def test_key_of_no_use(key: Any, authority: Authority, tmp_path: Path) -> None:
    """A key that OpenSSL considers too weak, or that TLS can't use, is refused at the
    start or fails in the handshake. It never raises another error."""
    paths = authority.issue("weak", HOST, key=key).write(tmp_path)
    with pytest.raises((InvalidOption, SSL.Error, ssl.SSLError)):
        handshake(read(*paths), trusting(authority))


def test_certificate_of_no_use(authority: Authority, tmp_path: Path) -> None:
    """A certificate whose key can't sign is refused, too."""
    signing = ec.generate_private_key(ec.SECP256R1())
    exchanging: Any = x25519.X25519PrivateKey.generate()
    issued = authority.issue("exchanging", HOST, key=exchanging)
    assert issued.certificate != authority.issue("x", HOST, key=signing).certificate
    with pytest.raises(InvalidOption, match=r"tls-cert: .* can't be used"):
        read(*issued.write(tmp_path))


# Protocol versions, ciphers and extensions


def test_versions(files: tuple[Path, Path], authority: Authority) -> None:
    """The server supports TLS 1.3 and 1.2, and nothing older."""
    loaded = read(*files)
    for version, name in (
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
    ):
        client = trusting(authority)
        client.maximum_version = client.minimum_version = version
        connection, _ = handshake(loaded, client)
        assert connection.version() == name
        assert connection.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_versions(files: tuple[Path, Path], authority: Authority) -> None:
    """A client of TLS 1.1 gets an alert."""
    client = trusting(authority)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((SSL.Error, ssl.SSLError)):
        handshake(read(*files), client)


@pytest.mark.parametrize(
    ("cipher", "taken"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES128-SHA", False),
        ("ECDHE-ECDSA-AES256-SHA384", False),
        ("ECDHE-ECDSA-AES128-CCM8", False),
    ],
)
def test_ciphers(
    cipher: str, taken: bool, files: tuple[Path, Path], authority: Authority
) -> None:
    """In TLS 1.2, only ciphers with forward secrecy and authenticated encryption are
    accepted (RFC 9325 section 4.2)."""
    client = trusting(authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    loaded = read(*files)
    if taken:
        assert handshake(loaded, client)[0].cipher()[0] == cipher  # type: ignore[index]
    else:
        with pytest.raises((SSL.Error, ssl.SSLError)):
            handshake(loaded, client)


def test_no_static_key_exchange(authority: Authority, tmp_path: Path) -> None:
    """No cipher without forward secrecy is accepted: with the certificate's key, its
    recorded traffic could be decrypted."""
    key = rsa.generate_private_key(65537, 2048)
    loaded = read(*authority.issue("RSA", HOST, key=key).write(tmp_path))
    client = trusting(authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("AES128-GCM-SHA256:AES128-SHA")
    with pytest.raises((SSL.Error, ssl.SSLError)):
        handshake(loaded, client)


def test_no_renegotiation(files: tuple[Path, Path]) -> None:
    """The server refuses renegotiation in TLS 1.2 with an alert (RFC 9325 section 3.5),
    and the connection goes on."""
    server = SSL.Connection(read(*files).context, None)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client = SSL.Connection(context, None)
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(4):
        _pump(client, server)
        _pump(server, client)
    assert client.renegotiate()
    _pump(client, server)
    with pytest.raises(SSL.WantReadError):
        server.recv(1)
    alert = server.bio_read(100)
    # A warning alert: type 21, TLS 1.2, encrypted.
    assert alert[:3] == b"\x15\x03\x03"
    assert server.total_renegotiations() == 0


def _pump(source: SSL.Connection, target: SSL.Connection) -> None:
    """Continue the handshake, and carry over the output."""
    with suppress(SSL.WantReadError):
        source.do_handshake()
    with suppress(SSL.WantReadError):
        target.bio_write(source.bio_read(65536))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_resumption(
    version: ssl.TLSVersion, files: tuple[Path, Path], authority: Authority
) -> None:
    """No session is resumed: each connection has a full handshake, with the current
    certificate."""
    client = trusting(authority)
    client.minimum_version = client.maximum_version = version
    loaded = read(*files)
    first, _ = handshake(loaded, client)
    # In TLS 1.3, session tickets come after the handshake.
    with suppress(ssl.SSLWantReadError):
        first.read(1)
    second, _ = handshake(loaded, client, first.session)
    assert not second.session_reused


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_protocol(
    offered: list[str],
    chosen: str | None,
    files: tuple[Path, Path],
    authority: Authority,
) -> None:
    """If the client offers HTTP/1.1 in ALPN, it is selected. If the client offers
    nothing, nothing is selected."""
    client = trusting(authority)
    if offered:
        client.set_alpn_protocols(offered)
    connection, _ = handshake(read(*files), client)
    assert connection.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_protocol(
    version: ssl.TLSVersion, files: tuple[Path, Path], authority: Authority
) -> None:
    """RFC 7301 section 3.2: a client that offers only unsupported protocols gets the
    alert for it. The next client is served."""
    loaded = read(*files)
    server = SSL.Connection(loaded.context, None)
    server.set_accept_state()
    client = trusting(authority)
    client.minimum_version = client.maximum_version = version
    client.set_alpn_protocols(["h2", "h3"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = client.wrap_bio(incoming, outgoing, server_hostname=HOST)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    server.bio_write(outgoing.read())
    with pytest.raises(SSL.Error, match="no application protocol"):
        server.do_handshake()
    incoming.write(server.bio_read(65536))
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        connection.do_handshake()
    client.set_alpn_protocols(["http/1.1"])
    served, _ = handshake(loaded, client)
    assert served.selected_alpn_protocol() == "http/1.1"


# Clients' certificates


def clientWith(authority: Authority, issued: Issued | None, folder: Path) -> Any:
    client = trusting(authority)
    if issued is not None:
        client.load_cert_chain(*issued.write(folder, "client"))
    return client


@pytest.mark.parametrize("required", [True, False])
def test_client(
    required: bool, files: tuple[Path, Path], authority: Authority, tmp_path: Path
) -> None:
    """A client whose certificate is signed by an authority is identified by it. There
    may be several authorities."""
    others = Authority("others")
    path = tmp_path / "clients.pem"
    path.write_bytes(Authority("another").pem + others.pem)
    loaded = read(*files, clientCA=str(path), clientRequired=required)
    client = clientWith(authority, others.issue("ann"), tmp_path)
    _, server = handshake(loaded, client)
    shown = server.get_peer_certificate()
    assert shown is not None
    assert shown.to_cryptography().subject.rfc4514_string() == "CN=ann"
    names = [name.CN for name in server.get_client_ca_list()]
    assert sorted(filter(None, names)) == ["another", "others"]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("kind", ["stranger's", "expired", "its own"])
def test_wrong_client(
    kind: str,
    required: bool,
    files: tuple[Path, Path],
    authority: Authority,
    tmp_path: Path,
) -> None:
    """A client with an invalid certificate is refused, even where none is required."""
    path = authority.write(tmp_path)
    loaded = read(*files, clientCA=str(path), clientRequired=required)
    days = timedelta(days=1)
    shown = {
        "stranger's": Authority("stranger").issue("ann"),
        "expired": authority.issue("ann", begins=-2 * days, ends=-days),
        "its own": Authority("ann").issue("ann"),
    }[kind]
    client = clientWith(authority, shown, tmp_path)
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        handshake(loaded, client)


def test_client_without(
    files: tuple[Path, Path], authority: Authority, tmp_path: Path
) -> None:
    """A client without a certificate is refused where one is required, and accepted
    otherwise."""
    path = str(authority.write(tmp_path))
    client = clientWith(authority, None, tmp_path)
    with pytest.raises(SSL.Error, match="did not return a certificate"):
        handshake(read(*files, clientCA=path), client)
    _, server = handshake(read(*files, clientCA=path, clientRequired=False), client)
    assert server.get_peer_certificate() is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "tls-client-ca: can't read"),
        (b"nothing", "tls-client-ca: .* has no certificate in PEM"),
    ],
)
def test_wrong_authorities(
    content: bytes | None, words: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Mistakes about the authorities name their option."""
    path = tmp_path / "clients.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidOption, match=words):
        read(*files, clientCA=str(path))
