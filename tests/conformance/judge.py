"""
Judging the reports of the Autobahn testsuite.
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

# How many cases the testsuite has, of all groups.
FULL_COUNT: Final = 517

# Cases that the server is known to fail, each with the reason in a comment. The list is
# strict: a case that passes has to be removed from it.
EXPECTED_FAILURES: Final[frozenset[str]] = frozenset()

# Cases that the testsuite only observes, and reports as INFORMATIONAL in any event.
INFORMATIONAL_CASES: Final = frozenset({"7.1.6", "7.13.1", "7.13.2"})


class ReportError(Exception):
    """A report does not have the testsuite's format."""


class Kind(enum.Enum):
    """The outcome of a case."""

    PASSED = "passed"
    INFORMATIONAL = "informational"
    EXPECTED_FAILURE = "failed as expected"
    FAILED = "failed"
    UNEXPECTED_PASS = "passed, but is listed as an expected failure"
    NOT_RUN = "not run"


GOOD_KINDS: Final = frozenset({Kind.PASSED, Kind.INFORMATIONAL})
BAD_KINDS: Final = frozenset({Kind.FAILED, Kind.UNEXPECTED_PASS, Kind.NOT_RUN})


@dataclass(frozen=True)
class CaseResult:
    """
    What the testsuite reports about a case.

    @ivar case_id: the case's number, such as C{"12.1.10"}.
    @ivar behavior: the judgement on what the server did.
    @ivar behavior_close: the judgement on how the connection was closed.
    @ivar milliseconds: how long the case took.
    @ivar report: the path of the case's own report.
    @ivar detail: the content of that report.
    """

    case_id: str
    behavior: str
    behavior_close: str
    milliseconds: int
    report: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Judgement:
    """
    The outcome of a run.

    @ivar kinds: what became of each case that was asked for, in their order.
    @ivar errors: what is wrong with the run as a whole.
    """

    kinds: dict[str, Kind]
    errors: list[str]

    @property
    def passed(self) -> int:
        """
        @return: how many cases passed.
        """
        return sum(kind in GOOD_KINDS for kind in self.kinds.values())

    @property
    def failed(self) -> int:
        """
        @return: how many cases did not, without those expected to fail.
        """
        return sum(kind in BAD_KINDS for kind in self.kinds.values())

    @property
    def good(self) -> bool:
        """@return: whether the run is successful."""
        return not self.failed and not self.errors


def read_index(
    index: Mapping[str, Any],
    details: Mapping[str, Mapping[str, Any]],
    folder: str,
) -> dict[str, CaseResult]:
    """Parse the reports of a fuzzing client.

    @param index: the content of its C{index.json}: for each server, for each case, a
        summary.
    @param details: the content of the reports on single cases, by file name.
    @param folder: the path of the folder they are in.
    @return: the results by case.
    @raise ReportError: a part is missing, or the parts do not agree.
    """
    results: dict[str, CaseResult] = {}
    for cases in index.values():
        for case_id, entry in cases.items():
            if case_id in results:
                raise ReportError(f"case {case_id} is reported twice in {folder}")
            try:
                name = entry["reportfile"]
                result = CaseResult(
                    case_id=case_id,
                    behavior=entry["behavior"],
                    behavior_close=entry["behaviorClose"],
                    milliseconds=entry["duration"],
                    report=f"{folder}/{name}",
                    detail=details[name],
                )
                reported = [
                    result.detail[key] for key in ("id", "behavior", "behaviorClose")
                ]
            except KeyError as error:
                raise ReportError(
                    f"the report on case {case_id} in {folder} lacks {error}"
                ) from error
            if reported != [case_id, result.behavior, result.behavior_close]:
                raise ReportError(
                    f"{result.report} does not agree with the index: {reported}"
                )
            results[case_id] = result
    return results


def classify(result: CaseResult, expected_failure: bool) -> Kind:
    """
    Judge a single case.

    @param result: its result.
    @param expected_failure: whether it is listed as an expected failure.
    @return: what became of it.
    """
    behaviors = {result.behavior, result.behavior_close}
    if behaviors == {"OK"}:
        kind = Kind.PASSED
    elif behaviors == {"INFORMATIONAL"} and result.case_id in INFORMATIONAL_CASES:
        kind = Kind.INFORMATIONAL
    else:
        return Kind.EXPECTED_FAILURE if expected_failure else Kind.FAILED
    return Kind.UNEXPECTED_PASS if expected_failure else kind


def judge(
    results: Mapping[str, CaseResult],
    asked: Sequence[str],
    required_count: int | None = None,
    expected_failures: Collection[str] = EXPECTED_FAILURES,
) -> Judgement:
    """
    Judge a run.

    @param results: the results by case.
    @param asked: the cases that were to be run.
    @param required_count: how many these have to be; None where it does not matter.
    @param expected_failures: the cases that have to fail.
    @return: the judgement.
    """
    kinds = {
        case_id: (
            classify(results[case_id], case_id in expected_failures)
            if case_id in results
            else Kind.NOT_RUN
        )
        for case_id in asked
    }
    errors = []
    if required_count is not None and len(kinds) != required_count:
        errors.append(
            f"the testsuite has {len(kinds)} cases, it should have {required_count}"
        )
    extra = [case_id for case_id in results if case_id not in kinds]
    if extra:
        errors.append(f"cases were run that nobody asked for: {', '.join(extra)}")
    return Judgement(kinds, errors)
