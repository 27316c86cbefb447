"""Git repositories: every reference and object as proved bundles, and back to repositories that equal them."""

from holdfast.systems.files.git.address import Repository, named, repository
from holdfast.systems.files.git.capture import Captured, GitCapture
from holdfast.systems.files.git.rebuild import rebuild

__all__ = ["Captured", "GitCapture", "Repository", "named", "rebuild", "repository"]
