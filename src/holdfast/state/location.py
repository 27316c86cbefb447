"""Where the state of this host rests."""

from collections.abc import Mapping
from pathlib import Path


def directory(environ: Mapping[str, str]) -> Path:
    """``HOLDFAST_STATE``, else ``holdfast`` below ``XDG_STATE_HOME``, else ``~/.local/state/holdfast``. Not created here."""
    if chosen := environ.get("HOLDFAST_STATE"):
        return Path(chosen).expanduser().absolute()
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base).expanduser().absolute() / "holdfast"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "holdfast"
