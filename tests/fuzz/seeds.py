"""The seeds for fuzzing: valid inputs, generated here instead of stored in files."""

from __future__ import annotations

from tests.codec.threeways import frame

__all__ = ["SEEDS"]

_HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
_FIELDS = (
    b"Upgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)
_OFFER = b"permessage-deflate; client_max_window_bits"
_FRAGMENTS = frame(0x01, b"H\xc3") + frame(0x89, b"!") + frame(0x80, b"\xbc")
_STORED = b"\x00\x05\x00\xfa\xffHello\x00"
_FINAL = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
_PROXY = b"\r\n\r\n\x00\r\nQUIT\n"

_ENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"
_PARTS = b'Content-Type: multipart/form-data; boundary="b"\r\n'
_PART = (
    b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n'
    b"Content-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
)
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_LAST = b"\r\n0\r\n\r\n"

SEEDS: dict[str, list[bytes]] = {
    "head": [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
        b"GET /chat HTTP/1.1\r\nHost: [::1]:80\r\n" + _FIELDS + b"\r\n",
        b"\r\nPOST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PUT / HTTP/1.1\r\nhost:a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    "body": [
        b"\x05\x00\x80hello, and more",
        b"\x00\x00\x40" + b'5;a=b;c="d"\r\nhello\r\n00\r\nA: b\r\n\r\nGET /',
        b"\x00\x00\xc0" + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n",
    ],
    "handshake": [
        _FIELDS + b"\r\n",
        _FIELDS + b"Sec-WebSocket-Protocol: a, b\r\n\r\n",
        _FIELDS + b"Sec-WebSocket-Extensions: " + _OFFER + b"\r\n\r\n",
        _FIELDS.replace(b"13", b"8") + b"\r\n",
    ],
    "extensions": [
        _OFFER,
        _OFFER + b'=10; server_max_window_bits="9", permessage-deflate',
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        b"foo; a=b; c, bar,",
    ],
    "receiver": [
        b"\x00\x80" + frame(0x81, b"Hello") + frame(0x82, b"x" * 126),
        b"\x00\x40" + _FRAGMENTS + frame(0x88, b"\x03\xe8bye"),
        b"\x01\x80" + frame(0x81, b"Hello", key=None) + frame(0x8A, key=None),
        b"\x00\x80" + frame(0x82, b"", declared=65536),
    ],
    "compressed": [
        b"\x0e\x80" + frame(0xC1, _HELLO) + frame(0x81, b"plain"),
        b"\x1e\x80" + frame(0xC1, _HELLO) + frame(0xC1, b"\xf2\x00\x11\x00\x00"),
        b"\x0e\x80" + frame(0x41, _HELLO[:3]) + frame(0x80, _HELLO[3:]),
        b"\x0f\x80" + frame(0xC2, _STORED, key=None) + frame(0xC2, _FINAL, key=None),
    ],
    "close": [b"", b"\x03\xe8", b"\x03\xe9gr\xc3\xbc\xc3\x9f", b"\x0b\xb8\xed\xa0"],
    "forwarded": [
        b"192.0.2.1, [2001:db8::1]:80, unknown\n::ffff:192.0.2.1",
        b'for="[2001:db8::1]:80";proto=https, for=192.0.2.1;by=_a;host="a,\\"b"',
        b"https, http\nwss",
    ],
    "proxyheader": [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET /",
        b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
        b"PROXY UNKNOWN\r\n",
        _PROXY + b"\x20\x00\x00\x00",
        _PROXY + b"\x21\x11\x00\x10" + b"\xc0\x00\x02\x01" * 3 + b"\x04\x00\x01a",
        _PROXY + b"\x21\x21\x00\x24" + bytes(36) + b"GET /",
        _PROXY + b"\x21\x31\x00\xd8" + b"/run/a".ljust(216, b"\0"),
    ],
    "origin": [
        b"https://example.org\nserver.example:9000",
        b"https://a.b.example.org:8443\na.b.example.org:8443",
        b"http://server.example:9000\nserver.example:9000",
        b"http://[::1]\n[0:0::1]:80",
        b"null\nnull",
    ],
    "credentials": [
        b"Basic YW5uOnNlY3JldA==",
        b"Bearer 3q2-7w.abc_def~+/==",
        b"ann:se:cret",
        b'{"type":"auth","token":"3q2-7w","request":1}',
    ],
    "request": [
        b"\x00\x80Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x01\x80" + _ENCODED + b"Content-Length: 15\r\n\r\na=b&c=%41+d;e=f&",
        b"\x01\xc0" + _PARTS + b"Content-Length: %d\r\n\r\n" % len(_PART) + _PART,
        b"\x01\x20" + _PARTS + _CHUNKED + b"%x\r\n" % len(_PART) + _PART + _LAST,
        b"\x00\xf0" + _CHUNKED + b"3;a=b\r\nabc\r\n2\r\nde" + _LAST + b"POST /",
        b"\x02\x80Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x02\xf0" + _CHUNKED + b"3;a=b\r\nabc\r\n2\r\nde" + _LAST + b"POST /",
        b"\x00\x40Expect: 100-continue\r\nContent-Length: 1001\r\n\r\nabc",
    ],
}
"""The seeds by the target's name."""
