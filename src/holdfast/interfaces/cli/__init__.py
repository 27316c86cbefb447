"""The command line: one command is one file.

To add a command: write ``commands/SECTION/NAME.py`` (the sections are those of ``holdfast --help``), or ``commands/GROUP/NAME.py`` for a
word of a group (``holdfast vault check``), with a function ``command(session, …)`` whose parameters are annotated as in
``grammar/command.py``, and name it in ``registry.py``. Its docstring is its help. It calls the rooms below, renders with ``session.out``,
and returns None (0) or an exit status; it raises HoldfastError for what a user must know.
"""
