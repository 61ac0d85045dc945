"""
OpenSSL contexts from files: a certificate with its chain and its key.
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
The ciphers for TLS 1.2: only those with forward secrecy and authenticated encryption
(RFC 9325 section 4.2). Twisted's defaults have others, for very old clients. All
ciphers of TLS 1.3 are good.
"""

_OPTIONS: Final = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_ECDH_USE
    | SSL.OP_NO_TICKET
    | getattr(SSL, "OP_NO_RENEGOTIATION", 1 << 30)
)
"""
As in C{twisted.internet.ssl.CertificateOptions}, and without renegotiation. The number
is for versions of pyOpenSSL that don't name the constant.
"""

_ALPN: Final = b"http/1.1"
"""
The application protocol (RFC 7301). WebSocket has no other one.
"""

_KEY: Final = re.compile(
    rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL
)


@dataclass(frozen=True)
class Loaded:
    """
    A loaded certificate.

    @ivar context: for connections.
    @ivar names: the certificate's names, or its subject if it has none.
    @ivar begins: when it becomes valid.
    @ivar ends: when it expires.
    """

    context: SSL.Context
    names: str
    begins: datetime
    ends: datetime


def load(files: TLSFiles) -> Loaded:
    """
    Load the files.

    @raise InvalidOption: a file can't be read or has the wrong content, or the
        certificate and the key don't match. The message names the option and the file.
    """
    try:
        return _load(files)
    except InvalidOption:
        raise
    except Exception as error:
        # Certificates can be invalid in many ways, and keys too weak for OpenSSL.
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
    # Idle connections hold no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_chooseProtocol)
    context.use_certificate(chain[0])
    for between in chain[1:]:
        context.add_extra_chain_cert(between)
    context.use_privatekey(key)
    if files.clientCA is not None:
        _askClients(context, files.clientCA, files.clientRequired)
    # Last, because this makes a connection, after which nothing may be changed.
    context.set_cipher_list(_CIPHERS)
    leaf = chain[0]
    return Loaded(
        context, _names(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc
    )


def _chooseProtocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """
    Choose the application protocol (RFC 7301 section 3.2).

    @raise SSL.Error: the client doesn't offer it. OpenSSL then sends the alert
        no_application_protocol, and the handshake fails with this error.
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

    @param data: the content of the certificate's file.
    """
    path = files.key
    if path is not None:
        data = _read("tls-key", path)
    match = _KEY.search(data)
    if match is None:
        if path is None:
            raise InvalidOption(
                f"tls-cert: {files.certificate} has no private key; use --tls-key PATH"
            )
        raise InvalidOption(
            f"tls-key: {path} has no private key in PEM (-----BEGIN PRIVATE KEY-----)"
        )
    where = f"tls-key: the key in {path or files.certificate}"
    try:
        key: Any = load_pem_private_key(match[0], None)
    except TypeError:
        raise InvalidOption(
            f"{where} is encrypted; remove the passphrase with "
            "openssl pkey -in OLD -out NEW"
        ) from None
    except Exception:
        # Invalid keys cause exceptions of many kinds.
        raise InvalidOption(f"{where} can't be read by OpenSSL") from None
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
    Ask clients for a certificate of one of the authorities in a file.
    """
    store = context.get_cert_store()
    assert store is not None
    for each in _certificates("tls-client-ca", path, _read("tls-client-ca", path)):
        store.add_cert(crypto.X509.from_cryptography(each))
        # Browsers then offer only matching certificates.
        context.add_client_ca(each)
    flags = SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE
    context.set_verify(flags | SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else flags)
    # OpenSSL requires an ID when clients are asked for certificates.
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
    Return OpenSSL's reason for an error.
    """
    try:
        return str(error.args[0][-1][2])
    except (IndexError, TypeError):
        return str(error) or type(error).__name__
