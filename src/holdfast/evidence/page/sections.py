"""What a report says besides its figures, as tables of text: findings, what was tested, proofs, people, points, steps. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.evidence.page.html import answer, fact, moment, seconds, short

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""(heading, columns, rows)."""


def sections(evidence: Mapping[str, Any]) -> list[Table]:
    """In order; those that a report of this kind (or of an earlier version) does not have are left out, but for findings."""
    results, scope, closure = evidence["results"], evidence["scope"], evidence["closure"]
    found: list[Table] = [
        (
            "Systems",
            ("system", "point", "RTO promised", "measured", "RPO promised", "measured", "lost", "counted"),
            [
                (
                    one["system"],
                    one["point"][:14],
                    *(seconds(one[name]) for name in ("rto_promised", "rto_measured", "rpo_promised", "rpo_measured")),
                    short(one["lost_transactions"]),
                    one["counted"],
                )
                for one in results.get("systems") or ()
            ],
        ),
        (
            "Flows between the systems",
            ("from", "to", "state", "carried again", "detail"),
            [
                (*(short(one.get(name)) for name in ("from", "to", "state", "records", "detail")),)
                for one in results.get("reconciliation") or ()
                if isinstance(one, Mapping)
            ],
        ),
        (
            "Findings",
            ("severity", "finding", "owner", "due", "tested again by", "closed by"),
            [
                (*(short(one.get(name)) for name in ("severity", "finding", "owner", "due", "retest")), short(one["closed_by"]) or "open")
                for one in closure["findings"]
            ],
        ),
        ("What was tested", ("", ""), _tested(evidence)),
        ("Isolation and teardown", ("proof of", "looked at", "expected", "found"), _proofs(scope, results)),
        (
            "People",
            ("name", "role", "did", "at"),
            [(one["name"], one["role"], _did(one), moment(one.get("at", ""))) for one in evidence["people"]],
        ),
        ("Recovery points", ("system", "point", "committed", "age", "in", "SHA-256"), _points(evidence)),
        (
            "Steps",
            ("step", "by", "begun (UTC)", "took", "outcome", "deviation, or why skipped", "output, SHA-256"),
            [
                (
                    one["title"],
                    one["by"],
                    moment(one["start"], day=False) if one["start"] else "",
                    seconds(one["seconds"]),
                    one["outcome"],
                    one["skipped"] or one["deviation"] or "none",
                    fact(one["output"]),
                )
                for one in results.get("steps") or ()
            ],
        ),
        (
            "The run's own entries in the journal",
            ("entry", "at", "what", "facts"),
            [(str(one["entry"]), moment(one["at"]), one["kind"], short(one["facts"])) for one in evidence["steps"]],
        ),
        ("What is empty, and why", ("field", "reason"), [(one["field"], one["reason"]) for one in closure.get("empty") or ()]),
    ]
    return [one for one in found if one[2] or one[0] == "Findings"]


def _tested(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    test, scope = evidence["test"], evidence["scope"]
    scenario = test["scenario"] if isinstance(test["scenario"], Mapping) else {"name": test["scenario"] or "none: a regular proof"}
    incident = evidence["closure"].get("incident") or {}
    rows = [
        ("trigger", short(test["trigger"])),
        ("scenario", fact({name: value for name, value in scenario.items() if name not in ("title", "text")})),
        ("objectives, fixed before", fact(test["objectives"])),
        ("criteria, fixed before", "\n".join(f"{number}. {one}" for number, one in enumerate(test["criteria"], 1))),
        ("runbook", fact(scope["runbook"] or {}) or "none"),
        ("left out", "\n".join(f"{short(one['name'])}: {short(one['reason'])}" for one in scope["exclusions"]) or "nothing"),
        ("environment", f"host {scope['environment']['host']}; {short(scope['environment']['isolation']) or 'nothing was isolated'}"),
    ]
    if incident:
        rows.append(("incident", fact(incident)))
    return [(name, text) for name, text in rows if text]


def _proofs(scope: Mapping[str, Any], results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    gone = results["teardown"] if isinstance(results["teardown"], list) else []
    of = [("isolation", one) for one in scope["environment"].get("proof") or ()] + [("teardown", one) for one in gone]
    return [
        (kind, short(one.get("name")), answer(one.get("expected", "")), answer(one.get("actual", one.get("proof", "")))) for kind, one in of
    ]


def _did(one: Mapping[str, Any]) -> str:
    played = f" (played: {one['played_by']})" if one.get("played_by") else ""
    return short(one.get("did", "")) + played


def _points(evidence: Mapping[str, Any]) -> list[tuple[str, ...]]:
    backup = evidence["backup"]
    if not backup:
        return []
    return [
        (
            short(one.get("system") or ", ".join(evidence["scope"]["systems"])),
            one["id"],
            *(
                (moment(one["committed_at"]), seconds(one["age_seconds"]), ", ".join(one["locations"]), one["sha256"])
                if one.get("found")
                else ("not found in the vault", "", "", "")
            ),
        )
        for one in backup.get("points") or [backup]
    ]
