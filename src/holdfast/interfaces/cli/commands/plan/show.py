"""``holdfast plan show``."""

from typing import Annotated, Any

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems
from holdfast.plan import Plan
from holdfast.plan.digest import NOT_MEANING


class EffectiveOnly(Usage):
    """Systems were named, but not --effective."""

    code = "plan-show-effective-only"


def command(
    session: Session,
    systems: Systems = (),
    *,
    effective: Annotated[bool, Option("the sum for each system: its own keys over its tier's and the defaults")] = False,
) -> None:
    """Print the plan as YAML: all files merged and variables filled in, or with --effective the sum for each system."""
    if systems and not effective:
        raise EffectiveOnly(
            "The merged plan is shown as a whole.", hint=f"For a system's sum: holdfast plan show --effective {' '.join(systems)}"
        )
    plan = session.plan
    document = (
        _sums(plan, plan.select(systems)) if effective else {key: value for key, value in plan.merged.items() if key not in NOT_MEANING}
    )
    session.out.result(
        {"hash": plan.hash, "files": [str(path) for path in plan.files], "plan": document}, lambda: session.out.raw(_yaml(document))
    )


def _sums(plan: Plan, names: tuple[str, ...]) -> dict[str, Any]:
    vault = {
        "locations": [location.model_dump(mode="json", by_alias=True, exclude_none=True) for location in plan.document.vault.locations],
    }
    return {
        "platform": plan.platform,
        "timezone": plan.document.timezone,
        "vault": vault,
        "systems": {name: _shortened(plan.effective(name).document()) for name in names},
    }


def _shortened(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None and value not in ({}, [])}


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
