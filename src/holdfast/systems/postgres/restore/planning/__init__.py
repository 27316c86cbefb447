"""A restore as data: what the vault holds, which way leads to the target, what stands where it is to go. Nothing is written."""
