"""What can go wrong with buckets."""

from holdfast.errors import Damaged, FoundWrong, Refused, Unreachable, Usage


class BucketEmptied(Refused):
    """A bucket or prefix of the plan held objects in the last point and holds none now."""

    code = "bucket-emptied"


class ListingUnordered(Unreachable):
    """A store lists its keys in no order (as S3's directory buckets do): nothing can be compared with what was there before."""

    code = "bucket-listing-unordered"


class NoBucketPoint(Refused):
    """No recovery point lies at or before the moment that was asked for."""

    code = "bucket-no-point"


class BucketUsage(Usage):
    """The options of a bucket's restore or verification do not go together, or name what the point does not hold."""

    code = "bucket-usage"


class PrefixTaken(Refused):
    """Objects lie where others are to be restored."""

    code = "bucket-target-taken"


class NotVersioned(Refused):
    """What a restore would overwrite would be gone: the bucket keeps no versions."""

    code = "bucket-not-versioned"


class NotRestored(FoundWrong):
    """What lies in the target after a restore is not what was restored."""

    code = "bucket-not-restored"


class BucketSql(Usage):
    """A check by SQL was asked of a bucket."""

    code = "bucket-no-sql"


class BucketNonsense(Damaged):
    """A recovery point holds a line of a bucket that none could have written."""

    code = "bucket-entry-nonsense"


class SharedOdd(Refused):
    """A worker of an executor handed over other objects than it was asked for."""

    code = "bucket-shared-odd"


class SharedUnseen(Unreachable):
    """A worker of an executor does not see objects that are there."""

    code = "bucket-shared-unseen"
