"""Preview: what would happen, by the same functions that make it happen, with nothing stored and nothing sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gateway.flow.enlisting import SINKS, enlist_targets
from gateway.flow.wording import occasion_words
from gateway.flow.world import World
from gateway.model.alert import Alert, MsgType
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.model.time import Instant
from gateway.ports.desk import Json
from gateway.rules.enrolling import blind_spots
from gateway.rules.folding import Book
from gateway.rules.planning import Case, choose
from gateway.rules.rendering import Rendered
from gateway.rules.targeting import Targets

SHOWN_REGIONS = 200


def preview(world: World, alert: Alert, targets: Targets, source: str, now: Instant) -> Json:
    """`{regions, people, endpoints, rule, channels, texts, expected, blind_spots, findings, flags}` of a warning released now."""
    regions = targets.summits()
    shown: Json = {
        "regions": [
            {"id": region.code, "name": region.name, "level": region.level.label} for region in regions[:SHOWN_REGIONS]
        ],
        "findings": [],
    }
    if alert.msg_type is MsgType.CANCEL or alert.status in SINKS or not alert.infos or not targets.codes:
        return shown | {
            "people": 0,
            "endpoints": {},
            "rule": "",
            "channels": {},
            "texts": [],
            "expected": None,
            "blind_spots": [],
        }
    enlisted = enlist_targets(world, alert, targets, now)
    methods = world.source(source).methods
    codes = [region.code for region in regions]
    case = Case(
        alert=alert,
        info=alert.infos[0],
        now=now,
        zone=world.zone,
        regions=codes,
        audiences=world.audiences(alert),
        methods=methods,
    )
    cases = [replace(case, info=info) for info in alert.infos]
    choices = [choose(case, world.rules, world.channels, world.quiet) for case in cases]
    planned = np.zeros(enlisted.roster.endpoints, bool)
    texts: list[Json] = []
    flags: set[str] = set()
    for channel, voice, first, length in enlisted.header["runs"]:
        if channel not in choices[voice].first:
            continue
        planned[first : first + length] = True
        rendered = occasion_words(world, alert, channel, enlisted.header["voices"][voice])
        flags |= set(rendered.flags)
        texts.append(_text(channel, rendered))
    book = _expected(world, enlisted.roster, enlisted.header["domains"], planned, now)
    whole = book.region()
    leaves = enlisted.roster.leaves
    blind = [leaves[number] for number in blind_spots(enlisted.roster, proving(world))]
    return shown | {
        "people": whole.target or 0,
        "endpoints": {
            name: int(np.count_nonzero(planned & (enlisted.roster.endpoint_channel == number)))
            for number, name in enumerate(enlisted.roster.channels)
        },
        "rule": choices[0].rule,
        "channels": {
            "first": list(dict.fromkeys(name for choice in choices for name in choice.first)),
            "reserve": list(dict.fromkeys(name for choice in choices for name in choice.reserve)),
            "quieted": {quieted.channel: quieted.why for choice in choices for quieted in choice.quieted},
        },
        "texts": texts,
        "expected": {"lo": whole.share.lo, "est": whole.share.est, "hi": whole.share.hi},
        "blind_spots": [
            {"id": leaf.code, "name": leaf.name, "people": (leaf.micro_people or 0) / 1_000_000} for leaf in blind
        ],
        "findings": enlisted.header["findings"],
        "flags": sorted(flags),
    }


def proving(world: World) -> list[str]:
    """The channels whose receipts prove that people were reached."""
    return [profile.name for profile in world.channels if profile.kind in ("addressed", "device")]


def _expected(
    world: World, roster: Any, domains: bool, planned: np.ndarray[Any, np.dtype[np.bool_]], now: Instant
) -> Book:
    """Coverage if every hand-over succeeds and no receipt has come: nothing is promised that no receipt could prove."""
    evidence = {name: world.evidence_at(now)[name] for name in roster.channels}
    book = Book(roster, evidence, now, None, domains)
    ordinals = np.flatnonzero(planned).astype(np.int32)
    book.plan(ordinals)
    everyone = np.full(len(ordinals), Level.SENT, np.uint8)
    book.merge(
        ordinals,
        everyone,
        np.full(len(ordinals), NEVER),
        np.full(len(ordinals), now),
        np.zeros(len(ordinals), np.uint8),
    )
    book.refresh()
    return book


def _text(channel: str, rendered: Rendered) -> Json:
    message = rendered.message
    return {
        "channel": channel,
        "language": message.language,
        "title": message.title,
        "text": message.text,
        "fields": dict(message.fields),
        "parts": rendered.parts,
        "flags": list(rendered.flags),
    }
