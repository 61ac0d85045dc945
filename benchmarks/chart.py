"""
The bar chart, as SVG that is readable on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.report import SUBJECT, Run, figure
from benchmarks.servers import Server
from benchmarks.statistics import Summary
from benchmarks.workloads import Workload

_WIDTH = 960
_MARGIN = 16
_GAP = 40
_COLUMNS = 2
_PANEL = (_WIDTH - 2 * _MARGIN - _GAP * (_COLUMNS - 1)) // _COLUMNS
_LABEL = 150
_NUMBER = 70
_BAR = _PANEL - _LABEL - _NUMBER
_STEP = 20
_TITLE = 26
_HEAD = 56

# The page's own colours where it is shown alone; text takes part in the change.
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.head { font-size: 17px; font-weight: 600; }
.title { font-size: 13px; font-weight: 600; }
.quiet { fill: #59636e; }
.page { fill: #ffffff; }
.own { fill: #0969da; }
.peer { fill: #a5aeb8; }
.limit { fill: none; stroke: #59636e; stroke-dasharray: 3 2; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .page { fill: #0d1117; }
  .own { fill: #4493f8; }
  .peer { fill: #57606a; }
  .limit { stroke: #9198a1; }
  .spread { stroke: #f0f6fc; }
}
"""


def chart(run: Run) -> str:
    """
    @return: a panel of bars for each workload, as an SVG document.
    """
    panels = [panel for each in run.workloads if (panel := _bars(run, each))]
    body: list[str] = []
    top = _HEAD
    for begin in range(0, len(panels), _COLUMNS):
        row = panels[begin : begin + _COLUMNS]
        for column, (workload, bars) in enumerate(row):
            left = _MARGIN + column * (_PANEL + _GAP)
            body.append(f'<g transform="translate({left} {top})">')
            body.extend(_panel(workload, bars))
            body.append("</g>")
        top += _TITLE + _STEP * max(len(bars) for _, bars in row) + 18
    head = (
        "Longer bars are better, but for memory. Lines are the lowest and the highest "
        "round; dashed bars are the bare echo in C."
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
            f'width="{_WIDTH}" height="{top}" role="img" '
            'aria-label="wsplug and other WebSocket servers">',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{top}"/>',
            f'<text class="head" x="{_MARGIN}" y="24">'
            "wsplug and other WebSocket servers, one core each</text>",
            f'<text class="quiet" x="{_MARGIN}" y="42">{escape(head)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


_Bars = list[tuple[Server, Summary]]


def _bars(run: Run, workload: Workload) -> tuple[Workload, _Bars] | None:
    bars = [
        (server, run.summaries[workload.name, server.name])
        for server in run.servers
        if (workload.name, server.name) in run.summaries
    ]
    return (workload, bars) if bars else None


def _panel(workload: Workload, bars: _Bars) -> Iterator[str]:
    largest = max(summary.high for _, summary in bars) or 1.0
    unit = "less is better" if workload.lower_is_better else workload.unit
    yield (
        f'<text class="title" y="12">{escape(workload.title)}'
        f'<tspan class="quiet" font-weight="400" dx="8">{escape(unit)}</tspan></text>'
    )
    for index, (server, summary) in enumerate(bars):
        top = _TITLE + index * _STEP
        width = max(_length(summary.value, largest), 1.0)
        middle = top + 6
        low = _LABEL + _length(summary.low, largest)
        high = _LABEL + _length(summary.high, largest)
        yield f'<text x="{_LABEL - 8}" y="{top + 10}" text-anchor="end">'
        yield f"{escape(server.label)}</text>"
        yield (
            f'<rect class="{_class(server)}" x="{_LABEL}" y="{top}" '
            f'width="{width:.1f}" height="12" rx="2"/>'
        )
        yield f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>'
        end = max(high, _LABEL + width) + 6
        yield (
            f'<text class="quiet" x="{end:.1f}" y="{top + 10}">'
            f"{escape(figure(workload, summary.value))}</text>"
        )


def _length(value: float, largest: float) -> float:
    return max(value, 0.0) / largest * _BAR


def _class(server: Server) -> str:
    if server.name.startswith(SUBJECT):
        return "own"
    return "limit" if server.name in ("c", "c-raw") else "peer"
