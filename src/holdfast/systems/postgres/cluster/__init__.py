"""The members of a cluster: who they are, which of them a backup is taken from, and where they are now."""
