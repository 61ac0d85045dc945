"""
docs/reference/metrics.md is true.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.documentation.pages import codeIn
from tests.web.kit import Telling
from wsplug.assembly import combine, readFile
from wsplug.tap import Options
from wsplug.web.collector import FAMILIES, Scraper

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(
    "utf-8"
)


def rows(section: str) -> list[list[str]]:
    """
    Return the cells of a section's table, without its head.
    """
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
    return [re.split(r"(?<!\\) \| ", line) for line in lines][2:]


def test_metrics() -> None:
    """
    The table lists exactly wsplug's own metrics, as a scrape shows them.
    """
    table = rows(PAGE.partition("## Metrics")[2].partition("### Alerts")[0])
    documented = [
        (name.strip("`"), kind, tuple(re.findall(r"`(\w+)`", labels)), help)
        for name, kind, labels, help in table
    ]
    assert documented == [tuple(family) for family in FAMILIES]
    telling = Telling()
    telling.server.connect().close()
    telling.factory.statistics.countStall("application", 1)
    text = Scraper(telling.factory).scrape("")[0].decode("utf-8")
    for name, kind, _, help in documented:
        assert f"# HELP {name} {help}\n# TYPE {name} {kind}\n" in text
    shown = {
        family.name: set(family.samples[0].labels) - {"le"}
        for family in text_string_to_metric_families(text)
        if family.name.startswith("wsplug_")
    }
    assert shown == {
        name.removesuffix("_total"): set(labels) for name, _, labels, _ in documented
    }


def test_names() -> None:
    """
    All metrics that the page names, for instance in its alerts, exist.
    """
    telling = Telling()
    telling.server.connect().close()
    telling.factory.statistics.countStall("application", 1)
    names = {name for name, _ in telling.scrape()}
    spoken = set(re.findall(r"\b(?:wsplug|process|python)_\w+", PAGE))
    assert spoken - names == {"wsplug_message_seconds"}
    assert len(rows(PAGE.partition("### Alerts")[2])) >= 5


def test_health() -> None:
    """
    The table of paths matches the server's, and so does the table of reasons.
    """
    section = PAGE.partition("## Health")[2].partition("In Kubernetes")[0]
    paths, _, reasons = section.partition("The answers are JSON")
    telling = Telling(max_connections=2)
    for path, _ in rows(paths):
        assert telling.server.request("GET", path.strip("`")).status == 200
    seen = []
    telling.factory.awaitStart()
    seen.append(_reason(telling))
    telling.factory.serve()
    telling.isReady = False
    seen.append(_reason(telling))
    telling.isReady = True
    telling.server.connect()
    telling.server.connect()
    seen.append(_reason(telling))
    assert [row[0].strip("`") for row in rows(reasons)] == seen


def _reason(telling: Telling) -> Any:
    answer = telling.server.request("GET", "/-/health/ready")
    assert answer.status == 503
    return json.loads(answer.body)["reason"]


def test_configurations(tmp_path: Path) -> None:
    """
    The server accepts the command line and the configuration file.
    """
    lines = re.findall(r"^\$ twistd -n wsplug (.*)$", PAGE, re.MULTILINE)
    assert lines
    for line in lines:
        options = Options()
        options.parseOptions(shlex.split(line))
        assert options.configuration.operation.metrics == "yes"
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    assert combine({}, readFile(str(path))).operation.metrics == "yes"


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If metrics are required but unavailable, that is a mistake reported in one line.
    """
    monkeypatch.setattr("wsplug.web.metrics.hasPrometheus", lambda: False)
    with pytest.raises(SystemExit, match=r"pip install 'wsplug\[metrics\]'"):
        Options().parseOptions(["--app", "echo", "--metrics", "yes"])
    Options().parseOptions(["--app", "echo", "--metrics", "auto"])
