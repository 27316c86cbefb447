"""docs/guide-validation.md works as printed."""

from tests.guides.on_files import DOCS, followed
from tests.guides.script import commands

PAGE = DOCS / "guide-validation.md"


def test_the_guide_works_as_printed(tmp_path):
    said, _ = followed(PAGE, tmp_path)
    assert len(commands(PAGE)) == 3
    assert "compared with the source, exactly" in said
    assert "compared with the source, by sample" in said
    assert "holdfast verify --record " in said
