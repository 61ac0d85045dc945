"""
Pages from elsewhere: whose name is made to lead here, and which show ours in a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import DESK, PHONE, REBOUND, Visitor
from tests.processes import HOST, Server, serve

NAMED = f"named.{REBOUND}"

CONNECTS = """name => new Promise(resolve => {
  const socket = new WebSocket(`ws://${location.host}/${name}`);
  socket.onopen = () => resolve(true);
  socket.onclose = () => resolve(false);
})"""

POSTS = """headers => fetch("-/nothing", {method: "POST", headers, body: "x"})
  .then(response => response.status)"""

FRAMES = """url => new Promise(resolve => {
  const frame = document.createElement("iframe");
  frame.onload = () => resolve();
  frame.src = url;
  document.body.append(frame);
})"""


CONTRASTS = """() => {
  const parse = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = color => {
    const [r, g, b] = parse(color).map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = element => {
    const ground = getComputedStyle(element).backgroundColor;
    return ground === "rgba(0, 0, 0, 0)" ? groundOf(element.parentElement) : ground;
  };
  return [...document.querySelectorAll("h1, .about, main a, main span")].map(each => {
    const [less, more] = [getComputedStyle(each).color, groundOf(each)]
      .map(light).sort((a, b) => a - b);
    return (more + 0.05) / (less + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    An echo that has a name besides its address.
    """
    folder = tmp_path_factory.mktemp("echo")
    with serve(folder, "--app=echo", f"--allowed-host={NAMED}") as server:
        yield server


@pytest.mark.parametrize(
    ("host", "connects"),
    [(REBOUND, False), (NAMED, True), (HOST, True), ("localhost", True)],
)
def test_rebound(visit: Visitor, server: Server, host: str, connects: bool) -> None:
    """
    A page whose name leads to this machine can't connect, nor have anything that it
    posts looked at, whatever headers it adds; one that has a name of the server's can.
    """
    page = visit(f"http://{host}:{server.port}/")
    assert page.run(CONNECTS, "") is connects
    for headers in ({}, {"X-Forwarded-For": "203.0.113.5", "Forwarded": "for=a"}):
        assert (page.run(POSTS, headers) == 421) is not connects
    page.errors.clear()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A server whose page may show whatever it likes.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    pages = folder / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(
        "<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>"
    )
    (folder / "elsewhere.py").write_text(
        "from wsplug import application\n\n"
        f"@application('elsewhere', pages={str(pages)!r})\n"
        "async def elsewhere(socket): pass\n"
    )
    with serve(folder, "--app=elsewhere.py") as server:
        yield server


REACHES = """url => new Promise(resolve => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve(true);
  socket.onclose = () => resolve(false);
})"""


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_another_port(
    visit: Visitor, elsewhere: Server, host: str, tmp_path: Path
) -> None:
    """
    A page of another port of the same host connects, by each name of the machine,
    unless the strict rule holds. One of another host doesn't, and the log says which.
    """
    with (
        serve(tmp_path, "--app=echo") as server,
        serve(tmp_path, "--app=echo", "--origin=same-origin") as strict,
    ):
        page = visit(f"http://{host}:{elsewhere.port}/")
        for name in (HOST, "localhost", "app.localhost"):
            assert page.run(REACHES, f"ws://{name}:{server.port}/")
        assert not page.run(REACHES, f"ws://{host}:{strict.port}/")
        foreign = f"http://{REBOUND}:{elsewhere.port}"
        page = visit(f"{foreign}/")
        assert not page.run(REACHES, f"ws://{HOST}:{server.port}/")
        server.waitForLog(
            f"refused: 403 pages of {foreign} may not connect; "
            f"--origin {foreign} allows them (origin)"
        )


def test_file(visit: Visitor, tmp_path: Path) -> None:
    """
    A page that is opened from a file doesn't connect, and connects with what the log
    says to add.
    """
    (tmp_path / "page.html").write_text("<!doctype html><title>File</title>")
    page = visit((tmp_path / "page.html").as_uri())
    with serve(tmp_path, "--app=echo") as server:
        assert not page.run(REACHES, f"ws://{HOST}:{server.port}/")
        server.waitForLog("refused: 403 pages with the origin null, such as files")
        server.waitForLog("--origin null allows them")
    with serve(tmp_path, "--app=echo", "--origin", "null") as server:
        server.waitForLog("--origin null lets every page connect")
        assert page.run(REACHES, f"ws://{HOST}:{server.port}/")


def isFramed(visit: Visitor, page: str, url: str) -> bool:
    """
    Have a page show another one in a frame.

    @return: whether the browser does.
    """
    visited = visit(page)
    visited.run(FRAMES, url)
    # In place of what it may not show, it has a page of its own that says so.
    shown: bool = visited.page.frames[-1].url == url
    # It complains, too.
    visited.errors.clear()
    return shown


def test_framed(visit: Visitor, server: Server, elsewhere: Server) -> None:
    """
    A page of another host, or another port of the same, can't show ours in a frame.
    """
    for host in (HOST, "localhost"):
        page = f"http://{host}:{elsewhere.port}/"
        assert not isFramed(visit, page, f"http://{HOST}:{server.port}/")
        # It could, if nobody minded.
        assert isFramed(visit, page, page)


def test_framed_by(visit: Visitor, elsewhere: Server, tmp_path: Path) -> None:
    """
    One that is named can.
    """
    named = f"http://localhost:{elsewhere.port}"
    with serve(tmp_path, "--app=echo", f"--frame-ancestor={named}") as server:
        url = f"http://{HOST}:{server.port}/"
        assert isFramed(visit, f"{named}/", url)
        assert not isFramed(visit, f"http://{HOST}:{elsewhere.port}/", url)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_list(visit: Visitor, tmp_path: Path, dark: bool, size: dict[str, int]) -> None:
    """
    The page of a server's applications leads to theirs, and is readable: its text is at
    least 4.5 times as bright or dark as the ground (WCAG 2.2, 1.4.3), and fits.
    """
    arguments = ("--app=echo", "--app=bot", "--app=chat:path=/team/chat")
    with serve(tmp_path, *arguments) as server:
        page = visit(f"http://{HOST}:{server.port}/", dark=dark, size=size)
        page.show(f"list-{'dark' if dark else 'light'}-{size['width']}")
        for contrast in page.run(CONTRASTS):
            assert contrast >= 4.5
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.run("document.querySelectorAll('main, h1').length") == 2
        page.page.click("text=bot")
        page.page.wait_for_url(f"http://{HOST}:{server.port}/bot/")
