"""One part for each kind of system: its settings out of the plan, capture, recovery."""
