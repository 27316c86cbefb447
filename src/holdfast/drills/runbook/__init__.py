"""A runbook as the recovery of a drill: what of it may be played, how people are asked, how its time is split."""
