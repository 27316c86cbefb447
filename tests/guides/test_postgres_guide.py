"""docs/guide-postgres.md works as printed, on a real server, as the user that owns its data directory."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.guides.script import commands, script
from tests.servers import client_tool, need, service_account
from tests.servers.account import server_folder
from tests.servers.python import holdfast_for_account

ALL_THERE = "select bool_and(flush_lsn >= pg_current_wal_flush_lsn()) from pg_stat_replication"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-postgres.md"


@pytest.fixture
def home():
    folder = server_folder("guide")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stop_restored(data: Path) -> None:
    """Ends the server that the guide leaves running, by the id in its own directory."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


README = PAGE.parents[1] / "README.md"


def first_five_minutes(home: Path, server) -> str:
    """The commands of the README's first backup, but for those that install."""
    section = README.read_text().split("## A first backup in five minutes")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    text = "".join(block for block in blocks if not block.startswith(("install", "mkdir")))
    assert len(blocks) == 4
    for said, meant in {
        "/var/lib/postgresql/15/main": str(server.data),
        "host=/var/run/postgresql": f"host={server.folder} port={server.port}",
        "/var/lib/holdfast": str(home / "vault"),
        "/srv/restored/now": str(home / "srv" / "restored"),
        # A reader takes longer to go on; the first status may say that something was never proved.
        "holdfast follow &": f"holdfast follow & FOLLOWER=$!; until psql -Atqd postgres -c '{ALL_THERE}' | grep -q t; do sleep 1; done #",
        "holdfast status ": "holdfast status || test $? = 1 #",
    }.items():
        assert said in text, f"README.md no longer says {said}"
        text = text.replace(said, meant)
    return f"set -euo pipefail\nexport HOLDFAST_KEY=long\n{text}\nkill -TERM $FOLLOWER; wait $FOLLOWER || true; echo --- the end"


@pytest.mark.postgres
@pytest.mark.parametrize("page", ["guide", "README"])
def test_the_guide_works_as_printed(servers, home, page):
    server = servers(15)
    account = service_account()
    with need():
        words, environment = holdfast_for_account()
        psql = client_tool("psql")
    programs = home / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
    (programs / "psql").symlink_to(psql)
    for name in ("etc", "srv", "vault"):
        (home / name).mkdir()
    (programs / "holdfast").chmod(0o755)
    account.own(home)
    text = (
        first_five_minutes(home, server)
        if page == "README"
        else script(
            PAGE,
            {
                "/var/lib/postgresql/15/main": str(server.data),
                "host=/var/run/postgresql": f"host={server.folder} port={server.port}",
                "/var/lib/holdfast": str(home / "vault"),
                "/etc/holdfast": str(home / "etc"),
                "/srv/restored": str(home / "srv" / "restored"),
                # A busy test machine takes longer than a reader: until the vault has all, and some more for the time up to which.
                "sleep 3": f"until psql -Atqd postgres -c '{ALL_THERE}' | grep -q t; do sleep 1; done; sleep 7",
            },
        )
    )
    environment = {
        **account.environment(home),
        **environment,
        "PATH": f"{programs}:/usr/bin:/bin",
        "PGHOST": str(server.folder),
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
    }
    # Not into a pipe: what the guide leaves in the background would keep it open.
    printed = home / "printed"
    with printed.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", text],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            **account.popen,
        )
        try:
            status = shell.wait(240)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait(10)
            stop_restored(home / "srv" / "restored")
    said = printed.read_text(errors="replace")
    assert status == 0, said
    assert "Traceback" not in said
    assert ("--- the end" if page == "README" else f"--- block {len(commands(PAGE))}") in said


def test_a_block_that_fails_would_be_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh run\nfalse\n```\n\n```sh\nnot run\n```\n\n```sh run\necho reached\n```\n")
    assert commands(page) == ["false\n", "echo reached\n"]
    done = subprocess.run(["bash", "-c", script(page, {})], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "reached" not in done.stdout
