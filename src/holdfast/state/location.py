"""Where the state of this host rests."""

from collections.abc import Mapping
from pathlib import Path


def shared(environ: Mapping[str, str]) -> str | None:
    """``HOLDFAST_STATE`` where it is the address of a PostgreSQL database that several hosts share; else None."""
    chosen = environ.get("HOLDFAST_STATE") or ""
    return chosen if chosen.startswith(("postgresql://", "postgres://")) else None


def chosen_folder(environ: Mapping[str, str]) -> bool:
    """Whether ``HOLDFAST_STATE`` names a folder: then the state is this host's alone, whatever the plan says."""
    return bool(environ.get("HOLDFAST_STATE")) and shared(environ) is None


def directory(environ: Mapping[str, str]) -> Path:
    """``HOLDFAST_STATE`` where it is a folder, else ``holdfast`` below ``XDG_STATE_HOME``, else ``~/.local/state/holdfast``. Not created
    here. With a shared state the journal of this host and what only it needs lie there.
    """
    if chosen_folder(environ):
        return Path(environ["HOLDFAST_STATE"]).expanduser().absolute()
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base).expanduser().absolute() / "holdfast"
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "holdfast"
