"""Keeps a cluster's WAL flowing into the vault, and says flushed only of what is durable there."""

from holdfast.systems.postgres.follow.errors import OtherSystem, ServerBehind, WalConflict, WalGap
from holdfast.systems.postgres.follow.follower import Follower
from holdfast.systems.postgres.follow.settings import Backlog, FollowSettings, slot_name
from holdfast.systems.postgres.follow.status import FollowStatus

__all__ = ["Backlog", "FollowSettings", "FollowStatus", "Follower", "OtherSystem", "ServerBehind", "WalConflict", "WalGap", "slot_name"]
