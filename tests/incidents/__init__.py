"""Incidents: the record, the chain of people, messages, the post-mortem, the commands."""
