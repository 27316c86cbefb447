"""Brings files of a recovery point back: planned as data first, then written into a place that holds nothing they could destroy."""
