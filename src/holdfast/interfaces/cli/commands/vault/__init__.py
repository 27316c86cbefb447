"""The repository of recovery points: one command a file."""
