"""Runbooks: steps for people and machines. One command a file; ``desk`` is what they share."""
