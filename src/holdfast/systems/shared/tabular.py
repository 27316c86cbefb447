"""Parquet and CSV files of a copy as one table."""

import tempfile
from pathlib import Path

from holdfast.errors import FoundWrong, MissingExtra, Usage
from holdfast.systems.contract import Relation, TableUnknown

_READERS = {".parquet": "read_parquet", ".csv": "read_csv"}


class FilesNoTable(Usage):
    """What is named as a table is neither Parquet nor CSV, or reaches out of the copy."""

    code = "files-no-table"


class FilesUnreadable(FoundWrong):
    """Files that are to be one table cannot be read as such."""

    code = "files-table-unreadable"


def of_files(root: Path, pattern: str, box: Path) -> Relation:
    """The files below ``root`` that ``pattern`` means (a path as it was at the source, or as in a shell), as one table. The database is
    made in ``box``, to be removed with it, and holds no copy of them.

    Raises FilesNoTable, FilesUnreadable, TableUnknown, MissingExtra.
    """
    wanted = pattern.strip("/")
    suffix = Path(wanted).suffix.lower()
    if suffix not in _READERS:
        raise FilesNoTable(f"{pattern} is no table.", hint="Name .parquet or .csv files by path or pattern: /data/orders/*.parquet")
    if ".." in Path(wanted).parts:
        raise FilesNoTable(f"{pattern} leads out of the copy.", hint="Name a path of the system.")
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("expectations", "Reading files as tables") from error
    top = root.resolve()
    # A link to a file out of the copy would be read at its source.
    found = sorted(str(file) for file in root.glob(wanted) if file.is_file() and file.resolve().is_relative_to(top))
    if not found:
        raise TableUnknown(f"No file of the copy is called {pattern}.", hint="Name it by its path at the source.", table=pattern)
    place = Path(tempfile.mkdtemp(prefix="relation-", dir=box)) / "table.duckdb"
    connection = duckdb.connect(str(place))
    try:
        names = ", ".join("'" + one.replace("'", "''") + "'" for one in found)
        connection.execute(f"CREATE VIEW files AS SELECT * FROM {_READERS[suffix]}([{names}], union_by_name=true)")  # noqa: S608 - quoted
    except duckdb.Error as error:
        raise FilesUnreadable(f"{pattern} cannot be read as one table: {str(error).strip().splitlines()[0]}") from error
    finally:
        connection.close()
    return Relation("duckdb", str(place), "files")
