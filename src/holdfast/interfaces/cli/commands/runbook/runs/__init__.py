"""Runs of runbooks: start, go on, take over, answer, skip, end, look back."""
