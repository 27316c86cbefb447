"""Messages to people, kept until they are delivered: when mail and chat are down, they wait, are retried, and are shown."""

from holdfast.state.outbox.delivery import Delivery, Opener, Way
from holdfast.state.outbox.line import Line, Standing
from holdfast.state.outbox.queue import Outbox

__all__ = ["Delivery", "Line", "Opener", "Outbox", "Standing", "Way"]
