def sums(schema: object, array: object, skipped: bytes | None, /) -> tuple[int, int, int]:
    """(rows, low, high) over the capsules of a batch; ``skipped``: a byte for each row, not 0 where it does not count. Raises ValueError."""
