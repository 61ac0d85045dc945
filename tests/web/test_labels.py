"""
No client can make the metrics grow.
"""

from __future__ import annotations

from tests.server.kit import handshake, raw
from tests.web.kit import Telling


def test_clients_make_up_none() -> None:
    """
    Whatever codes clients close with, and whatever they request, the labels are the
    same few.
    """
    telling = Telling(path="/a", max_address_handshake_rate=100_000)
    server = telling.server
    for code in (1000, 1001, 1003, *range(3000, 3040), *range(4000, 4040)):
        server.connect("/a").close(code, f"reason {code}")
    before = len(telling.scrape())
    for code in range(3040, 5000, 7):
        server.connect(f"/a/{code}?{code}").close(code, f"reason {code}")
        raw(server, handshake(f"GET /nowhere/{code} HTTP/1.1"))
        raw(server, handshake(more=[f"X-{code}: {code}"], line=f"M{code} /a HTTP/1.1"))
        server.run()
    samples = telling.scrape()
    closings = [labels for name, labels in samples if name == "wsplug_closings_total"]
    codes = {dict(labels)["code"] for labels in closings}
    assert codes == {"1000", "1001", "1003", "3000-3999", "4000-4999"}
    # Two or three more: those of the refusals, of which there were none before.
    assert len(samples) - before <= 3
