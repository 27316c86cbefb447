"""What libraries do at their start and nobody here needs is a third of what a short command costs: it is left out here."""

import gc
import os
import sys


def start_light() -> None:
    """Before the first import of pydantic, numpy and of our own classes."""
    # No linear algebra is done here, so its threads would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Importing makes many objects and hardly any garbage; the default looks through all of them some sixty times, this at most once.
    gc.set_threshold(150_000, 10, 100)
    _no_plugins()
    from holdfast.interfaces.cli.classes import quick_dataclasses

    quick_dataclasses()


def _no_plugins() -> None:
    """Looking for pydantic's plugins reads the description of every installed package, and what looks for them imports the mail parser even
    where there are to be none.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    name = "pydantic.plugin._loader"
    if os.environ["PYDANTIC_DISABLE_PLUGINS"] not in ("1", "true", "__all__") or name in sys.modules:
        return
    placeholder = type(sys)(name, "Stands for the module that looks for plugins, which are disabled.")
    placeholder.__dict__["get_plugins"] = tuple
    sys.modules[name] = placeholder


def end_light() -> None:
    """After the last word: what is left is given back by the end of the process, so nobody need look for garbage in it."""
    gc.freeze()
