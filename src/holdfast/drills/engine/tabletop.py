"""People at a table: questions, answers, and somebody who judges them. Nothing is touched."""

from holdfast.drills.contract import Question
from holdfast.drills.engine import judge
from holdfast.drills.engine.course import Course
from holdfast.evidence.drilled import Begun, Check, State

MET = {"yes": "it holds what was expected", "no": "it does not"}


class Tabletop(Course):
    """Each question is a check. The clock runs from the first question to the last judgement."""

    isolation = "nothing was touched: a tabletop"

    def refuse(self) -> None:
        """A table without questions is refused by the scenario's shape."""

    def begun(self) -> Begun:
        said, snapshot = self.scenario, self.asked.snapshot
        rto = said.objectives.rto
        self.objectives = {"": {"rto": rto.total_seconds()}} if rto is not None else {}
        return Begun(
            test_kind=said.kind,
            scenario={"name": said.drill, "title": said.title, "hash": snapshot.hash, "text": snapshot.text, "file": snapshot.file},
            systems=list(self.asked.systems),
            objectives={"table": self.objectives.get("", {}), "questions": len(said.questions)},
            criteria=[f"{one.id}: {one.expect}" for one in said.questions],
            exclusions=[{"name": name, "reason": reason} for name, reason in said.exclusions.items()],
            participants=[{"role": role, "name": name} for role, names in said.roles.items() for name in names],
        )

    def run(self) -> None:
        began = self.clock.monotonic()
        for one in self.scenario.questions:
            with self.phase("question", one.ask) as facts:
                answer = self.cast.ask(Question("answer", one.ask, one.who, {}, one.id))
                text = f"Expected: {one.expect} Does '{answer.text}' hold that?"
                met = self.cast.ask(Question("judge", text, "lead", MET, f"{one.id}.met"))
                facts |= {"question": one.id, "by": answer.name, "answer": answer.text, "met": met.text}
                state: State = "passed" if met.text == "yes" else "failed" if one.critical else "skipped"
                detail = "" if met.text == "yes" else "judged not to hold what was expected"
                self.played.checks.append(Check(one.id, "question", state, one.expect, answer.text, detail))
        seconds = self.clock.monotonic() - began
        self.played.clocks["total"] = seconds
        promised = self.objectives.get("", {}).get("rto")
        found = judge.objective("rto", "", promised, seconds, "from the first question to the last judgement")
        if found is not None:
            self.played.checks.append(found)
        with self.phase("accept", "somebody signed it off", "accept") as facts:
            answer = self.cast.ask(Question("accept", "Is this how it went?", "accept"))
            facts |= {"by": answer.name, "accepted": not answer.refused}
            self.played.sign(self.cast.did[-1], answer, sum(1 for one in self.played.checks if one.state == "failed"))
            if answer.refused:
                self.played.add("acceptance", "acceptance", ok=False, expected="accepted", actual=answer.text or "refused")
