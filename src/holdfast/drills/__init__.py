"""Rehearsals against the clock that can fail: scenarios, their phases and clocks, negative controls, findings that only a retest closes."""
