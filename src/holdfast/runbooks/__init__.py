"""Resumable, journaled steps for people and machines, from Markdown files."""
