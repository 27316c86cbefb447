"""The environment that Git runs in: nothing that a repository or this account's configuration says is executed, nothing is asked.

Sources: git(1) "Environment Variables", git-config(1) ("protected configuration"), gitcredentials(7).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from holdfast.systems.files.git.address import SCHEMES, Repository

KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "HTTPS_PROXY"),
    *("all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"),
)
"""Of this process's variables: what a person's ssh and network need. Everything else named GIT_* is left out."""

_SLOW = 60
"""Seconds below 1 byte/s after which an HTTP transfer counts as dead; the watch over a silent Git is the caller's."""


def prepare(home: Path, repository: Repository | None = None) -> None:
    """Write the only configuration that Git will read, into a folder of ours. It holds no secret."""
    lines = [
        "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\taskPass =\n\tquotePath = false\n\tuntrackedCache = false",
        "[gc]\n\tauto = 0",
        "[maintenance]\n\tauto = false",
        "[submodule]\n\trecurse = false",
        "[fetch]\n\trecurseSubmodules = false\n\twriteCommitGraph = false\n\tunpackLimit = 1",
        "[transfer]\n\tunpackLimit = 1",
        "[protocol]\n\tallow = never\n\tversion = 2",
        *(f'[protocol "{scheme}"]\n\tallow = always' for scheme in SCHEMES),
        f"[http]\n\tlowSpeedLimit = 1\n\tlowSpeedTime = {_SLOW}\n\tfollowRedirects = initial",
        "[credential]\n\thelper =\n\tinteractive = false",
        "[init]\n\tdefaultBranch = main\n\ttemplateDir =",
        # Whom a folder belongs to does not matter: no hook and no configuration of it that runs something is heeded.
        "[safe]\n\tdirectory = *",
        "[advice]\n\tdetachedHead = false",
    ]
    if repository is not None and repository.password is not None:
        # Git itself gives credentials only to the address that the section names, not to where a redirect leads.
        origin = repository.url.split("://", 1)
        host = f"{origin[0]}://{origin[1].split('/', 1)[0]}"
        lines.append(
            f'[credential "{host}"]\n\thelper = "!f() {{ test \\"$1\\" = get && '
            f'printf \'username=%s\\\\npassword=%s\\\\n\' \\"$HOLDFAST_GIT_USER\\" \\"$HOLDFAST_GIT_PASSWORD\\"; }}; f"'
        )
    if repository is not None and repository.ca is not None:
        quoted = str(repository.ca).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'[http]\n\tsslCAInfo = "{quoted}"')
    (home / "gitconfig").write_text("\n".join(lines) + "\n", encoding="utf-8")


def environment(home: Path, repository: Repository | None = None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """``home``: the folder that ``prepare`` wrote into. Credentials travel here and in no argument list."""
    given = os.environ if environ is None else environ
    chosen = {name: given[name] for name in KEPT if name in given}
    chosen.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    chosen.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4")
    chosen |= {
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CEILING_DIRECTORIES": str(home),
    }
    if repository is not None and repository.password is not None:
        chosen["HOLDFAST_GIT_USER"] = repository.user or "holdfast"
        chosen["HOLDFAST_GIT_PASSWORD"] = repository.password
    return chosen
