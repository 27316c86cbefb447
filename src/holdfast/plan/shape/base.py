"""What all parts share: frozen, unknown keys refused."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A mapping of the plan. Keys that the shape does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True, defer_build=True)
