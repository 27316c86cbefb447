"""Runbooks: the format, the machine of a run, people, injection, kills."""
