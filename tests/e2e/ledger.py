"""The scenario that an alert's roster and journal amount to, for the pure model: joined by far ids with a plain dictionary, so that
nothing of the running fold is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.model.journal import ACCEPTED, NEVER
from gateway.model.receipt import Level
from gateway.model.roster import NOBODY, PPM, Roster
from gateway.ports.store import AlertRow
from gateway.rules.evaluating import evaluate
from gateway.testing.town import Town

FIGURES = ("target", "lo", "est", "hi", "leaves_total", "leaves_reached")
Scenario = dict[str, Any]


async def live(town: Town, alert: str, **query: str) -> dict[str, tuple[Any, ...]]:
    """The figures of every region as the API shows them."""
    frame = await town.coverage(alert, "210000", depth="6", **query)
    return {region["id"]: tuple(region[name] for name in FIGURES) for region in [frame["region"], *frame["children"]]}


async def evaluated(town: Town, alert: str, **cuts: int) -> dict[str, tuple[Any, ...]]:
    """The same figures by the pure model from roster and journal; `cuts`: as_of, known_at in milliseconds."""
    result = evaluate(await scenario(town, alert, **cuts))["results"][0]["result"]["regions"]
    return {
        region: tuple(figures[name] for name in FIGURES)
        for region, figures in result.items()
        if figures["leaves_total"]
    }


async def scenario(town: Town, alert: str, **cuts: int) -> Scenario:
    """What `tongluo coverage evaluate` would be given."""

    def read(tx: Any) -> tuple[AlertRow, Any, list[Any], list[int], list[Any]]:
        row = tx.alerts.by_id(alert)
        dispatches = [dispatch.n for dispatch in tx.dispatches.of_alert(row.n) if dispatch.roster == row.n]
        planned = [
            ordinal for n in dispatches for batch in tx.outbox.of_dispatch(n) for ordinal in batch.whole.tolist()
        ]
        return row, tx.rosters.get(row.n), tx.journal.after(0, 100_000), planned, dispatches

    row, (roster, header), rows, planned, dispatches = await town.gateway.store.read(read)
    statements = np.concatenate([page.statements for page in rows])
    now = town.now
    ended = row.ended_at if row.state.value in ("cancelled", "superseded") else None
    return {
        "regions": _regions(town, roster),
        "channels": {name: _channel(figures) for name, figures in header["evidence"].items()},
        **_units(town, roster, sorted(set(planned))),
        "events": _events(statements, dispatches),
        "released_at": _seconds(row.released_at),
        "expires_at": _seconds(row.expires_at),
        "cancelled_at": _seconds(ended),
        "as_of": _seconds(cuts.get("as_of", now)),
        "known_at": _seconds(cuts.get("known_at", now)),
        "failure_domains": header["domains"],
    }


def _regions(town: Town, roster: Roster) -> list[Scenario]:
    people = {leaf.code: leaf.micro_people for leaf in roster.leaves}
    codes = {region.code: region for leaf in people for region in town.gateway.world.tree.chain(leaf)}
    return [
        {"id": code, "parent": region.parent, "targeted": True, "population": f"{people.get(code) or 0}/{PPM}"}
        for code, region in codes.items()
    ]


def _channel(figures: Scenario) -> Scenario:
    renamed = {"q_unknown": figures["q"], "count_level": Level(figures["count_level"]).label}
    return {**{name: value for name, value in figures.items() if name != "q"}, **renamed}


def _units(town: Town, roster: Roster, planned: list[int]) -> Scenario:
    channel = {ordinal: roster.channels[roster.endpoint_channel[ordinal]] for ordinal in planned}
    codes = [leaf.code for leaf in roster.leaves]
    people: dict[int, list[Scenario]] = {number: [] for number in range(roster.persons)}
    devices, sends = [], []
    kinds = {profile.name: profile.kind for profile in town.gateway.world.channels}
    for ordinal in planned:
        unit = {"unit": str(ordinal), "channel": channel[ordinal]}
        person = int(roster.endpoint_person[ordinal])
        mine = roster.catch_endpoint == ordinal
        leaves = [codes[leaf] for leaf in roster.catch_leaf[mine].tolist()]
        if person != NOBODY:
            people[person].append(unit)
        elif kinds[channel[ordinal]] == "area":
            sends.append({**unit, "region": _whole(town, leaves)})
        else:
            devices.append({**unit, "catchment": dict(zip(leaves, roster.catch_people[mine].tolist(), strict=True))})
    recipients = [
        {
            "region": codes[roster.person_leaf[number]],
            "weight": int(roster.person_weight[number]),
            "addresses": addresses,
        }
        for number, addresses in people.items()
    ]
    return {"recipients": recipients, "devices": devices, "area_sends": sends}


def _whole(town: Town, leaves: list[str]) -> str:
    """The region whose leaves these are."""
    tree = town.gateway.world.tree
    chain = tree.chain(leaves[0])
    return next(region.code for region in chain if {leaf.code for leaf in tree.leaves_of(region.code)} == set(leaves))


def _events(statements: Any, dispatches: list[int]) -> list[Scenario]:
    meant = {int(each["far"]): each for each in statements if each["kind"] == ACCEPTED and each["far"]}
    events = []
    for each in statements:
        known = each if each["ordinal"] >= 0 else meant.get(int(each["far"]))
        if known is None or int(known["dispatch"]) not in dispatches:
            continue
        happened = None if each["event_at"] == NEVER else _seconds(int(each["event_at"]))
        times = {"event_at": happened, "received_at": _seconds(int(each["received_at"]))}
        events.append({"unit": str(known["ordinal"]), "level": Level(int(each["level"])).label, **times})
    return events


def _seconds(at: int | None) -> str | None:
    return None if at is None else f"{at}/1000"
