"""What wakes a follower's thread."""

import os
import select

from holdfast.systems.postgres.follow.streaming import Wake


def test_what_is_set_is_seen_until_it_is_cleared() -> None:
    wake = Wake()
    for _ in range(100_000):  # more than a pipe holds
        wake.set()
    assert select.select([wake.fd], [], [], 0)[0]
    while select.select([wake.fd], [], [], 0)[0]:
        wake.clear()
    wake.close()


def test_after_its_end_it_writes_into_nobodys_file() -> None:
    """A signal or another thread may come late, when the numbers belong to others."""
    wake = Wake()
    numbers = (wake.fd, wake._write)
    wake.close()
    reading, writing = os.pipe()
    for number in numbers:
        if number not in (reading, writing):
            os.dup2(writing, number)
    wake.set()
    wake.close()
    assert not select.select([reading], [], [], 0)[0]
    for number in {*numbers, reading, writing}:
        os.close(number)
