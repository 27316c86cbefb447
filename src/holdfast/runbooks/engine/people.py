"""Who does something in a run, and whether they may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.runbooks.errors import NotYours

if TYPE_CHECKING:
    from holdfast.runbooks.engine.state import RunState, StepState


@dataclass(frozen=True, slots=True)
class Person:
    """``name`` as said; ``login`` the account of the operating system, on ``host``."""

    name: str
    login: str
    host: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Person":
        return cls(data["name"], data["login"], data["host"])

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "login": self.login, "host": self.host}

    def same(self, other: "Person", accounts: str) -> bool:
        """By name; where accounts are personal, by account as well: another name does not make another person."""
        if self.name.casefold() == other.name.casefold():
            return True
        return accounts == "personal" and (self.login, self.host) == (other.login, other.host)


def check_role(state: "RunState", role: str | None, person: Person, what: str) -> None:
    """A role without people is anybody's. Raises NotYours."""
    people = state.document["roles"].get(role, []) if role else []
    if people and person.name.casefold() not in {name.casefold() for name in people}:
        raise NotYours(
            f"{person.name} may not {what}: it is for the role {role}.",
            hint=f"Ask {' or '.join(people)}. Say who you are with --as NAME.",
            role=role,
            people=people,
        )


def check_approver(state: "RunState", step: "StepState", person: Person) -> None:
    """Of the role, not who asked or began the run, and not twice. Raises NotYours."""
    spec = state.spec(step.id)
    accounts = state.document["accounts"]
    check_role(state, spec["by"], person, f"approve {step.id}")
    for asked in (state.by, step.asked_by):
        if asked is not None and person.same(asked, accounts):
            how = f" (the account {person.login} on {person.host})" if person.name.casefold() != asked.name.casefold() else ""
            raise NotYours(
                f"{person.name} asked for this{how}, so somebody else has to approve it.",
                hint="Another person approves, from their own account; or, where the step allows it: --break-glass with a reason.",
                requester=asked.name,
            )
    if any(person.same(other, accounts) for other in step.approvals):
        raise NotYours(f"{person.name} has approved {step.id} already.", hint=f"{spec['quorum']} different people are needed.")


def check_glass(state: "RunState", step: "StepState", person: Person, note: str) -> None:
    """Raises NotYours."""
    role = state.spec(step.id).get("break_glass")
    if role is None:
        raise NotYours(f"Step {step.id} cannot be passed by breaking the glass.", hint="It needs its approvals.")
    check_role(state, role, person, "break the glass")
    if not note.strip():
        raise NotYours("The glass is not broken without a reason.", hint="Give one: --note 'why nobody could be asked'")
