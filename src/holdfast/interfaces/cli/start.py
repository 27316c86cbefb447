"""What libraries do at their start and nobody here needs is a tenth of what a short command costs: it is left out here."""

import gc
import os


def start_light() -> None:
    """Before the first import of pydantic, numpy and of our own classes."""
    # No linear algebra is done here, so its threads would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Importing makes many objects and hardly any garbage; the default looks through all of them some sixty times, this at most once.
    gc.set_threshold(150_000, 10, 100)
    # Looking for pydantic's plugins reads the description of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")


def end_light() -> None:
    """After the last word: what is left is given back by the end of the process, so nobody need look for garbage in it."""
    gc.freeze()
