"""Behaviour that cuts across storages (retry, throttle, injected faults), each one wrapper round the contract."""
