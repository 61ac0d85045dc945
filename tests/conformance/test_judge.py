"""
Tests of the judgement on the testsuite's reports.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from tests.conformance.judge import (
    EXPECTED_FAILURES,
    CaseResult,
    Judgement,
    Kind,
    ReportError,
    judge,
    read_index,
)

Behaviors = Mapping[str, tuple[str, str]]


def made_up_reports(
    behaviors: Behaviors,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """
    @param behaviors: the behavior and the closing behavior for each case.
    @return: an index and the reports on the cases by file name, as the testsuite
        writes them.
    """
    index: dict[str, Any] = {}
    details: dict[str, dict[str, Any]] = {}
    for case_id, (behavior, behavior_close) in behaviors.items():
        name = f"server_case_{case_id.replace('.', '_')}.json"
        index[case_id] = {
            "behavior": behavior,
            "behaviorClose": behavior_close,
            "duration": 7,
            "remoteCloseCode": 1000,
            "reportfile": name,
        }
        details[name] = {
            "id": case_id,
            "behavior": behavior,
            "behaviorClose": behavior_close,
        }
    return {"server": index}, details


def read(behaviors: Behaviors) -> dict[str, CaseResult]:
    """
    @param behaviors: the behavior and the closing behavior for each case.
    @return: the results read from made-up reports.
    """
    return read_index(*made_up_reports(behaviors), folder="reports")


def judged(
    behaviors: Behaviors,
    expected_failures: Collection[str] = EXPECTED_FAILURES,
) -> Judgement:
    """
    @param behaviors: the behavior and the closing behavior for each case.
    @param expected_failures: the cases that have to fail.
    @return: the judgement on just these cases.
    """
    return judge(read(behaviors), list(behaviors), expected_failures=expected_failures)


def test_all_ok_passes() -> None:
    """
    A run in which every case is OK, and closed in order, is good.
    """
    judgement = judged({"1.1.1": ("OK", "OK"), "12.1.10": ("OK", "OK")})
    assert judgement.good
    assert (judgement.passed, judgement.failed) == (2, 0)


def test_results_are_read() -> None:
    """The parts of the report that are printed later are found where the testsuite
    puts them.
    """
    result = read({"12.1.10": ("OK", "UNCLEAN")})["12.1.10"]
    assert result.case_id == "12.1.10"
    assert (result.behavior, result.behavior_close) == ("OK", "UNCLEAN")
    assert result.milliseconds == 7
    assert result.report == "reports/server_case_12_1_10.json"


@pytest.mark.parametrize(
    "behavior", ["NON-STRICT", "FAILED", "UNIMPLEMENTED", "NO_CLOSE", "anything else"]
)
def test_other_behavior_fails(behavior: str) -> None:
    """Any result other than OK fails a case.

    That includes results that the testsuite itself accepts as non-strict, and missing
    compression.
    """
    judgement = judged({"1.1.1": ("OK", "OK"), "3.2": (behavior, "OK")})
    assert not judgement.good
    assert (judgement.passed, judgement.failed) == (1, 1)
    assert judgement.kinds["3.2"] is Kind.FAILED


@pytest.mark.parametrize(
    "behavior_close",
    ["UNCLEAN", "FAILED", "WRONG CODE", "FAILED BY CLIENT", "INFORMATIONAL"],
)
def test_other_closing_behavior_fails(behavior_close: str) -> None:
    """A case with the right messages fails anyway if the connection is not closed
    properly.
    """
    judgement = judged({"1.1.1": ("OK", behavior_close)})
    assert not judgement.good
    assert judgement.failed == 1


def test_missing_case_fails() -> None:
    """A requested case that is missing in the reports counts as failed, so that a
    testsuite that stops half-way does not look like a success.
    """
    judgement = judge(read({"1.1.1": ("OK", "OK")}), ["1.1.1", "1.1.2"])
    assert not judgement.good
    assert (judgement.passed, judgement.failed) == (1, 1)
    assert judgement.kinds["1.1.2"] is Kind.NOT_RUN


def test_no_reports_fail() -> None:
    """An empty report, as the testsuite writes it without any connection, fails all
    cases.
    """
    judgement = judge(read_index({}, {}, "reports"), ["1.1.1", "1.1.2"])
    assert not judgement.good
    assert (judgement.passed, judgement.failed) == (0, 2)


def test_wrong_number_of_cases_is_an_error() -> None:
    """If the testsuite has fewer cases than it is known to have, a full run is not
    successful, even if all of them pass.
    """
    judgement = judge(read({"1.1.1": ("OK", "OK")}), ["1.1.1"], required_count=2)
    assert not judgement.good
    assert judgement.failed == 0
    assert len(judgement.errors) == 1


def test_case_not_asked_for_is_an_error() -> None:
    """A result that was not requested shows that the wrong cases were run."""
    results = read({"1.1.1": ("OK", "OK"), "1.1.2": ("OK", "OK")})
    judgement = judge(results, ["1.1.1"])
    assert not judgement.good
    assert "1.1.2" in judgement.errors[0]


@pytest.mark.parametrize("case_id", ["7.1.6", "7.13.1", "7.13.2"])
def test_informational_passes_where_it_is_allowed(case_id: str) -> None:
    """The three cases that only observe pass with their usual result."""
    judgement = judged({case_id: ("INFORMATIONAL", "INFORMATIONAL")})
    assert judgement.good
    assert judgement.passed == 1
    assert judgement.kinds[case_id] is Kind.INFORMATIONAL


def test_informational_fails_elsewhere() -> None:
    """For a case with an expectation, INFORMATIONAL does not count as OK."""
    judgement = judged({"7.1.5": ("INFORMATIONAL", "INFORMATIONAL")})
    assert not judgement.good
    assert judgement.failed == 1


def test_failure_of_informational_case_fails() -> None:
    """A case that may be INFORMATIONAL can still fail."""
    assert not judged({"7.1.6": ("INFORMATIONAL", "FAILED")}).good
    assert not judged({"7.1.6": ("FAILED", "INFORMATIONAL")}).good


def test_expected_failure_is_neither_passed_nor_failed() -> None:
    """
    A case listed as an expected failure that fails does not spoil the run, and is not
    counted as passed.
    """
    judgement = judged({"1.1.1": ("OK", "OK"), "3.2": ("FAILED", "OK")}, {"3.2"})
    assert judgement.good
    assert (judgement.passed, judgement.failed) == (1, 0)
    assert judgement.kinds["3.2"] is Kind.EXPECTED_FAILURE


@pytest.mark.parametrize(
    ("case_id", "behavior"), [("3.2", "OK"), ("7.1.6", "INFORMATIONAL")]
)
def test_expected_failure_that_passes_fails(case_id: str, behavior: str) -> None:
    """The list of expected failures is strict: a case that passes has to be removed
    from it.
    """
    judgement = judged({case_id: (behavior, behavior)}, {case_id})
    assert not judgement.good
    assert (judgement.passed, judgement.failed) == (0, 1)
    assert judgement.kinds[case_id] is Kind.UNEXPECTED_PASS


def test_expected_failure_that_is_not_run_fails() -> None:
    """
    A case that was not run has not failed as expected.
    """
    judgement = judge({}, ["3.2"], expected_failures={"3.2"})
    assert not judgement.good
    assert judgement.kinds["3.2"] is Kind.NOT_RUN


def test_missing_case_report_is_an_error() -> None:
    """An index that names a missing report is an error."""
    index, _ = made_up_reports({"1.1.1": ("OK", "OK")})
    with pytest.raises(ReportError, match=r"1\.1\.1"):
        read_index(index, {}, "reports")


def test_contradicting_reports_are_an_error() -> None:
    """If the index calls a case OK and its own report does not, that is an error."""
    index, details = made_up_reports({"1.1.1": ("OK", "OK")})
    details["server_case_1_1_1.json"]["behaviorClose"] = "UNCLEAN"
    with pytest.raises(ReportError, match="does not agree"):
        read_index(index, details, "reports")


def test_case_reported_for_two_servers_is_an_error() -> None:
    """A case that is reported twice is an error, so that one result cannot hide the
    other.
    """
    index, details = made_up_reports({"1.1.1": ("OK", "OK")})
    index["other"] = index["server"]
    with pytest.raises(ReportError, match="twice"):
        read_index(index, details, "reports")
