"""docs/guide-delta.md works as printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.delta.kit import delta_rows, write
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-delta.md"


def test_the_guide_works_as_printed(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "holdfast").write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast.interfaces.cli.main "$@"\n')
    (programs / "holdfast").chmod(0o755)
    for name in ("etc", "vault", "home"):
        (tmp_path / name).mkdir(parents=True)
    table = tmp_path / "data" / "lake" / "financial_transactions"
    for number in range(5):
        write(table, id=[number], amount=[-100 if number == 3 else 100 + number])
    write(tmp_path / "data" / "lake" / "sales" / "eu", id=[1])
    text = script(
        PAGE, {"/etc/holdfast": str(tmp_path / "etc"), "/var/lib/holdfast": str(tmp_path / "vault"), "/data/": f"{tmp_path}/data/"}
    )
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "HOLDFAST_SANDBOX": str(tmp_path / "boxes"),
    }
    # The rewind is looked at before the next block moves its table aside.
    text = text.replace("echo '--- block 6'", f"cp -a {table} {tmp_path}/rewound\necho '--- block 6'")
    done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert len(commands(PAGE)) == 8
    found = (tmp_path / "etc" / "found").read_text()
    assert "--to version:financial_transactions@2" in found
    assert delta_rows(tmp_path / "data" / "looked-at") == [[0, 100], [1, 101], [2, 102]]
    assert delta_rows(tmp_path / "rewound") == [[0, 100], [1, 101], [2, 102]]
    assert delta_rows(table) == [[0, 100], [1, 101], [2, 102]]
    assert len(list(table.parent.glob("financial_transactions.damaged-*"))) == 1
    suite = json.loads((tmp_path / "etc" / "expectations" / "financial_transactions.json").read_text())
    assert {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 2, "max_value": 4}} in [
        {"type": one["type"], "kwargs": one["kwargs"]} for one in suite["expectations"]
    ]
    assert "suite financial_transactions: column_sum_to_be_between amount" in done.stdout.rpartition("block 8")[2]
