"""The storages that each hold the whole vault, and where one session writes."""

from holdfast.vault.locations.locations import Locations, Trouble, get_if_there, put_same

__all__ = ["Locations", "Trouble", "get_if_there", "put_same"]
