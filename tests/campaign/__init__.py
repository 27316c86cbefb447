"""The fault campaign: separate processes killed at every storage call, power cuts, faults and flipped bits; then others go on.

Whatever is listed afterwards is restored and compared with a ledger of what was committed. `make soak` runs all of it, `make test` a
sample. One finding again: `python -m tests.campaign '<the order that the failure printed>'`.
"""
