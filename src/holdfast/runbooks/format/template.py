"""The runbook that ``runbook new`` writes: every section of the template, each kind of step once, to be filled in."""

import re


def new_runbook(name: str, *, title: str | None = None, system: str | None = None, owner: str | None = None) -> str:
    """A runbook that compiles as it is."""
    said = title or f"Restore {system or re.sub(r'[-_.]+', ' ', name)}"
    return _TEXT.format(name=name, title=said.replace('"', "'"), system=system or "", owner=owner or "who keeps this page right")


_TEXT = """\
---
runbook: {name}
title: "{title}"
purpose: what this runbook brings about
systems: [{system}]
trigger: what is seen when it is needed
rto: 2h
rpo: 24h
severity: high (P1-P2)
owner: "{owner}"
parameters:
  ticket: {{type: name, ask: the incident's ticket, example: INC-1}}
  target: {{type: path, ask: "an empty directory for the restored copy"}}
  to: {{type: text, ask: "the moment to return to (10m ago, 2026-11-21T10:00:00Z, latest)", default: latest}}
roles:
  commander: []
  approver: []
needs:
  access: [the vault and its key, the console of the servers]
  tools: [bash]
  information: [when the damage began, where the applications are configured]
---
# {title}

Follow the steps in order. What is typed and what it prints is recorded by itself when this page is run with `holdfast runbook run {name}`;
on paper, write it beside the steps.

## 1. Overview

Why this is done, what depends on it, and what is lost by doing it.

## 2. Prerequisites & preparation

Have ready what the head of this page lists.

## 3. Execution steps

### 3.1 Incident declaration & communication

```step
id: declare
title: Declare the incident
kind: human
who: commander
do: Tell the stakeholders, open the channel, and write the ticket ${{ticket}} into its topic.
```

### 3.2 Isolate & confirm scope

```step
id: look
title: See what is damaged
shell: |
  echo "write here what shows the damage"
repeatable: true
```

```step
id: stop-writers
title: Stop what still writes
kind: human
do: Stop the applications and jobs that write, so that the damage does not spread.
undo: {{do: Start the applications and jobs again.}}
```

### 3.3 Recovery procedure

```step
id: way
title: Choose the way
kind: decision
who: commander
ask: Restore beside the damaged one, or repair in place?
choose:
  restore: into a new target; the damaged one stays as it is
  repair: by hand; this page ends after its checks
```

```step
id: go
title: Agree to the restore
kind: approval
when: {{way.choice: restore}}
ask: Restore into ${{target}} as of ${{to}}?
by: approver
expires: 1h
break_glass: commander
```

```step
id: restore
title: Restore into a new target
when: {{way.choice: restore}}
shell: |
  mkdir "$PARAM_TARGET"
  echo "replace this by: holdfast restore"
probe: {{command: [test, -d, "${{target}}"]}}
undo: {{command: [rmdir, "${{target}}"]}}
timeout: 2h
```

### 3.4 Verification & handover

```step
id: healthy
title: Wait until it is healthy
kind: wait
when: {{way.choice: restore}}
until: {{command: [test, -d, "${{target}}"]}}
every: 10s
timeout: 15m
```

```step
id: communicate
title: Communicate the resolution
kind: human
do: Write the resolution into ${{ticket}}, tell the stakeholders, remove what was only needed meanwhile.
```

## 4. Post-incident analysis

- Hold the post-mortem within 24 to 48 hours.
- Correct this page, the diagrams and the checks by what was learned.
- Improve what should have told earlier; automate what was done by hand.
"""
