"""The shipped runbooks are followed to their end although every process that drives them is killed. The whole of it is `make runbooks`."""

import pytest

from tests.runbook_templates.campaign import PASSES, Pass, go
from tests.servers import need

pytestmark = pytest.mark.timeout(3600)
SAMPLE = Pass("database", ("after",), steps=("restore", "handover", "repoint", "restart"))


@pytest.mark.postgres
def test_a_database_whose_steps_happened_and_nobody_wrote_it_down(tmp_path):
    with need():
        go(SAMPLE, tmp_path)


@pytest.mark.soak
@pytest.mark.postgres
@pytest.mark.minio
@pytest.mark.parametrize("made", PASSES, ids=lambda made: f"{made.what}{made.way}-{'-'.join(made.moments)}")
def test_killed_at_every_step(tmp_path, made):
    with need():
        go(made, tmp_path)
