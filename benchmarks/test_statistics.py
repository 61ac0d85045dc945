"""Tests that need neither servers nor time: arithmetic, choices, pages::

pytest benchmarks
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.budgets import BUDGETS
from benchmarks.chart import chart
from benchmarks.command import Session, rotate, select
from benchmarks.errors import SetupError, tail
from benchmarks.installing import Installation, explain, fingerprint
from benchmarks.measuring import Cores, Sample, Timing
from benchmarks.peers.chat import answer, notice
from benchmarks.report import (
    DASH,
    TIMES,
    Run,
    budget_lines,
    figure,
    latency,
    number,
    overview,
    page,
)
from benchmarks.servers import SERVERS, Server
from benchmarks.statistics import Budget, Summary, judge, ratio, summarize
from benchmarks.workloads import WORKLOADS, Workload
from wsplug.apps.chat import chat
from wsplug.testing import MemoryServer

BY_NAME = {workload.name: workload for workload in WORKLOADS}


def summary(value: float, server: float | None = None) -> Summary:
    """@return: the summary of rounds with equal results."""
    return Summary(value, value, value, None, None, None, server)


def test_summarize() -> None:
    """The result is the median of the rounds, with the extremes beside it."""
    samples = [
        Sample(300.0, 10.0, 20.0, 0.5, 1.0),
        Sample(100.0, 30.0, 90.0, 0.4, 0.8),
        Sample(200.0, 20.0, 50.0, 0.6, 0.9),
    ]
    result = summarize(samples)
    assert (result.value, result.low, result.high) == (200.0, 100.0, 300.0)
    assert (result.p50, result.p99) == (20.0, 50.0)
    assert (result.generator, result.server) == (0.5, 0.9)


def test_summarize_memory() -> None:
    """
    Memory has no latency and no load.
    """
    result = summarize([Sample(2048.0), Sample(4096.0)])
    assert result.value == 3072.0
    assert result.p50 is None
    assert result.per_processor_second is None


def test_per_processor_second() -> None:
    """A server that got half of its core would do twice as much with a whole core."""
    assert summary(100.0, server=0.5).per_processor_second == 200.0
    assert summary(100.0, server=0.0).per_processor_second is None


def test_ratio() -> None:
    """A ratio is one of medians; there is none to zero."""
    assert ratio(summary(30.0), summary(10.0)) == 3.0
    assert ratio(summary(30.0), summary(0.0)) is None


def test_judge_met() -> None:
    """A goal that is reached exactly is met."""
    figures = {("w", "wsplug"): summary(50.0), ("w", "autobahn"): summary(10.0)}
    verdict = judge(Budget("w", 5, "autobahn"), figures)
    assert verdict.value == 5.0
    assert verdict.met is True
    assert verdict.missed_by == 0.0


def test_judge_missed() -> None:
    """The distance from a missed goal is a share of the goal."""
    figures = {("w", "wsplug"): summary(40.0), ("w", "autobahn"): summary(10.0)}
    verdict = judge(Budget("w", 5, "autobahn"), figures)
    assert verdict.met is False
    assert verdict.missed_by == pytest.approx(0.2)


def test_judge_at_most() -> None:
    """For memory, less is better. The peer may be measured at another workload."""
    figures = {("big", "wsplug"): summary(50.0), ("small", "autobahn"): summary(100.0)}
    budget = Budget("big", 0.4, "autobahn", peer_workload="small", at_most=True)
    verdict = judge(budget, figures)
    assert verdict.value == 0.5
    assert verdict.met is False
    assert verdict.missed_by == pytest.approx(0.25)


def test_judge_bytes() -> None:
    """
    A budget without a peer is a number.
    """
    verdict = judge(Budget("w", 3072, at_most=True), {("w", "wsplug"): summary(3000.0)})
    assert verdict.met is True


def test_judge_not_measured() -> None:
    """A budget without a measurement is neither met nor missed."""
    budget = Budget("w", 5, "autobahn")
    assert judge(budget, {}).met is None
    assert judge(budget, {("w", "wsplug"): summary(1.0)}).met is None


def test_budgets_can_be_judged() -> None:
    """Each budget names an existing workload, and servers that can do it."""
    servers = {server.name: server for server in SERVERS}
    for budget in BUDGETS:
        assert servers[budget.server].fits(BY_NAME[budget.workload])
        if budget.peer is not None:
            workload = budget.peer_workload or budget.workload
            assert servers[budget.peer].fits(BY_NAME[workload]), budget


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (2.346, "2.35"),
        (45.67, "45.7"),
        (789.4, "789"),
        (999.6, "1.00 k"),
        (12_345.0, "12.3 k"),
        (2_100_000.0, "2.10 M"),
    ],
)
def test_number(value: float, text: str) -> None:
    """Figures have three significant digits."""
    assert number(value) == text


def test_units() -> None:
    """Memory is in KiB, latencies are in a suitable unit."""
    assert figure(BY_NAME["idle"], 1536.0) == "1.5 KiB"
    assert figure(BY_NAME["handshakes"], 1536.0) == "1.54 k"
    assert latency(12.34) == "12.3 µs"
    assert latency(12_340.0) == "12.3 ms"
    assert latency(None) == ""


def test_select() -> None:
    """Names keep their usual order. Without any, a quick run uses its own selection."""
    some = select(WORKLOADS, "fanout-8,echo-1-text", False, "workload")
    assert [each.name for each in some] == ["echo-1-text", "fanout-8"]
    assert select(WORKLOADS, None, False, "workload") == list(WORKLOADS)
    assert all(each.quick for each in select(SERVERS, None, True, "server"))


def test_select_unknown() -> None:
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(SetupError, match="no server is called 'nobody': aiohttp"):
        select(SERVERS, "wsplug,nobody", False, "server")


def test_names_are_unique() -> None:
    """The words of the command line are unique."""
    assert len(BY_NAME) == len(WORKLOADS)
    assert len({server.name for server in SERVERS}) == len(SERVERS)


def test_needs() -> None:
    """A handshake that offers compression works with servers that decline it;
    compressed messages don't.
    """
    servers = {server.name: server for server in SERVERS}
    assert servers["picows"].fits(BY_NAME["handshakes"])
    assert not servers["picows"].fits(BY_NAME["echo-deflate"])
    assert not servers["c"].fits(BY_NAME["fanout-1"])


def test_arguments() -> None:
    """The generator gets the whole workload, and fewer connections in a quick run."""
    words = BY_NAME["fanout-8"].arguments(quick=False)
    assert words[:4] == ["--workload", "fanout", "--connections", "1000"]
    assert words[words.index("--in-flight") + 1] == "8"
    assert words[words.index("--publishers") + 1] == "1"
    assert "200" in BY_NAME["idle"].arguments(quick=True)
    assert "--offer" in BY_NAME["handshakes"].arguments(quick=True)


def test_arguments_of_a_chat() -> None:
    """A quick run's rooms have the usual number of clients, or one room holds all of
    them.
    """
    workload = BY_NAME["chat-500-rooms"]
    words = workload.arguments(quick=False)
    assert words[:4] == ["--workload", "chat", "--connections", "2000"]
    assert words[words.index("--rooms") + 1] == "500"
    words = workload.arguments(quick=True)
    assert words[:4] == ["--workload", "chat", "--connections", "200"]
    assert words[words.index("--rooms") + 1] == "50"
    words = BY_NAME["chat-1-room"].arguments(quick=True)
    assert words[words.index("--rooms") + 1] == "1"


def test_rooms_are_full() -> None:
    """A chat's rooms all have the same number of clients, as the generator requires."""
    chats = [workload for workload in WORKLOADS if workload.rooms]
    assert len(chats) == 2
    for quick in (False, True):
        for workload in chats:
            words = workload.arguments(quick)
            rooms = int(words[words.index("--rooms") + 1])
            assert int(words[words.index("--connections") + 1]) % rooms == 0


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_chat_is_served(server: Server) -> None:
    """Each server but the echo in C has a chat. wsplug's is the bundled one: nothing
    is switched off, and only limits that a client without pauses reaches are raised.
    """
    workload = BY_NAME["chat-1-room"]
    assert server.fits(workload) is not server.name.startswith("c")
    if not server.fits(workload):
        return
    line = server.command(Installation(Path("folder"), {}, ""), workload, 9000)
    if server.name.startswith("wsplug"):
        asked = "chat:notices=at-once:rate=1000000:burst=1000000"
        assert line[line.index("--app") + 1] == asked
    else:
        assert line[line.index("--application") + 1] == "chat"


def test_chat_of_peers() -> None:
    """The other servers' chats send the same bytes as wsplug's."""
    server = MemoryServer(chat)
    stays, goes = server.connect("/room-17"), server.connect("/room-17")
    said = json.dumps(
        {"type": "usermsg", "name": "Ann", "message": "00000001 Hi", "color": "#F00"}
    )
    stays.send(said)
    goes.close()
    address = "192.0.2.1"
    assert stays.messages == [
        *(notice(address, "connected"), notice(address, "connected")),
        *(answer(said), notice(address, "disconnected")),
    ]


def test_rotate() -> None:
    """Each round has all servers, and the first servers are spread over all of them."""
    names = [server.name for server in SERVERS]
    rounds = [[each.name for each in rotate(SERVERS, i, 5)] for i in range(5)]
    assert rounds[0] == names
    assert all(sorted(order) == sorted(names) for order in rounds)
    assert len({order[0] for order in rounds}) == 5
    places = sorted(order.index("wsplug") for order in rounds)
    assert places[0] == 0
    assert places[-1] > len(names) / 2
    assert [each.name for each in rotate(SERVERS[:2], 1, 2)] == names[1::-1]


def test_session_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session measures all servers at each workload, and starts each round with
    another server.
    """
    measured: list[str] = []

    def measure(server: Server, workload: Workload, *rest: object) -> Sample:
        measured.append(f"{workload.name} {server.name}")
        return Sample(1.0)

    monkeypatch.setattr("benchmarks.command.measure", measure)
    workloads = [BY_NAME["idle"], BY_NAME["chat-1-room"]]
    installed = Installation(Path("folder"), {}, "")
    session = Session(installed, Cores(1, 0), Timing(0.1, 0.1, True))
    session.run(workloads, SERVERS[:2], 2)
    first, second = SERVERS[0].name, SERVERS[1].name
    assert measured == [
        *(f"idle {first}", f"idle {second}"),
        *(f"chat-1-room {first}", f"chat-1-room {second}"),
        *(f"idle {second}", f"idle {first}"),
        *(f"chat-1-room {second}", f"chat-1-room {first}"),
    ]
    assert {len(samples) for samples in session.samples.values()} == {2}


def a_run() -> Run:
    """@return: a run of two workloads, in which one server failed at one of them."""
    workloads: list[Workload] = [BY_NAME["echo-1-text"], BY_NAME["idle"]]
    servers = [server for server in SERVERS if server.name in ("wsplug", "autobahn")]
    summaries = {
        ("echo-1-text", "wsplug"): Summary(60e3, 50e3, 70e3, 10.0, 20.0, 0.3, 0.9),
        ("echo-1-text", "autobahn"): Summary(20e3, 19e3, 21e3, 30.0, 99.0, 0.1, 1.0),
        ("idle", "wsplug"): summary(2048.0),
    }
    budgets = [
        Budget("echo-1-text", 5, "autobahn"),
        Budget("idle", 3072, at_most=True),
        Budget("idle", 0.4, "autobahn", at_most=True),
    ]
    return Run(
        workloads,
        servers,
        summaries,
        [judge(budget, summaries) for budget in budgets],
        ["autobahn: idle: it broke; the end of its log:\n    oh no"],
        {"Machine": "a small one"},
    )


def test_overview() -> None:
    """
    The table for the terminal has each figure, and wsplug's ratio to the others.
    """
    lines = overview(a_run())
    assert lines[0].startswith("Echo, 32 bytes, 1 in flight, text [echo-1-text]")
    assert "60.0 k" in lines[2]
    assert f"3.00 {TIMES}" in lines[3]


def test_budget_lines() -> None:
    """Each budget shows its result, and by how much it was missed."""
    lines = budget_lines(a_run())
    assert lines[0][1:] == (f"≥ 5 {TIMES} Autobahn", f"3.00 {TIMES}", "missed by 40 %")
    assert lines[1][1:] == ("≤ 3 KiB", "2.0 KiB", "met")
    assert lines[2][2:] == ("", "not measured")


def test_page() -> None:
    """The page is complete: conditions, errors in one line each, budgets, figures,
    options.
    """
    text = page(a_run(), ["echo-1-text"], ["wsplug"])
    assert "| Machine | a small one |" in text
    assert "- autobahn: idle: it broke; the end of its log:\n" in text
    assert "missed by 40 %" in text
    assert f"| wsplug | 60.0 k | 50.0 k {DASH} 70.0 k |" in text
    assert "`echo-1-text`" in text
    assert "$" not in text.replace("\n$ ", "\n")


def test_chart() -> None:
    """The chart is well-formed, has a bar for each figure, and labels it."""
    svg = ElementTree.fromstring(chart(a_run()))
    space = "{http://www.w3.org/2000/svg}"
    bars = [each for each in svg.iter(f"{space}rect") if each.get("class") != "page"]
    assert [bar.get("class") for bar in bars] == ["own", "peer", "own"]
    widths = [float(bar.get("width", "0")) for bar in bars]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)
    texts = " ".join(svg.itertext())
    assert "Autobahn" in texts
    assert "prefers-color-scheme: dark" in texts


def test_tail(tmp_path: Path) -> None:
    """An error has the end of a log only."""
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(100)), "utf-8")
    lines = tail(log).splitlines()
    assert len(lines) < 20
    assert lines[-1] == "    99"
    log.write_text("", "utf-8")
    assert "empty" in tail(log)


def test_explain() -> None:
    """Of a failed command's output, the single most useful line is shown."""
    output = "error: it failed\n  ModuleNotFoundError: No module named 'x'\nbye\n"
    assert explain(output) == "ModuleNotFoundError: No module named 'x'"
    assert explain("a\nfatal error: zlib.h\nb\n") == "fatal error: zlib.h"
    assert explain("a\nb\n") == "b"
    assert explain("") == ""


def test_fingerprint(tmp_path: Path) -> None:
    """wsplug is installed again if one of its files changes content or name."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x", "utf-8")
    two.write_text("x", "utf-8")
    first = fingerprint(tmp_path, [one])
    assert first == fingerprint(tmp_path, [one])
    assert first != fingerprint(tmp_path, [two])
    one.write_text("y", "utf-8")
    assert first != fingerprint(tmp_path, [one])
