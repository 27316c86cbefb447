"""Container images from any registry's HTTP API: with every layer, checked, in one OCI layout, and back into a registry."""

from holdfast.systems.files.images.auth import RegistrySettings
from holdfast.systems.files.images.capture import Captured, ImageCapture, ImageSpec
from holdfast.systems.files.images.layout import Layout, examine
from holdfast.systems.files.images.push import Pushed, push
from holdfast.systems.files.images.reference import Reference, parse_reference
from holdfast.systems.files.images.registry import Registry

__all__ = [
    "Captured",
    "ImageCapture",
    "ImageSpec",
    "Layout",
    "Pushed",
    "Reference",
    "Registry",
    "RegistrySettings",
    "examine",
    "parse_reference",
    "push",
]
