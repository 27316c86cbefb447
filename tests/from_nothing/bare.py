"""Fresh virtual environments that know nothing: one with Holdfast as if it had been installed, one with four packages alone."""

import importlib.metadata
import os
import sysconfig
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


def environment(folder: Path) -> Path:
    """A virtual environment of this interpreter with nothing in it; returns its packages' folder."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def with_holdfast(folder: Path) -> None:
    """What ``pip install holdfast`` leaves behind, without a network: the packages of this interpreter, and the program."""
    packages = environment(folder)
    paths = dict.fromkeys((str(SOURCE), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (packages / "holdfast.pth").write_text("\n".join(paths) + "\n")
    program = folder / "bin" / "holdfast"
    program.write_text(f"#!{folder}/bin/python\nimport sys\nfrom holdfast.interfaces.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)


def with_packages(folder: Path, *names: str) -> None:
    """Only these distributions, linked from where this interpreter has them."""
    packages = environment(folder)
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if ".." not in file.parts and file.parts[0] != "__pycache__"}:
            source, target = Path(str(distribution.locate_file(top))), packages / top
            if not target.exists():
                target.symlink_to(source)


def clean(home: Path) -> dict[str, str]:
    """The environment of an empty machine: a home with nothing in it."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
