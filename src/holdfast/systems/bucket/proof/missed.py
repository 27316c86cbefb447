"""What a capture left out: the store says that it is older than the newest point, and the point lacks it.

A store of objects says itself when an object was put, and nothing changes that. So what is older than the begin of a point and lies there
was there when the point was taken, but for one thing: where a bucket keeps versions, an older one is current again once the delete marker
above it is removed. There only a point that holds all versions can be judged. Nor can a folder (anybody sets the times of files), nor what
Azure gives back (undeleted blobs keep their time).
"""

import datetime as dt
from itertools import islice

from holdfast.connect.objects import Objects, StoreDenied
from holdfast.connect.objects.errors import shown
from holdfast.systems.bucket.listing import lines_of
from holdfast.systems.bucket.merge import BaseLines
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.bucket.watch import versioned
from holdfast.systems.contract import History, LeftOut

MARGIN = 300
"""Seconds by which an object must be older than the point: the clocks of the store and of this machine may differ."""
_NAMED = 5


def left_out(settings: BucketSettings, history: History) -> LeftOut:
    """By the newest point, where it was taken by the present plan and lacks nothing that it names itself."""
    points = history.points()
    point = points[-1] if points else None
    if point is None or point.findings or point.facts.get("incomplete") or not settings.url.startswith(("s3://", "gs://")):
        return LeftOut()
    told = (point.facts.get("url"), point.facts.get("versions"), point.facts.get("prefixes"))
    if told != (settings.url, settings.versions, list(settings.prefixes)):
        return LeftOut()
    store = settings.open(settings.url)
    try:
        if settings.versions != "all" and _may_come_back(store):
            return LeftOut()
        began = int((dt.datetime.fromisoformat(str(point.start["time"])).timestamp() - MARGIN) * 1e9)
        base = BaseLines(history.open(point.id).lines())
        everything = settings.versions == "all"
        found = (one.key for one in lines_of(settings, store, everything=everything) if base.at(one) is None and one.modified_ns < began)
        named = [shown(key) for key in islice(found, _NAMED)]
        return LeftOut(len(named) + sum(1 for _ in found), tuple(named))
    finally:
        store.close()


def _may_come_back(store: Objects) -> bool:
    try:
        return versioned(store)
    except StoreDenied:
        return True
