"""The transaction log by the published protocol: names, actions, checkpoints, deletion vectors, the state of a version."""
