"""Runbooks: steps for people and machines. ``written`` has the commands on files, ``runs`` those on runs; ``desk`` is what they share."""
