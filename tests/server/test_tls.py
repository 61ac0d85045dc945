"""A connection's view of TLS, in memory (wsplug.server.disconnects, request)."""

from __future__ import annotations

import pytest
from cryptography import x509
from OpenSSL.SSL import Error
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from tests.live.certificates import Authority
from tests.server.kit import App, Logs, Recorder, serve
from wsplug.errors import HandshakeRefused
from wsplug.interfaces import IHandshakeRequest
from wsplug.server.disconnects import explainLoss, explainTLS
from wsplug.testing import MemoryServer


@pytest.fixture(scope="module")
def certificate() -> x509.Certificate:
    """A client's certificate."""
    return x509.load_pem_x509_certificate(Authority().issue("ann").certificate)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Error([("SSL routines", "", "http request")]), "this is HTTP without TLS"),
        (Error([("SSL routines", "", "wrong version number")]), "this is not TLS"),
        (Error([("", "", "first"), ("", "", "last")]), "last"),
        (Error([]), "broken off"),
        (Error(), "broken off"),
        (Error(-1, "Unexpected EOF"), "broken off"),
        (ConnectionLost(), None),
        (Exception(), None),
    ],
)
def test_explain(error: Exception, words: str | None) -> None:
    """OpenSSL's errors are explained in plain words; other errors aren't changed."""
    assert explainTLS(Failure(error)) == words
    if words is not None:
        assert explainLoss(Failure(error)) == f"TLS: {words}"


def test_explain_others() -> None:
    """Other reasons are reported as they are."""
    assert explainLoss(Failure(ConnectionDone())) == "went away without closing"
    assert "non-clean" in explainLoss(Failure(ConnectionLost()))


def test_page_without_tls(certificate: x509.Certificate) -> None:
    """A page of the server's host may connect if it uses TLS, too."""
    server = MemoryServer(App())
    page = "https://server.example:8000"
    assert server.connect(certificate=certificate, origin=page).opened
    with pytest.raises(HandshakeRefused, match="may not connect over TLS") as caught:
        server.connect(certificate=certificate, origin=page.replace("s:", ":", 1))
    assert caught.value.status == 403


def test_certificate(certificate: x509.Certificate) -> None:
    """Applications get the client's certificate, even after the connection is lost."""
    app = App()
    client = MemoryServer(app).connect(certificate=certificate)
    (request,) = app.requests
    assert request.isSecure()
    assert request.clientCertificate == certificate
    client.drop()
    assert request.clientCertificate == certificate


def test_no_certificate() -> None:
    """Without TLS, there is no certificate."""
    seen: list[IHandshakeRequest] = []

    def build(request: IHandshakeRequest) -> Recorder:
        seen.append(request)
        return Recorder()

    MemoryServer(App(build)).connect()
    assert seen[0].clientCertificate is None
    assert not seen[0].isSecure()


def test_slow_request_in_tls(certificate: x509.Certificate, logs: Logs) -> None:
    """After the TLS handshake, a request that isn't complete in time gets 408."""
    server = serve(open_timeout=5.0)
    transport = server.connectTransport(certificate=certificate)
    server.advance(6)
    assert transport.take().startswith(b"HTTP/1.1 408 ")
    assert logs.lines("failed in TLS") == []


def test_handshake_in_time(
    certificate: x509.Certificate, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the TLS handshake isn't complete in time, the connection is aborted, and
    nothing is written. The log names the setting."""
    monkeypatch.setattr(
        "wsplug.testing.transport.IHandshakeListener.providedBy",
        lambda _: False,
        raising=False,
    )
    server = serve(open_timeout=5.0)
    transport = server.connectTransport(certificate=certificate)
    server.advance(6)
    assert transport.aborted
    assert transport.take() == b""
    (event,) = logs.events("failed in TLS: no complete handshake in 5 seconds")
    assert event["setting"] == "open-timeout"


def test_error_in_the_handshake(certificate: x509.Certificate, logs: Logs) -> None:
    """OpenSSL's errors about a TLS handshake are logged once, and the connection is
    removed from the count."""
    server = serve(max_connections=1)
    for _ in range(3):
        transport = server.connectTransport(certificate=certificate)
        transport._lose(Failure(Error([("SSL routines", "", "no shared cipher")])))
    assert len(logs.lines("failed in TLS: no shared cipher")) == 3
    assert server.connect().opened


def test_error_after_the_handshake(certificate: x509.Certificate) -> None:
    """Once the WebSocket is open, an error of TLS is the reason why it ends."""
    recorder = Recorder()
    client = serve(recorder).connect(certificate=certificate)
    error = Error([("SSL routines", "", "decryption failed or bad record mac")])
    client.transport._lose(Failure(error))
    assert recorder.closed.code == 1006
    assert recorder.closed.reason == "TLS: decryption failed or bad record mac"
