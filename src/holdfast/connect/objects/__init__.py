"""Objects that are protected or restored to: list, read, write by key, in S3 and what speaks it, or a folder. Not where vaults rest."""

from holdfast.connect.objects.ahead import Job, in_order
from holdfast.connect.objects.contract import Buffer, Described, Fitting, Listed, Objects, OnlyNew
from holdfast.connect.objects.errors import ObjectChanged, ObjectDenied, ObjectGone, StoreDenied, StoreThrottled, StoreUnreachable
from holdfast.connect.objects.open import Options, open_objects, split

__all__ = [
    "Buffer",
    "Described",
    "Fitting",
    "Job",
    "Listed",
    "ObjectChanged",
    "ObjectDenied",
    "ObjectGone",
    "Objects",
    "OnlyNew",
    "Options",
    "StoreDenied",
    "StoreThrottled",
    "StoreUnreachable",
    "in_order",
    "open_objects",
    "split",
]
