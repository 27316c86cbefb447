"""Declared events: who is told, who answers, what was done, what was learnt; derived from the journals of all hosts."""
