"""Runs Git: no shell, no terminal, its own process group; a network command that falls silent is ended."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.model import Clock
from holdfast.systems.files.git.address import Repository
from holdfast.systems.files.git.environment import environment, prepare
from holdfast.systems.files.git.errors import GitFailed, GitMissing, GitSilent

OLDEST = (2, 32)
"""GIT_CONFIG_GLOBAL, which keeps a person's configuration out, exists since then."""
STALL_S = 300.0


def shown(text: str | bytes) -> str:
    """What a repository or its server says, fit for a terminal: no control character of theirs is obeyed there."""
    plain = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
    return plain if plain.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in plain)


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: bytes
    err: str

    def last(self) -> str:
        """What Git said of the failure, without its progress; else the last it said."""
        lines = [line.rsplit("\r", 1)[-1].strip().removeprefix("remote: ") for line in self.err.split("\n")]
        said = list(dict.fromkeys(line for line in lines if line))
        faults = [line for line in said if line.startswith(("error:", "fatal:", "warning:"))]
        return shown(" / ".join(faults[:6] or said[-2:])[:800].rstrip("."))


class Git:
    """``home``: a private folder that holds the configuration; ``stall``: seconds of silence that a network command may have."""

    def __init__(
        self,
        home: Path,
        clock: Clock,
        repository: Repository | None = None,
        *,
        stall: float = STALL_S,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._clock = clock
        self._repository = repository
        self._stall = stall
        self.home = home
        home.mkdir(mode=0o700, exist_ok=True)
        prepare(home, repository)
        self.environ = environment(home, repository, environ)
        program = shutil.which("git", path=self.environ["PATH"])
        if program is None:
            raise GitMissing("Git is not installed on this machine.", hint="Install git (2.32 or newer).")
        self._program = program

    def version(self) -> tuple[int, ...]:
        """Raises GitMissing for one that is too old."""
        words = self.run(["version"]).out.decode(errors="replace").split()
        found = tuple(int(part) for part in (words[2] if len(words) > 2 else "0").split(".")[:3] if part.isdigit())
        if found < OLDEST:
            raise GitMissing(f"Git {'.'.join(map(str, found))} is too old.", hint="Install git 2.32 or newer.")
        return found

    def run(
        self, words: Sequence[str | bytes | Path], *, folder: Path | None = None, given: bytes | None = None, network: bool = False
    ) -> Done:
        """One command; ``folder`` is its repository, ``given`` its input. Raises GitSilent; its status is the caller's to judge."""
        command: list[str | bytes] = [self._program]
        if folder is not None:
            command += [f"--git-dir={folder}"]
        command += [str(word) if isinstance(word, Path) else word for word in words]
        with tempfile.TemporaryFile() as feed:
            if given is not None:
                feed.write(given)
                feed.seek(0)
            process = subprocess.Popen(
                command,
                stdin=feed if given is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environ,
                cwd=folder if folder is not None else "/",
                start_new_session=True,
            )
        try:
            out, err = self._listen(process, network=network)
            status = process.wait()
        finally:
            if process.returncode is None:
                _end(process)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        return Done(status, out, self._clean(err.decode(errors="replace")))

    def need(self, words: Sequence[str | bytes | Path], *, folder: Path | None = None, given: bytes | None = None) -> bytes:
        """A local command that must succeed; what it printed. Raises GitFailed."""
        done = self.run(words, folder=folder, given=given)
        if done.status:
            what = words[0].decode() if isinstance(words[0], bytes) else str(words[0])
            raise GitFailed(
                f"git {what} ended with status {done.status}: {done.last() or 'it said nothing'}.",
                hint="Look for a full disk or a damaged cache; the cache may be removed at any time.",
            )
        return done.out

    def _listen(self, process: "subprocess.Popen[bytes]", *, network: bool) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        assert process.stderr is not None
        heard: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        with selectors.DefaultSelector() as waiting:
            for number in heard:
                waiting.register(number, selectors.EVENT_READ)
            last = self._clock.monotonic()
            while waiting.get_map():
                ready = waiting.select(min(self._stall, 5.0) if network else None)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        heard[key.fd] += data
                    else:
                        waiting.unregister(key.fd)
                if ready:
                    last = self._clock.monotonic()
                elif network and self._clock.monotonic() - last >= self._stall:
                    where = self._repository.url if self._repository is not None else "the repository"
                    raise GitSilent(
                        f"{where} said nothing for {self._stall:.0f} s; the command was ended.",
                        hint="Look at the server and the network between; the next backup tries again.",
                    )
        out, err = heard.values()
        return bytes(out), bytes(err)

    def _clean(self, said: str) -> str:
        secret = self._repository.secret if self._repository is not None else ""
        return said.replace(secret, "***") if secret else said


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
