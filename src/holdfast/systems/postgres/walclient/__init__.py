# ruff: noqa: PTH100, PTH103, PTH108, PTH111, PTH118, PTH119, PTH120  -- importing pathlib would double the start time
"""``holdfast wal push %p`` and ``holdfast wal get %f %p``: thin clients of a resident process. Standard library only, few imports.

``push`` asks the follower. ``get`` asks the follower too, or whoever serves a restored directory's recipe; where nobody listens it starts
``holdfast wal serve``, which opens the vault, fetches ahead, and ends by itself when nothing is asked any more.

They run for every segment of a busy server, so nothing here may import more than ``os`` and ``_socket``: ``socket`` in front of it costs a
third of the start time for what is not needed (enum, selectors).

Exit statuses are PostgreSQL's, not Holdfast's. archive_command: 0 only when the bytes are durable in the vault, 1 to be asked again.
restore_command: 0 fetched; 1 proved to be beyond the end of the log (recovery ends there); 200 anything else. PostgreSQL takes a status up
to 125 as "no such file" and would quietly end recovery early; above 125 it stops instead. With --recipe 44 stands for 1, so that a Python
that fails to start (1) is told apart.
"""

import _socket
import os
import sys

MISSING = 1
FAILED = 200
MISSING_TOLD = 44
PATIENCE = 120.0
"""Seconds that a process which opens the vault may take until it listens."""
_SERVE = "holdfast.interfaces.cli.main"
USAGE = """usage: holdfast wal push [--socket PATH] [--system NAME] %p
       holdfast wal get  [--socket PATH] [--system NAME] [--plan FILE] [--recipe FILE] %f %p
The socket is the resident follower's: --socket, else HOLDFAST_SOCKET, else wal.sock (wal-NAME.sock) in the state directory. Where none
listens, get opens the vault in a process that stays for the next segment: by --plan, else HOLDFAST_PLAN, else holdfast.yaml here."""


class ClientError(Exception):
    """Could not be done; the text says why."""


def main(argv: list[str]) -> int:
    """``argv``: ``["wal", "push" | "get", …]``. Returns the exit status."""
    words = argv[1:] if argv[:1] == ["wal"] else list(argv)
    action = words[0] if words else ""
    failed = FAILED if action == "get" else 1
    if {"-h", "--help", "help"} & set(words[:2]):
        sys.stdout.write(USAGE + "\n")
        return 0
    try:
        options, rest = _options(words[1:])
        path = options.get("--socket") or os.environ.get("HOLDFAST_SOCKET") or default_socket(options.get("--system", ""))
        if action == "push" and len(rest) == 1:
            return _push(path, rest[0])
        if action == "get" and len(rest) == 2:
            return _get_or_serve(path, options, rest[0], rest[1])
    except ClientError as exc:
        return _fail(str(exc), failed)
    except OSError as exc:
        return _fail(f"{exc.strerror or exc}{f': {exc.filename}' if exc.filename else ''}", failed)
    return _fail(USAGE, failed)


def default_socket(system: str = "") -> str:
    """The follower's socket in the state directory of this account."""
    chosen = os.environ.get("HOLDFAST_STATE") or ""
    base = ("" if chosen.startswith(("postgresql://", "postgres://")) else chosen) or os.path.join(
        os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state"), "holdfast"
    )
    return os.path.join(os.path.abspath(os.path.expanduser(base)), f"wal-{system}.sock" if system else "wal.sock")


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    rest = []
    words = list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--socket", "--system", "--plan", "--recipe"):
            if not equals and not words:
                raise ClientError(f"{name} needs a value\n{USAGE}")
            options[name] = value if equals else words.pop(0)
        elif word.startswith("--"):
            raise ClientError(f"unknown option {word}\n{USAGE}")
        else:
            rest.append(word)
    return options, rest


def _push(path: str, file: str) -> int:
    name = os.path.basename(file)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        word, text = _ask(path, f"PUSH {name}\n", descriptor)
    finally:
        os.close(descriptor)
    if word == "OK":
        return 0
    return _fail(f"{name} is not archived: {text}", 1)


def _get_or_serve(path: str, options: dict[str, str], name: str, target: str) -> int:
    """Ask; where nobody listens, or who did is gone in the middle, start somebody and ask again."""
    missing = MISSING_TOLD if "--recipe" in options else MISSING
    try:
        return _get(path, name, target, missing)
    except ClientError:
        if "--socket" not in options and "HOLDFAST_SOCKET" not in os.environ:
            # The follower's own place stays free for it.
            path = f"{path.removesuffix('.sock')}.get.sock"
        elif "--recipe" not in options and "--plan" not in options:
            raise
    for _ in range(5):
        try:
            return _get(path, name, target, missing)
        except ClientError:
            _serve(path, options)
    return _get(path, name, target, missing)


def _serve(path: str, options: dict[str, str]) -> None:
    """Start a process that opens the vault, and wait until it listens at ``path``. What it says goes into a log beside the socket."""
    import subprocess
    import time

    environ = dict(os.environ)
    words = [sys.executable, "-P", "-m", _SERVE, "wal", "serve", "--socket", path]
    if recipe := options.get("--recipe"):
        # The server's account has no home of its own that could be relied upon.
        own = os.path.join(os.path.dirname(recipe), "cache")
        environ |= {"HOLDFAST_CACHE": own, "HOLDFAST_STATE": own}
        words += ["--recipe", recipe]
    elif options.get("--system"):
        words += ["--system", options["--system"]]
    if options.get("--plan"):
        words += ["--plan", options["--plan"]]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    log = os.open(f"{path}.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if _listens(path):
                return
            if process.poll() is not None and process.returncode < 0:
                # Somebody killed it: the caller tries again.
                return
            if process.poll() is not None and not _listens(path):
                said = os.pread(log, 2000, 0).decode("utf-8", "replace").strip().replace("\n", " ")
                raise ClientError(f"the vault cannot be opened: {said or f'status {process.returncode}'}")
            time.sleep(0.05)
        process.kill()
        raise ClientError(f"the vault was not open after {PATIENCE:g} s; see {path}.log")
    finally:
        os.close(log)


def _listens(path: str) -> bool:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        _connect(connection, path)
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _get(path: str, name: str, target: str, missing: int) -> int:
    # PostgreSQL names a file that does not exist; what a failed try left behind must never be taken for a segment.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    done = False
    try:
        word, text = _ask(path, f"GET {name}\n", descriptor)
        done = word == "OK"
    finally:
        os.close(descriptor)
        if not done:
            os.unlink(target)
    if done:
        return 0
    if word == "NONE":
        return missing
    return _fail(f"{name} cannot be fetched: {text}", FAILED)


def _ask(path: str, request: str, descriptor: int) -> tuple[str, str]:
    """One request with an open file, one line of answer: (OK | NONE | ERR, text)."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        try:
            _connect(connection, path)
        except OSError as exc:
            raise ClientError(f"no follower listens at {path} ({exc.strerror}); start 'holdfast follow'") from exc
        passed = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, sys.byteorder))
        connection.sendmsg([os.fsencode(request)], [passed])
        answer = b""
        while not answer.endswith(b"\n"):
            more = connection.recv(4096)
            if not more:
                raise ClientError("the follower ended in the middle of the request; it is asked again")
            answer += more
    finally:
        connection.close()
    word, _, text = answer.decode("utf-8", "replace").rstrip("\n").partition(" ")
    return word, text


def _connect(connection: _socket.socket, path: str) -> None:
    """Also where the path is longer than a socket's address may be: by way of its folder."""
    if len(os.fsencode(path)) < 100:
        connection.connect(path)
        return
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"holdfast wal: {text}\n")
    return status
