"""A drill at work: phases, clocks, probes, controls, teardown, and what is left of it in the journal."""
