"""Whether an executor works: what ``holdfast check`` says of it."""

from holdfast import __version__
from holdfast.assembly.executor.spark import cluster, in_time
from holdfast.errors import HoldfastError
from holdfast.model import Clock, Silent, counted
from holdfast.plan.shape.systems.executor import Executor
from holdfast.systems.contract import Probe

_PATIENCE = 60.0


def probe(spec: Executor, name: str, clock: Clock) -> Probe:
    """Never raises for what it was asked to find out."""
    label = f"executor {spec.spark}"
    try:
        with cluster(spec, name, clock, _PATIENCE) as found:
            hosts = in_time(found, found.hosts, Silent())
            detail = f"{counted(found.executors, 'worker')} with {counted(found.cores, 'core')}"
    except HoldfastError as error:
        return Probe(label, "fail", error.message, error.hint)
    versions = sorted(set(hosts.values()))
    detail += f"; Holdfast {', '.join(versions)}"
    if versions != [__version__]:
        other = ", ".join(f"{host}: {version}" for host, version in sorted(hosts.items()) if version != __version__)
        return Probe(label, "fail", f"{detail}, and this is {__version__} ({other})", "Install the same version on all workers.")
    return Probe(label, "ok", detail)
