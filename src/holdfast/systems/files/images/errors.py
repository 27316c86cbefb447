"""What can go wrong with container images and registries."""

from holdfast.errors import Damaged, Refused, Unreachable, Usage


class ImageReferenceWrong(Usage):
    """The name of an image is not understood."""

    code = "image-reference"


class RegistryUnreachable(Unreachable):
    """A registry does not answer, or not as a registry does."""

    code = "registry-unreachable"


class RegistryDenied(Unreachable):
    """A registry refuses the credentials, or there are none."""

    code = "registry-denied"


class ImageMissing(Unreachable):
    """A registry does not have an image, or not any more."""

    code = "image-missing"


class ManifestRefused(Refused):
    """An image's manifest is of a kind that cannot be kept, or is not one."""

    code = "image-manifest"


class BlobWrong(Damaged):
    """What a registry gave, or what came out of a point, is not what its digest says."""

    code = "image-blob-wrong"


class LayoutWrong(Damaged):
    """A folder is not a complete OCI layout."""

    code = "image-layout"


class PushRefused(Refused):
    """A registry does not take an image."""

    code = "image-push-refused"
