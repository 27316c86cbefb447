"""Clients of the services that reach people: one contract, a file or folder for each service."""

from holdfast.connect.channels.contract import (
    DRILL,
    KINDS,
    SEVERITIES,
    TEST,
    Channel,
    ChannelDown,
    ChannelFailed,
    ChannelRejected,
    Kind,
    Link,
    Message,
    Reference,
    Severity,
)

__all__ = [
    "DRILL",
    "KINDS",
    "SEVERITIES",
    "TEST",
    "Channel",
    "ChannelDown",
    "ChannelFailed",
    "ChannelRejected",
    "Kind",
    "Link",
    "Message",
    "Reference",
    "Severity",
]
