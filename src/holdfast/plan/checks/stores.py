"""Whether stores can be reached as the plan says it, and whether the vault lies in what it is to protect."""

from typing import TYPE_CHECKING

from holdfast.plan.shape.systems.lake import BucketSystem
from holdfast.plan.shape.vault import Endpoint, Location
from holdfast.plan.source.tree import Path, dotted

if TYPE_CHECKING:
    from holdfast.plan.checks.cross import Report

_NAMES = {
    "s3": {"profile", "access_key_id", "secret_access_key", "session_token"},
    "gs": {"service_account"},
    "az": {"account_name", "account_key", "sas_token", "tenant_id", "client_id", "client_secret"},
}


def check(report: "Report") -> None:
    """Every location and every system that is reached like one."""
    document = report.document
    for index, location in enumerate(document.vault.locations):
        _certificates(report, ("vault", "locations", index), location)
        _credentials(report, ("vault", "locations", index), location, location.url)
    for name, spec in document.systems.items():
        at: Path = ("systems", name)
        if isinstance(spec, Endpoint):
            _certificates(report, at, spec)
            _credentials(report, at, spec, str(getattr(spec, "url", None) or ""))
        if isinstance(spec, BucketSystem):
            _questions(report, at, spec)
            for location in document.vault.locations:
                _circle(report, at, spec, location)


def _certificates(report: "Report", at: Path, spec: Endpoint) -> None:
    tls = spec.tls
    if tls is None:
        return
    if spec.endpoint is not None and spec.endpoint.startswith("http://"):
        where = (*at, "tls")
        report.error(where, f"{dotted(at)} has certificates (tls), and its endpoint is no https", "write https://, or take tls out")
    if (tls.cert is None) != (tls.key is None):
        report.error((*at, "tls"), f"{dotted(at)}: cert and key belong together", "give both")
    if isinstance(spec, Location) and tls.cert is not None:
        report.error(
            (*at, "tls", "cert"),
            f"location '{spec.name}' cannot show a certificate of its own",
            "name the ca alone; credentials say who asks",
        )


def _credentials(report: "Report", at: Path, spec: Endpoint, url: str) -> None:
    """What another provider's store is asked with would be left out in silence, and the environment's be taken."""
    scheme = url.partition("://")[0]
    if spec.credentials is None or scheme not in _NAMES:
        return
    given = spec.credentials.named().keys()
    where = (*at, "credentials")
    for name in given - _NAMES[scheme]:
        right = next(other for other, names in _NAMES.items() if name in names)
        hint = f"for {scheme}:// give {', '.join(sorted(_NAMES[scheme]))}"
        report.error((*where, name), f"{dotted(where)}.{name} is for {right}://, and the address is {scheme}://", hint)
    if scheme == "az" and "account_name" not in given and given & {"account_key", "client_secret"}:
        report.error(where, f"{dotted(where)} names no account", "give account_name, too")


def _questions(report: "Report", at: Path, spec: BucketSystem) -> None:
    for index, one in enumerate(spec.checks):
        if one.sql is not None:
            report.error((*at, "checks", index, "sql"), f"check '{one.name}': a bucket answers no SQL", "write command: instead")


def _circle(report: "Report", at: Path, spec: BucketSystem, location: Location) -> None:
    """Each backup would store what the one before stored."""
    if spec.url is None or (spec.endpoint or "").rstrip("/") != (location.endpoint or "").rstrip("/"):
        return
    vault, folder = f"{location.url.rstrip('/')}/", f"{spec.url.rstrip('/')}/"
    if any(vault.startswith(folder + one) or (folder + one).startswith(vault) for one in spec.prefixes or ("",)):
        report.error(
            (*at, "url"),
            f"the location '{location.name}' lies in what '{at[-1]}' protects: each backup would store the ones before it",
            "give the vault a bucket or folder of its own, or name prefixes beside it",
        )
