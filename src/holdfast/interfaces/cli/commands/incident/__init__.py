"""Incidents, from the declaration to the lessons. One command a file; ``desk`` is what they share."""
