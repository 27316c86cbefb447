"""The executor of a system's plan, as its system is given it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from holdfast.assembly.executor.order import Order, plan_for
from holdfast.plan.shape.systems.executor import LEAST, Executor
from holdfast.plan.values.secret import KeyRef
from holdfast.systems.contract import Pool, Probe, Sharing

if TYPE_CHECKING:
    from holdfast.assembly.vault.places import Places
    from holdfast.model import Progress


def sharing_of(platform: "Places", name: str, spec: Executor | None) -> Sharing | None:
    """None where the plan names no executor: the system then does everything in this process."""
    if spec is None:
        return None
    folder = str(platform.plan.path.parent.absolute())

    def order(key: KeyRef | None, role: str) -> Order:
        given = key.model_dump(exclude_none=True) if key is not None else None
        return Order(plan_for(platform.plan, name, given), folder, name, role, *platform.limits)

    def opened(progress: "Progress") -> AbstractContextManager[Pool]:
        from holdfast.assembly.executor.spark import spark_pool

        scan = order(spec.verify_key, "reader") if spec.verify else None
        return spark_pool(spec, order(spec.key, "writer"), scan, platform.clock, progress)

    def probe() -> Sequence[Probe]:
        from holdfast.assembly.executor.probing import probe

        return [probe(spec, name, platform.clock)]

    return Sharing(opened, probe, LEAST if spec.least is None else spec.least, bool(spec.verify))
