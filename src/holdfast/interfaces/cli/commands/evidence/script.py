"""``holdfast evidence script``: the program itself on stdout; with ``--json`` ``{"sha256", "script"}``."""

import hashlib
from importlib.resources import files

from holdfast.interfaces.cli.context import Session


def command(session: Session) -> int:
    """Print the program that checks evidence without Holdfast: Python 3.11 and the package cryptography are all it needs.

    holdfast evidence script > verify_evidence.py
    """
    text = (files("holdfast.evidence") / "verifier.py").read_text(encoding="utf-8")
    session.out.result({"sha256": hashlib.sha256(text.encode()).hexdigest(), "script": text}, lambda: session.out.raw(text))
    return 0
