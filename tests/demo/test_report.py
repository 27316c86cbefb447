"""The report: every figure on the page is one of the facts, texts from outside are escaped, the page stands alone."""

import html.parser
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.demo.report import render, write
from holdfast.demo.report.charts import phases, timeline
from holdfast.demo.report.render import seconds


def sample(**changes):
    facts = {
        "kind": "demo",
        "version": "0.1.0",
        "run": "20260501T120000-abc123",
        "at": "2026-05-01T12:00:00+00:00",
        "host": "host <1>",
        "seconds": 30.0,
        "ok": True,
        "server": {"version": "18.4", "folder": "/tmp/x"},
        "rpo": {
            "promised_seconds": 5.0,
            "measured_seconds": 0.0,
            "lost_rows": 0,
            "confirmed_before": 9,
            "exposure_seconds": 0.4,
            "exposure_rows": 3,
            "ok": True,
        },
        "rto": {
            "promised_seconds": 60.0,
            "measured_seconds": 12.5,
            "phases": [
                {"name": name, "seconds": took, "what": f"did {name}"}
                for name, took in zip(
                    ["detect", "decide", "prepare", "restore", "replay", "validate"], [0.5, 6, 0.5, 2, 2.5, 1], strict=True
                )
            ],
            "ok": True,
        },
        "checks": [{"name": "</script><b>x", "expected": 1, "actual": 1, "ok": True}],
        "tables": [
            {
                "table": "orders",
                "expected": 1234,
                "actual": 1234,
                "missing": 0,
                "extra": 0,
                "changed": 0,
                "expected_hash": "ab" * 32,
                "actual_hash": "ab" * 32,
                "problem": "",
                "ok": True,
            }
        ],
        "proof": {"rows": 1234, "wrong": 0, "tables": 1},
        "orders": {"accepted": 1300, "after_damage": 7, "rate": 99.5, "wanted_rate": 120, "samples": [[1.0, 10], [2.0, 90]]},
        "damage": {"at": "2026-05-01T12:00:10+00:00", "statement": "update orders set x = '<'", "rows": 1234, "paid": 1000, "xid": 5000},
        "search": {"found": "2026-05-01T12:00:09+00:00", "position": "0/3000028", "opened": 6, "moments": 64},
        "backup": {"point": "01a1", "method": "full", "bytes": 23000000, "files": 900, "stored": 1100000, "seconds": 2.0},
        "follow": {"bytes": 5000, "increments": 12, "commits": 1300, "lag_median_seconds": 0.3, "lag_worst_seconds": 0.9},
        "restore": {"bytes": 23000000, "log_bytes": 16777216, "into": "/tmp/y", "connection": "host='/tmp/y'", "notes": []},
        "timeline": [
            {"lane": "shop", "name": "orders", "kind": "work", "from": 1.0, "to": 15.0},
            {"lane": "way back", "name": "decide", "kind": "decide", "from": 15.0, "to": 21.0},
        ],
        "marks": [{"name": "UPDATE without WHERE", "at": 10.0}],
    }
    return {**facts, **changes}


class Figures(html.parser.HTMLParser):
    """Texts of the elements that say which fact they show."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._name = ""

    def handle_starttag(self, tag, attributes):
        self._name = dict(attributes).get("data-figure") or ""

    def handle_data(self, data):
        if self._name:
            self.found[self._name] = self.found.get(self._name, "") + data

    def handle_endtag(self, tag):
        self._name = ""


def fact(facts, path: str):
    for part in path.split("."):
        facts = facts[int(part)] if isinstance(facts, list) else facts[part]
    return facts


def check_figures(page: str, facts) -> int:
    """Each figure's text is how its fact is shown; returns how many there are."""
    from holdfast.plan import human_size

    figures = Figures()
    figures.feed(page)
    for path, text in figures.found.items():
        value = fact(facts, path)
        shown = {seconds(value), f"{value:,}", f"{value:.0f}", human_size(int(value))}
        assert text in shown, f"{path}: the page says {text}, the facts {value}"
    return len(figures.found)


def embedded(page: str):
    return json.loads(re.search(r'<script type="application/json" id="facts">(.*?)</script>', page, re.DOTALL)[1])


def test_figures_and_embedded_facts_are_the_facts():
    facts = sample()
    page = render(facts)
    assert check_figures(page, facts) >= 20
    assert embedded(page) == facts
    with pytest.raises(AssertionError):
        check_figures(page, sample(proof={"rows": 1235, "wrong": 0, "tables": 1}))


def test_the_page_stands_alone_and_escapes():
    page = render(sample())
    assert not re.search(r'(src|href)="', page)
    assert "url(" not in page
    assert "</script><b>x" not in page
    assert "host <1>" not in page
    assert page.count("</script>") == 1


def test_a_failed_run_says_so():
    page = render(sample(ok=False, checks=[{"name": "table orders equals the ledger", "expected": 5, "actual": 4, "ok": False}]))
    assert "This run did not keep its promise." in page
    assert "table orders equals the ledger: expected 5, found 4" in page
    assert "Everything came back." not in page


def test_page_and_json_are_written_side_by_side(tmp_path):
    write(sample(), tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text()) == sample()


@given(
    took=st.lists(st.floats(0, 5000), min_size=6, max_size=6),
    end=st.floats(0.1, 5000),
    promised=st.floats(1, 10000),
)
def test_drawings_never_leave_their_frame(took, end, promised):
    facts = sample()
    for phase, each in zip(facts["rto"]["phases"], took, strict=True):
        phase["seconds"] = each
    facts["rto"] |= {"measured_seconds": max(sum(took), 0.1), "promised_seconds": promised}
    facts["timeline"][1] |= {"from": 0.0, "to": end}
    facts["marks"][0]["at"] = min(10.0, end)
    for drawing in (timeline(facts), phases(facts)):
        spans = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', drawing)
        assert spans
        assert all(float(x) + float(width) <= 975 for x, width in spans)
