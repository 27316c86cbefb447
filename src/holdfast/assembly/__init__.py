"""The only room that names concrete systems, storages and channels: a plan becomes a platform that can be worked with.

Everything is made when it is first asked for: `status` on a laptop does not need a database driver. ``Platform`` is put together of parts,
one file for each purpose; a new kind of system is a part of its own.
"""

from holdfast.assembly.host import cache_directory
from holdfast.assembly.linting import lint
from holdfast.assembly.platform import Platform
from holdfast.assembly.vault.bare import bare_plan, bare_vault, stored_plan
from holdfast.assembly.vault.places import Created, VaultHistory
from holdfast.assembly.vault.records import stored_records

__all__ = ["Created", "Platform", "VaultHistory", "bare_plan", "bare_vault", "cache_directory", "lint", "stored_plan", "stored_records"]
