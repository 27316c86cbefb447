"""Trees of files to back up, made from a seed: many small ones like a machine's sources and programs, or few large ones.

No two files share content: a tool must not win by how it finds repetition that a generator happened to make.
"""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import blake3
import numpy as np

KIB, MIB = 1 << 10, 1 << 20
A_FOLDER = 25
"""Files in a folder, about."""


@dataclass(frozen=True)
class Shape:
    """``files`` of about ``mean`` bytes; ``text`` of them are words, the others half records (which shrink) and half noise."""

    files: int
    mean: int
    text: float


SMALL = Shape(20_202, 68 * KIB, 0.7)
LARGE = Shape(12, 110 * MIB, 0.0)


def small_enough(shape: Shape) -> Shape:
    """A tenth of a tree, to see that everything works."""
    return Shape(max(4, shape.files // 10), shape.mean if shape.files > 100 else shape.mean // 4, shape.text)


def grown(files: int) -> Shape:
    """For growth: small files alone, so that what each file costs is what grows."""
    return Shape(files, 8 * KIB, 0.8)


def make(root: Path, shape: Shape, seed: int = 1) -> int:
    """Write the tree; returns its bytes. The same seed makes the same names and content."""
    draw = np.random.default_rng(seed)
    sizes = _sizes(draw, shape)
    texts = draw.random(shape.files) < shape.text
    lines = _lines(draw)
    total = 0
    folders = max(1, shape.files // A_FOLDER)
    for number, (size, text) in enumerate(zip(sizes.tolist(), texts.tolist(), strict=True)):
        folder = _folder(root, number % folders)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{'source' if text else 'object'}-{number:06}.{'py' if text else 'bin'}"
        with path.open("wb") as handle:
            for piece in _pieces(draw, size, lines if text else None):
                handle.write(piece)
        path.chmod(0o644 if text else 0o755)
        total += size
    return total


def change(root: Path, share: float, seed: int) -> int:
    """Rewrite a piece inside ``share`` of the files (of a few large ones: in ``share`` of their 64 KiB blocks); returns the bytes."""
    draw = random.Random(seed)
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    if len(paths) < 100:
        return sum(_change_blocks(path, share, draw) for path in paths)
    done = 0
    for path in draw.sample(paths, max(1, round(len(paths) * share))):
        size = path.stat().st_size
        piece = draw.randbytes(min(4096, max(1, size // 2)))
        with path.open("r+b") as handle:
            handle.seek(draw.randrange(max(1, size - len(piece))))
            handle.write(piece)
        done += len(piece)
    return done


def _change_blocks(path: Path, share: float, draw: random.Random) -> int:
    blocks = path.stat().st_size // (64 * KIB)
    chosen = draw.sample(range(blocks), max(1, round(blocks * share)))
    with path.open("r+b") as handle:
        for block in chosen:
            handle.seek(block * 64 * KIB + draw.randrange(32 * KIB))
            handle.write(draw.randbytes(8 * KIB))
    return len(chosen) * 8 * KIB


def _folder(root: Path, number: int) -> Path:
    """Three levels deep."""
    return root / f"part-{number % 7}" / f"package-{number % 61:02}" / f"module-{number:04}"


def _sizes(draw: np.random.Generator, shape: Shape) -> np.ndarray:
    """Log-normal as in real trees (most files small, most bytes in the largest), scaled to the mean; large files differ little."""
    spread = 1.9 if shape.mean < MIB else 0.3
    raw = draw.lognormal(0, spread, shape.files)
    return np.maximum(1, (raw * (shape.mean / raw.mean()))).astype(np.int64)


def _lines(draw: np.random.Generator) -> list[bytes]:
    """Lines to write texts from: words of a vocabulary, indented like code."""
    words = [bytes(draw.integers(97, 123, int(length)).astype(np.uint8)) for length in draw.integers(2, 11, 3000)]
    chosen = zip(draw.integers(0, 4, 60_000).tolist(), (draw.zipf(1.3, (60_000, 7)) % 3000).tolist(), strict=True)
    return [b" " * 4 * indent + b" ".join([words[i] for i in row]) + b"\n" for indent, row in chosen]


def _pieces(draw: np.random.Generator, size: int, lines: list[bytes] | None):
    """The bytes of one file, at most 4 MiB at a time."""
    while size > 0:
        length = min(size, 4 * MIB)
        size -= length
        if lines is not None:
            chosen = draw.integers(0, len(lines), length // 20 + 2).tolist()
            yield b"".join([lines[i] for i in chosen])[:length].ljust(length, b"#")
        else:
            half = length // 2
            rows = draw.integers(0, 1 << 16, (half // 16 + 1, 4), dtype=np.uint32)
            yield rows.tobytes()[:half] + draw.bytes(length - half)


def digest(root: Path) -> list[tuple[str, bytes]]:
    """(name, BLAKE3) of every file, sorted; wherever below ``root`` it lies."""
    return sorted((path.name, blake3.blake3(path.read_bytes()).digest()) for path in root.rglob("*") if path.is_file())


def size_of(root: Path) -> tuple[int, int]:
    """(files, bytes) of a tree."""
    files = total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            files += 1
            total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - a million of them
    return files, total
