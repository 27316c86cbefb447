"""`make bench`: Holdfast beside its peers on one machine, interleaved, medians; ratios of neighbours are what counts."""
