"""A whole platform in small (database, lake, bucket, files), lost and brought back on empty machines: what ``make drill`` shows."""
