"""Expanding what was compressed, within a limit that is one."""

import zstandard


def expand(data: bytes | bytearray | memoryview, most: int) -> bytes:
    """At most ``most`` bytes; raises ZstdError for more, and for what is no zstd.

    ``max_output_size`` alone is no limit: zstandard leaves it aside where the compressed data itself says how large it becomes, so some
    kilobytes could claim, and fill, all memory.
    """
    said = zstandard.frame_content_size(data)
    if said > most:
        raise zstandard.ZstdError(f"it would expand to {said} bytes; at most {most} are right")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
