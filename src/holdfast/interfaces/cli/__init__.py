"""The command line: one command is one file.

To add a command: write ``commands/NAME.py`` with a function ``command(session, …)`` whose parameters are annotated as in ``command.py``,
and name it in ``registry.py``. Its docstring is its help. It calls the rooms below, renders with ``session.out``, and returns None (0) or
an exit status; it raises HoldfastError for what a user must know.
"""
