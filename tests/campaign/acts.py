"""What one forked process does for an order: make a template, count calls, be the victim, or go on after it."""

import random
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.storage.contract import Storage
from holdfast.vault.errors import VaultMissing
from tests.campaign import faults
from tests.campaign.deeds import DEEDS, MAIL, SHOP, back_up, prune_all
from tests.campaign.flips import flips, small
from tests.campaign.fulldisk import REAL, leave, mount
from tests.campaign.judge import judge
from tests.campaign.ledger import Ledger
from tests.campaign.power import AT_THE_END, Machine, after_the_cut
from tests.campaign.power import KINDS as POWER
from tests.campaign.stage import Stage, copy_all, plain
from tests.campaign.watch import Point, Report, Watched, WatchedFiles

Order = Mapping[str, Any]
"""``deed``, ``stage`` (see Stage.facts), ``how`` it is disturbed, ``at`` which call, ``early`` or behind it, ``seed``."""


def make(order: Order, _report: Report) -> None:
    """A template: the state a deed begins from, in a folder."""
    folder = Path(order["stage"]["folder"])
    folder.mkdir(parents=True)
    ledger = Ledger(folder / "ledger")
    DEEDS[order["deed"]].begin(Stage(folder, wrap=lambda storage: faults.Recording(storage, ledger)))


def clone(order: Order, _report: Report) -> None:
    """A template copied for one order; into a bucket where the order says so."""
    template, stage = Path(order["template"]), Stage.of(order["stage"])
    if order["how"] == REAL:
        place = stage.folder / DEEDS[order["deed"]].fills
        mount(place)
        copy_all(template, stage.folder)
        leave(place, pages=order["at"] - 1)
        return
    if stage.bucket is None:
        copy_all(template, stage.folder)
        return
    stage.folder.mkdir(parents=True)
    for other in template.iterdir():
        # The ledger, a folder that was captured; not the cache, which speaks of other locations.
        if other.name not in "abc" and not other.name.startswith("cache"):
            subprocess.run(["cp", "-a", str(other), stage.folder], check=True)
    for name in "abc":
        if (template / name).exists():
            source, target = Stage(template).storage(name), stage.storage(name)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(partial(_send, source, target), [info.name for info in source.list()]))


def _send(source: Storage, target: Storage, name: str) -> None:
    target.put_if_absent(name, [source.get(name)])


def victim(order: Order, report: Report) -> None:
    """Does the deed with what the order plans in its way; reports how it came out, unless it is killed."""
    stage = _armed(order, report)
    try:
        DEEDS[order["deed"]].do(stage)
    except HoldfastError as error:
        report(refused=error.code, message=str(error)[:300])
    else:
        report(done=True)
    if order["how"] in POWER and order["at"] == AT_THE_END:
        order_point(stage).fire("success was", "told")
    if order["how"] == "count":
        report(calls=order_point(stage).calls)


def order_point(stage: Stage) -> Point:
    return stage.point  # type: ignore[attr-defined]


def _armed(order: Order, report: Report) -> Stage:
    how, at = order["how"], order["at"]
    point = Point(at, report, early=order["early"])
    stage = Stage.of(order["stage"])
    stage.point = point  # type: ignore[attr-defined]
    if how == "count":
        point.act = lambda: None
        if order["what"] == "storage":
            stage.wrap = lambda storage: Watched(storage, point)
        elif order["what"] == "files":
            stage.files = lambda _: WatchedFiles(point)
        else:
            stage.files = Machine(point, POWER[0], 0).files
            point.act = lambda: None
    elif how == "kill":
        stage.wrap = lambda storage: Watched(storage, point)
    elif how == "kill below":
        stage.files = lambda _: WatchedFiles(point)
    elif how in POWER:
        stage.files = Machine(point, how, order["seed"], unsynced=order.get("unsynced", False)).files
    elif how in faults.KINDS:
        stage.wrap = faults.plan(how, at, report, stage.ledger)
    elif how == REAL:
        stage.wrap = lambda storage: faults.FullSeen(storage, report)
    else:
        assert how == "nothing", how
        stage.wrap = plain
    return stage


def survivor(order: Order, report: Report) -> None:
    """Another process: what is listed must be whole; it does the deed to its end, and everything must be whole again."""
    deed, stage = DEEDS[order["deed"]], Stage.of(order["stage"])
    lost_power = after_the_cut(stage.folder)
    if order["how"] == REAL:
        leave(stage.folder / deed.fills)
    draw = random.Random(f"{order['seed']} {order['at']} {order['how']}")
    points = log = 0

    def look(*, hurt: bool) -> None:
        nonlocal points, log
        found = judge(stage, hurt=hurt)
        points, log = points + found.points, log + found.log

    report(doing="judging what was left")
    look(hurt=deed.hurt)
    if lost_power or order["how"] == "nothing":
        # A cache is no part of the vault: a machine that lost power may come back without it.
        shutil.rmtree(stage.folder / "cache", ignore_errors=True)
    report(doing="the same again")
    deed.do(stage)
    deed.after(stage)
    look(hurt=False)
    if draw.random() < order["more"] and stage.bucket is None:
        report(doing="a prune hours later")
        stage.age(3)
        _tolerant_prune(stage)
        look(hurt=False)
        report(doing="backups after it")
        back_up(stage, draw.choice((SHOP, MAIL)), draw.randint(1, 9))
        look(hurt=False)
    report(points=points, log=log)


def _tolerant_prune(stage: Stage) -> None:
    try:
        prune_all(stage)
    except VaultMissing:
        if stage.ledger.lines("committed"):
            raise


def make_small(order: Order, _report: Report) -> None:
    folder = Path(order["stage"]["folder"])
    folder.mkdir(parents=True)
    small(Stage(folder))


ACTS = {act.__name__: act for act in (make, make_small, clone, victim, survivor, flips)}
