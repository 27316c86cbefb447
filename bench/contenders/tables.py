"""Who copies a Delta table in a bucket: Holdfast as a table, and the same Holdfast as the objects that it is made of."""

from bench.contenders.buckets import HoldfastBucket


class HoldfastTable(HoldfastBucket):
    name = "holdfast"
    kind = "delta"


class AsBucket(HoldfastBucket):
    """The same objects without a look at what they mean: what the table's rate is held against."""

    name = "bucket"
