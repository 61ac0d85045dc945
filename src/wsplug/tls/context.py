"""
From files to what OpenSSL needs: a certificate with its chain and its key, checked and
made into a context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL, crypto

from wsplug.errors import InvalidOption
from wsplug.files import readBytes
from wsplug.tls.options import TLSFiles

__all__ = ["Loaded", "load"]

_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""
Of TLS 1.2: those with forward secrecy and authenticated encryption only (RFC 9325
section 4.2). Twisted's own choice has others behind them, for clients of long ago. TLS
1.3 has no bad ones.
"""

_OPTIONS: Final = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_ECDH_USE
    | SSL.OP_NO_TICKET
    | getattr(SSL, "OP_NO_RENEGOTIATION", 1 << 30)
)
"""
As in C{twisted.internet.ssl.CertificateOptions}, and no renegotiation. The number is
OpenSSL's, for a pyOpenSSL that doesn't name it yet.
"""

_ALPN: Final = b"http/1.1"
"""
What is spoken here (RFC 7301; RFC 6455 has no other).
"""

_KEY: Final = re.compile(
    rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL
)


@dataclass(frozen=True)
class Loaded:
    """
    What was read.

    @ivar context: ready for connections.
    @ivar names: that the certificate is for, or its subject where it has none.
    @ivar begins: when it begins to be valid.
    @ivar ends: when it ceases to be.
    """

    context: SSL.Context
    names: str
    begins: datetime
    ends: datetime


def load(files: TLSFiles) -> Loaded:
    """
    Read the files.

    @raise InvalidOption: one can't be read, or isn't what it should be, or certificate
        and key don't belong together. The message names the option and the file.
    """
    try:
        return _load(files)
    except InvalidOption:
        raise
    except Exception as error:
        # Certificates can be wrong in many ways, and keys too weak for OpenSSL.
        raise InvalidOption(
            f"tls-cert: {files.certificate} can't be used: {_reason(error)}"
        ) from None


def _load(files: TLSFiles) -> Loaded:
    data = _read("tls-cert", files.certificate)
    chain = _certificates("tls-cert", files.certificate, data)
    key = _key(files, data, chain[0])
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    # Connections at rest hold no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_chooseProtocol)
    context.use_certificate(chain[0])
    for between in chain[1:]:
        context.add_extra_chain_cert(between)
    context.use_privatekey(key)
    if files.clientCA is not None:
        _askClients(context, files.clientCA, files.clientRequired)
    # Last: to look which ciphers there are makes a connection, and nothing may be
    # changed after one.
    context.set_cipher_list(_CIPHERS)
    leaf = chain[0]
    return Loaded(
        context, _names(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


def _chooseProtocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """
    Choose what is spoken (RFC 7301 section 3.2).

    @raise SSL.Error: nothing that is spoken here is offered. Whatever a callback raises
        has OpenSSL send the alert no_application_protocol, and comes out of the
        handshake, as other errors do.
    """
    if _ALPN in offered:
        return _ALPN
    raise SSL.Error([("SSL routines", "", "no application protocol")])


def _read(option: str, path: str) -> bytes:
    return readBytes(path, f"{option}: can't read")


def _certificates(option: str, path: str, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise InvalidOption(
            f"{option}: {path} has no certificate in PEM (-----BEGIN CERTIFICATE-----)"
            + (", or a broken one" if b"BEGIN CERTIFICATE" in data else "")
        ) from None


def _key(files: TLSFiles, data: bytes, certificate: x509.Certificate) -> Any:
    """
    Read the private key of a certificate.

    @param data: what is in the certificate's file.
    """
    path = files.key
    if path is not None:
        data = _read("tls-key", path)
    match = _KEY.search(data)
    if match is None:
        if path is None:
            raise InvalidOption(
                f"tls-cert: {files.certificate} has no private key; say --tls-key PATH"
            )
        raise InvalidOption(
            f"tls-key: {path} has no private key in PEM (-----BEGIN PRIVATE KEY-----)"
        )
    where = f"tls-key: the key in {path or files.certificate}"
    try:
        key: Any = load_pem_private_key(match[0], None)
    except TypeError:
        raise InvalidOption(
            f"{where} is encrypted, and there is nobody to ask for the passphrase; "
            "openssl pkey -in OLD -out NEW takes it off"
        ) from None
    except Exception:
        # What else is wrong about a key has exceptions of many kinds.
        raise InvalidOption(f"{where} is none that OpenSSL can read") from None
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise InvalidOption(
            f"{where} does not belong to the first certificate in {files.certificate}"
        )
    return key


def _public(key: Any) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _askClients(context: SSL.Context, path: str, required: bool) -> None:
    """
    Have clients asked for a certificate, and say whose.
    """
    store = context.get_cert_store()
    assert store is not None
    for each in _certificates("tls-client-ca", path, _read("tls-client-ca", path)):
        store.add_cert(crypto.X509.from_cryptography(each))
        # Browsers offer only what is of use then.
        context.add_client_ca(each)
    flags = SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE
    context.set_verify(flags | SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else flags)
    # OpenSSL wants one wherever certificates are asked for.
    context.set_session_id(b"wsplug")


def _names(certificate: x509.Certificate) -> str:
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        names = [str(name.value) for name in extension.value]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    return ", ".join(names) or certificate.subject.rfc4514_string() or "nobody"


def _reason(error: Exception) -> str:
    """
    Say what OpenSSL has to say.
    """
    try:
        return str(error.args[0][-1][2])
    except (IndexError, TypeError):
        return str(error) or type(error).__name__
