"""An empty moment is a variable that was never set: it must not mean the newest state."""

import datetime as dt

import pytest

from holdfast.errors import Usage
from holdfast.plan.values.moments import wanted
from holdfast.systems.bucket.restore import target as of_buckets
from holdfast.systems.delta import target as of_tables
from holdfast.systems.files.restore import target as of_files
from holdfast.systems.postgres.restore.planning import target as of_postgres

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


def test_what_was_not_said_is_the_newest_and_what_is_empty_is_nothing():
    assert wanted(None) == "latest"
    assert wanted(" 10m ago ") == "10m ago"


@pytest.mark.parametrize("kind", [of_postgres, of_buckets, of_files, of_tables], ids=["postgres", "bucket", "files", "delta"])
@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_kind_takes_an_empty_moment_for_the_newest(kind, text):
    with pytest.raises(Usage, match="empty"):
        kind.parse(text, NOW, dt.UTC)
    assert kind.parse(None, NOW, dt.UTC) is not None
