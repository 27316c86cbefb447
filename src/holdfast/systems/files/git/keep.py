"""What this machine keeps of a repository between two points: the objects of each bundle, a folder each, and lists of references.

All of it comes from bundles that went into points and may be lost at any time; the next point then begins with one whole bundle.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.model import Clock
from holdfast.systems.files.git.errors import GitBusy
from holdfast.systems.files.git.refs import BadRefs, Refs, from_files
from holdfast.systems.files.git.stored import Bundle

_PATIENCE_S = 600.0


class Keep:
    """The kept objects of one repository below ``cache``. ``work`` is scratch space on the same file system."""

    def __init__(self, cache: Path, url: str, clock: Clock) -> None:
        self.folder = cache / hashlib.sha256(url.encode()).hexdigest()[:24]
        self.work = self.folder / "work"
        self._url = url
        self._clock = clock

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; what a killed one left in ``work`` goes. Raises GitBusy."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            self._wait(handle)
            try:
                shutil.rmtree(self.work, ignore_errors=True)
                self.work.mkdir(mode=0o700)
                yield
            finally:
                shutil.rmtree(self.work, ignore_errors=True)
        finally:
            os.close(handle)

    def _wait(self, handle: int) -> None:
        end = self._clock.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._clock.monotonic() >= end:
                    raise GitBusy(f"Another process captures {self._url}.", hint="See: holdfast jobs") from None
                self._clock.sleep(0.2)

    def objects(self, bundle: Bundle) -> Path:
        """The object store with what one bundle holds (its name in the chain and its bytes are in the folder's name)."""
        return self.folder / f"{bundle.number:04d}-{bundle.sha256}"

    def has(self, bundles: Sequence[Bundle]) -> bool:
        return all((self.objects(one) / "pack").is_dir() for one in bundles)

    def adopt(self, objects: Path, bundle: Bundle) -> Path:
        """Take a finished object store over, in one step."""
        target = self.objects(bundle)
        (objects / "info" / "alternates").unlink(missing_ok=True)
        if target.exists():
            shutil.rmtree(target)
        objects.rename(target)
        return target

    def only(self, bundles: Sequence[Bundle]) -> None:
        """Remove what no bundle named here needs."""
        wanted = {self.objects(one).name for one in bundles}
        for one in self.folder.iterdir():
            if one.is_dir() and one.name[:4].isdigit() and one.name not in wanted:
                shutil.rmtree(one, ignore_errors=True)

    def put_refs(self, refs: Refs) -> None:
        """Remember references under their digest; the last few lists stay."""
        folder = self.folder / "refs"
        folder.mkdir(exist_ok=True)
        digest = refs.digest()
        for part, data in (("packed", refs.packed()), ("head", refs.head_file()), ("symrefs", refs.symrefs())):
            waiting = folder / f".{digest}.{part}"
            waiting.write_bytes(data)
            waiting.rename(folder / f"{digest}.{part}")
        lists = sorted(folder.glob("*.packed"), key=lambda path: path.stat().st_mtime_ns)
        for old in lists[:-8]:
            for part in ("packed", "head", "symrefs"):
                old.with_suffix(f".{part}").unlink(missing_ok=True)

    def refs(self, digest: str) -> Refs | None:
        """The references with that digest; None when they are not (or not rightly) remembered."""
        folder = self.folder / "refs"
        try:
            found = from_files(*((folder / f"{digest}.{part}").read_bytes() for part in ("packed", "head", "symrefs")))
        except (OSError, BadRefs):
            return None
        return found if found.digest() == digest else None
