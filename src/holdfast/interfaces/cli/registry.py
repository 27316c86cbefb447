"""Every command, by name: where it lives and what it does in one line. Read for ``--help``; a command's module is imported when it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One command. ``module`` below ``commands``, in the folder of its section or of its group; it holds ``command``."""

    module: str
    summary: str


@dataclass(frozen=True)
class Group:
    """A word that takes a further command. ``otherwise``: the command that is meant where the word behind is none of them."""

    summary: str
    entries: Mapping[str, Entry] = field(default_factory=dict)
    otherwise: str = ""


SECTIONS: dict[str, dict[str, Entry | Group]] = {
    "Begin": {
        "demo": Entry("demo.run", "start an embedded platform, protect it, break it, recover it, and show what was measured"),
        "init": Entry("begin.init", "write a commented plan and create the vault in every location"),
        "plan": Group(
            "the continuity plan, without touching the network",
            {
                "lint": Entry("plan.lint", "check the plan and say what is wrong, with line and column"),
                "show": Entry("plan.show", "print the plan as it counts: merged, or the sum for each system"),
                "diff": Entry("plan.diff", "what changed in meaning since another plan"),
                "assess": Entry("plan.assess", "what is promised beside what is configured, measured and paid"),
            },
        ),
        "expectations": Entry("begin.expectations", "derive a Great Expectations suite from a healthy table, to be a check of the plan"),
        "check": Entry("begin.check", "connect to everything in the plan and say what works, what does not, and what to do"),
    },
    "Protect": {
        "backup": Entry("protect.backup", "take recovery points"),
        "follow": Entry("protect.follow", "keep shipping logs until stopped"),
        "wal": Group(
            "the commands for PostgreSQL's configuration",
            {
                "push": Entry("wal", "hand a finished WAL segment to the follower (archive_command)"),
                "get": Entry("wal", "fetch a WAL segment (restore_command)"),
                "serve": Entry("protect.wal_serve", "serve WAL out of the vault to 'wal get', until nothing is asked any more"),
            },
        ),
        "due": Entry("protect.due", "what is due now by plan and history; --run does it once"),
        "pause": Entry("protect.pause", "suspend what is scheduled for a system, until a time and for a reason"),
    },
    "Recover": {
        "points": Entry("recover.points", "recovery points, and the ranges one can return to"),
        "show": Entry("recover.show", "one recovery point in full"),
        "ls": Entry("recover.ls", "what is inside a recovery point"),
        "get": Entry("recover.get", "files out of a recovery point"),
        "export": Entry("recover.export", "a recovery point in portable formats"),
        "restore": Entry("recover.restore", "restore a system into a new target"),
        "handover": Entry("recover.handover", "let a restored cluster take its source's place: its own configuration comes back"),
        "open": Entry("recover.open", "a temporary, isolated, running copy at any moment"),
        "when": Entry("recover.when", "search history: the last good moment, the first bad one"),
    },
    "Prove": {
        "verify": Entry("prove.verify", "restore into isolation, run the checks, compare, tear down"),
        "drill": Group(
            "rehearsals against the clock that can fail; 'holdfast drill SCENARIO' runs one",
            {
                "run": Entry("drill.run", "run a drill; everything is undone at its end"),
                "list": Entry("drill.list", "list scenarios, and how each went last"),
                "show": Entry("drill.show", "a scenario as it is in its file"),
                "lint": Entry("drill.lint", "check scenarios"),
                "status": Entry("drill.status", "the drill that is at work, and the last ones"),
                "stop": Entry("drill.stop", "end the drill that is at work, and undo what ran"),
                "findings": Entry("drill.findings", "what drills found, with owner and due date"),
                "retest": Entry("drill.retest", "run a finding's scenario again: only that closes it"),
            },
            otherwise="run",
        ),
        "status": Entry("prove.status", "promise, exposure now and last proof of each system"),
        "report": Entry("evidence.report", "signed evidence of a run, or of all tests of a period"),
        "evidence": Group(
            "evidence files",
            {
                "verify": Entry("evidence.verify", "check evidence files offline"),
                "anchor": Entry("evidence.anchor", "sign the journal's head and put it where it cannot be taken back"),
                "key": Entry("evidence.key", "whom to believe: the vault's root, this host's key"),
                "script": Entry("evidence.script", "the program that checks evidence without Holdfast"),
            },
        ),
    },
    "Operate": {
        "vault": Group(
            "the repository of recovery points",
            {
                "status": Entry("vault.status", "what the vault holds, by location"),
                "check": Entry("vault.check", "find every damaged byte and what it hurts"),
                "prune": Entry("vault.prune", "delete what no retention rule, hold or lock keeps"),
                "copy": Entry("vault.copy", "bring locations up to date with each other"),
                "hold": Entry("vault.hold", "keep a point whatever retention says"),
                "key": Entry("vault.key", "list, add, prove, remove and rotate keys; revoke writers; make and erase scopes"),
                "open": Entry("vault.open", "look into a vault by its address, with no plan at all"),
                "serve": Entry("vault.serve", "serve a folder append-only to another account"),
            },
        ),
        "jobs": Entry("operate.jobs", "what runs"),
        "log": Entry("operate.log", "what a run did"),
        "cancel": Entry("operate.cancel", "stop a run at a safe point"),
        "failover": Entry("failover", "move work to the standby"),
        "failback": Entry("failback", "move work home again"),
        "runbook": Group(
            "steps that people and machines take together, from Markdown files",
            {
                "new": Entry("runbook.written.new", "write a runbook to be filled in"),
                "list": Entry("runbook.written.list", "list runbooks, and systems that have none"),
                "show": Entry("runbook.written.show", "a runbook's steps, or its page for paper"),
                "lint": Entry("runbook.written.lint", "check runbooks, and that every system has one"),
                "run": Entry("runbook.runs.run", "run a runbook"),
                "resume": Entry("runbook.runs.resume", "go on with a run, after a kill too"),
                "takeover": Entry("runbook.runs.takeover", "take over a run whose host is gone, from the vault"),
                "approve": Entry("runbook.runs.approve", "answer what a run waits for: approve, confirm, choose, or say what happened"),
                "skip": Entry("runbook.runs.skip", "leave out a step of a run, with a reason"),
                "abort": Entry("runbook.runs.abort", "end a run and undo what ran"),
                "history": Entry("runbook.runs.history", "runs of runbooks, or everything that one of them did"),
            },
        ),
        "incident": Group(
            "incidents, from the declaration to the lessons",
            {
                "declare": Entry("incident.course.declare", "declare an incident"),
                "list": Entry("incident.list", "list incidents"),
                "show": Entry("incident.show", "everything about an incident"),
                "ack": Entry("incident.course.ack", "say that you have it"),
                "assign": Entry("incident.said.assign", "hand a role to somebody"),
                "severity": Entry("incident.said.severity", "change how severe it is"),
                "systems": Entry("incident.said.systems", "which systems are affected, and which are back"),
                "refer": Entry("incident.said.refer", "where else it is kept: ticket, bridge, channel"),
                "note": Entry("incident.said.note", "write into the timeline"),
                "link": Entry("incident.said.link", "make a run part of it"),
                "update": Entry("incident.said.update", "tell people where it stands, inside and outside"),
                "mitigate": Entry("incident.course.mitigate", "say that the harm is stopped"),
                "resolve": Entry("incident.course.resolve", "say that it is over"),
                "reopen": Entry("incident.course.reopen", "say that it is not over"),
                "postmortem": Entry("incident.postmortem", "write down what was learnt; facts are filled in"),
                "action": Entry("incident.action", "what is to be done, by whom, until when; closed with evidence"),
                "close": Entry("incident.course.close", "close it, with a finished post-mortem"),
                "plan": Entry("incident.plan", "the written incident plan, and who reviewed it"),
                "outbox": Entry("incident.outbox", "messages that wait for their channel, or that none took"),
                "test-channel": Entry("incident.trial", "send a test message through a channel"),
            },
        ),
        "serve": Entry("serve", "scheduler, API, web console and metrics in one process"),
    },
}

COMMANDS: dict[str, Entry | Group] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
