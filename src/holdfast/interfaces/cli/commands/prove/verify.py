"""``holdfast verify``.

JSON: ``{"verdict", "systems": [{"system", "verdict": "passed" | "failed" | "inconclusive" | "error", "counts", "compared": {"how":
"exact" | "sample" | "snapshot" | "no", "why", "confidence", "share", "method"}, "sentence", "reached", "exact", "clocks", "torn_down",
"results": [{"name", "kind", "state", "expected", "actual", "detail", "seconds"}]} | {"system", "verdict": "error", "code", "message",
"hint"}]}``.
Exit status 0 only when every system passed, and every comparison that was asked for by --exact or --sample was made. With --spot-check the
document is that of the spot check: ``{"id", "system", "point", "item", "size", "nonce", "guide", "steps", "asked_at"}``; with --record
``{"id", "system", "ok", "given", "by"}``.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import HoldfastError, Usage
from holdfast.interfaces.cli.commands.prove import spotting
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.validation import Sampling, checks_of

if TYPE_CHECKING:
    from holdfast.recovery import Content

NOTHING: Mapping[str, Any] = MappingProxyType({})


class VerifyUsage(Usage):
    """Options of a verification that do not go together."""

    code = "verify-usage"


def command(
    session: Session,
    systems: Systems = (),
    *,
    to: Annotated[str | None, Option("verify this moment or point, not the newest", metavar="WHEN")] = None,
    content: Annotated[bool, Option("compare every table's content with the source")] = True,
    exact: Annotated[bool, Option("compare all of it, whatever the plan says; not to be able to is a failure")] = False,
    sample: Annotated[
        str | None,
        Option(
            "compare by sample: so sure, in percent, that fewer than SHARE (0.1) percent differ; not to be able to is a failure",
            metavar="CONFIDENCE[:SHARE]",
        ),
    ] = None,
    against: Annotated[
        str | None, Option("of a bucket: compare what lies there with the point: s3://bucket/prefix, file:///folder", metavar="URL")
    ] = None,
    quick: Annotated[bool, Option("with --against: by listing alone, without reading content")] = False,
    spot_check: Annotated[bool, Option("say what a person is to restore by hand, drawn at random")] = False,
    record: Annotated[str | None, Option("keep what came of a spot check", metavar="ID")] = None,
    result: Annotated[str | None, Option("with --record: the hash that the person computed", metavar="HASH")] = None,
    by: Annotated[str | None, Option("with --record: who did it, if not this account", metavar="NAME")] = None,
    note: Annotated[str | None, Option("with --record: what was noticed on the way", metavar="TEXT")] = None,
) -> int:
    """Restore into isolation, run the checks, compare with the source, tear down.

    Where the source stands still while it is asked, the copy is opened at exactly that moment and compared by content.
    """
    if record is not None:
        return spotting.recorded(session, record, result, by, note)
    if result or by or note:
        raise VerifyUsage("--result, --by and --note go with --record.", hint="holdfast verify --record ID --result HASH")
    if spot_check:
        return spotting.asked(session, systems)
    names = session.select(systems)
    options = _options(session, names, against, quick=quick)
    if exact + bool(sample) + (not content) + bool(against) > 1:
        raise VerifyUsage("Only one of --exact, --sample, --no-content and --against.", hint="holdfast verify SYSTEM --exact")
    sampling = Sampling.parse(sample) if sample else None
    asked = exact or sampling is not None
    wanted = {name: content_of(session, name, sampling, exact=exact) if content else None for name in names}
    documents = [_verify(session, name, to, options, content=wanted[name]) for name in names]
    for one in documents:
        if asked and one["verdict"] == "passed" and one["compared"]["how"] in ("no", "snapshot"):
            one["verdict"] = "inconclusive"
    bad = [one for one in documents if one["verdict"] != "passed"]
    document = {"verdict": "failed" if bad else "passed", "systems": documents}

    def human() -> None:
        for one in documents:
            _show(session, one)

    session.out.result(document, human)
    return 1 if bad else 0


def content_of(session: Session, name: str, sampling: Sampling | None = None, *, exact: bool = False) -> "Content":
    """How the plan wants a system's content compared, unless the command says otherwise."""
    from holdfast.recovery import Content

    verify = session.plan.effective(name).verify
    if sampling is None and not exact and verify.compare == "sample":
        sampling = Sampling.of(verify.confidence or 95, verify.share)
    return Content(sampling, verify.on)


def _options(session: Session, names: Sequence[str], against: str | None, *, quick: bool) -> dict[str, Any]:
    if against is None:
        if quick:
            raise VerifyUsage("--quick goes with --against.", hint="holdfast verify SYSTEM --against URL --quick")
        return {}
    if len(names) != 1 or session.plan.effective(names[0]).kind != "bucket":
        raise VerifyUsage("--against needs one system, a bucket.", hint="holdfast verify SYSTEM --against s3://bucket/prefix")
    return {"against": against, "quick": quick}


def _verify(
    session: Session, name: str, to: str | None, options: Mapping[str, Any] = NOTHING, *, content: "Content | None"
) -> dict[str, Any]:
    from holdfast.assembly.systems.known import known
    from holdfast.protection.recorded import recorded
    from holdfast.recovery import verify

    platform = session.platform
    try:
        recovery = platform.recovery(name)
        until = recovery.target(to, session.clock.now(), session.plan.zone) if to or options else None
        with session.progress() as progress, recorded(platform.state, platform.journal, session.clock, "verify", name) as work:
            found = verify(
                recovery,
                lambda: platform.history(name),
                checks_of(session.plan, name),
                progress=work.watch(progress),
                clock=session.clock,
                until=until,
                content=content if content is not None and not options else False,
                known=known(platform.state, name),
                options=options,
            )
            said = found.to_json()
            work.add(
                verdict=said["verdict"],
                counts=said["counts"],
                reached=said["reached"],
                clocks=dict(found.clocks),
                exact=found.exact,
                compared=said["compared"],
                until=dict(found.until),
                torn_down=found.torn_down,
                isolation="restored into a throw-away place of its own",
                results=_plain(said["results"]),
            )
    except HoldfastError as error:
        platform.state.proofs.add(name, "restore", ok=False, code=error.code)
        return {"system": name, "verdict": "error", "code": error.code, "message": error.message, "hint": error.hint}
    ok = found.report.verdict == "passed"
    point = str(found.reached.get("point") or "") or None
    platform.state.proofs.add(
        name, "restore", ok=ok, point=point, counts=found.report.counts, seconds=sum(found.clocks.values()), compared=found.compared.how
    )
    return found.to_json()


def _plain(results: Any) -> Any:
    """As the journal can keep it for ever: what has no JSON form is kept as text."""
    return json.loads(json.dumps(results, default=str), parse_constant=str)


def _show(session: Session, document: dict[str, Any]) -> None:
    out = session.out
    if document["verdict"] == "error":
        out.say(f"{document['system']}: {document['message']} {document['hint']}")
        return
    states = {"passed": "ok", "failed": "fail", "skipped": "warn"}
    rows = [
        (Cell(one["state"], states[one["state"]]), one["kind"], one["name"], _text(one["expected"]), _text(one["actual"]), one["detail"])
        for one in document["results"]
    ]
    counts = document["counts"]
    numbers = f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
    title = f"{document['system']}: {document['verdict']} ({numbers}); {document['sentence']}"
    out.table(("state", "kind", "what", "expected", "actual", "detail"), rows, title=title)


def _text(value: Any) -> str:
    if isinstance(value, dict) and "hash" in value:
        return f"{value.get('rows', value.get('entries'))} {'rows' if 'rows' in value else 'entries'} {value['hash'][:8]}"
    return "" if value is None else str(value)[:60]
