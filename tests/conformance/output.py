"""The output of a run."""

import html
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.judge import BAD_KINDS, CaseResult, Judgement, Kind

GROUPS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits",
    "10": "auto-fragmentation",
    "12": "compression, payloads",
    "13": "compression, parameters",
}

_ROW = "{:<26}{:>7}{:>7}{:>15}{:>7}{:>9}"

# Longer output is cut: some cases send thousands of frames.
_MAX_TEXT = 400


def write_index(results: Mapping[str, CaseResult], reports: Path) -> None:
    """
    Write an index of all cases, of the same form as the testsuite's own ones.

    @param results: the results by case.
    @param reports: the folder to write it to.
    """
    index = {
        "server": {
            case_id: {
                "behavior": result.behavior,
                "behaviorClose": result.behavior_close,
                "duration": result.milliseconds,
                "remoteCloseCode": result.detail.get("remoteCloseCode"),
                "reportfile": Path(result.report).relative_to(reports).as_posix(),
            }
            for case_id, result in results.items()
        }
    }
    text = json.dumps(index, indent=3, sort_keys=True)
    (reports / "index.json").write_text(text, encoding="utf-8")


def table(judgement: Judgement, results: Mapping[str, CaseResult]) -> Iterator[str]:
    """
    @param judgement: the judgement.
    @param results: the results by case.
    @return: the lines of a table of the groups of cases.
    """
    groups: dict[str, list[str]] = {}
    for case_id in judgement.kinds:
        groups.setdefault(case_id.split(".")[0], []).append(case_id)
    yield _ROW.format("group", "cases", "OK", "informational", "other", "seconds")
    for group, case_ids in [*groups.items(), ("all", list(judgement.kinds))]:
        kinds = [judgement.kinds[case_id] for case_id in case_ids]
        passed = kinds.count(Kind.PASSED)
        informational = kinds.count(Kind.INFORMATIONAL)
        seconds = sum(results[i].milliseconds for i in case_ids if i in results) / 1000
        yield _ROW.format(
            f"{group} {GROUPS.get(group, '')}".strip(),
            len(kinds),
            passed,
            informational,
            len(kinds) - passed - informational,
            f"{seconds:.1f}",
        )


def bad_cases(judgement: Judgement, results: Mapping[str, CaseResult]) -> Iterator[str]:
    """
    @param judgement: the judgement.
    @param results: the results by case.
    @return: a description of each case that is not as it should be, by lines.
    """
    for case_id, kind in judgement.kinds.items():
        if kind in BAD_KINDS and kind is not Kind.NOT_RUN:
            yield from _describe(results[case_id], kind)
    missing = [i for i, kind in judgement.kinds.items() if kind is Kind.NOT_RUN]
    if missing:
        yield ""
        yield from textwrap.wrap(
            f"{len(missing)} cases not run: {', '.join(missing)}",
            88,
            subsequent_indent="    ",
        )


def summary(judgement: Judgement) -> str:
    """
    @param judgement: the judgement.
    @return: the last line to print.
    """
    parts = [f"{judgement.passed} passed", f"{judgement.failed} failed"]
    expected = list(judgement.kinds.values()).count(Kind.EXPECTED_FAILURE)
    if expected:
        parts.append(f"{expected} failed as expected")
    if judgement.errors:
        count = len(judgement.errors)
        parts.append("1 error" if count == 1 else f"{count} errors")
    return ", ".join(parts)


def _describe(result: CaseResult, kind: Kind) -> Iterator[str]:
    """
    @param result: the result of a case.
    @param kind: what became of the case.
    @return: the lines that describe it.
    """
    detail = result.detail
    yield ""
    yield (
        f"case {result.case_id} {kind.value}: {result.behavior}, "
        f"close {result.behavior_close}"
    )
    for label, text in (
        ("description", detail.get("description")),
        ("expectation", detail.get("expectation")),
        ("expected", _expected(detail.get("expected") or {})),
        ("received", _events(detail.get("received") or [])),
        ("result", detail.get("result")),
        ("closing", _closing(detail)),
    ):
        yield from textwrap.wrap(
            f"{label + ':':<13}{_plain(str(text))}",
            88,
            initial_indent="    ",
            subsequent_indent=" " * 17,
        )
    yield f"    {'report:':<13}{result.report}"


def _expected(expected: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """@param expected: for each behavior, the events that define it.
    @return: the same in readable form.
    """
    # Some cases, including those with many messages, judge in their own way.
    return (
        "; ".join(
            f"{behavior}: {_events(events)}" for behavior, events in expected.items()
        )
        or "(see the expectation)"
    )


def _events(events: Sequence[Sequence[Any]]) -> str:
    """
    @param events: what a fuzzing client received: a kind each, with a payload or the
        name of a delay that passed, and for messages whether they were binary.
    @return: the same to be read by people.
    """
    return ", ".join(f"{event[0]} {event[1]!r}" for event in events) or "(no events)"


def _closing(detail: Mapping[str, Any]) -> str:
    """
    @param detail: the report on a case.
    @return: how the connection was closed.
    """
    code, reason = detail.get("remoteCloseCode"), detail.get("remoteCloseReason")
    parts = [
        str(detail.get("resultClose")),
        "no close code received"
        if code is None
        else f"received code {code} {reason!r}",
        str(detail.get("wasNotCleanReason") or "clean"),
    ]
    return "; ".join(parts)


def _plain(text: str) -> str:
    """
    @param text: a text with HTML tags and line breaks.
    @return: the text in one line, cut when it is long.
    """
    text = html.unescape(re.sub(r"</?\w+\s*/?>", " ", text))
    return textwrap.shorten(text, _MAX_TEXT, placeholder=" ...")
