"""Writing recovery points: an open session, its workers, the tree and the commit."""
