"""Words: one rendered text for a channel and a voice of a roster. Fan-out and preview call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.flow.world import World
from gateway.model.alert import Alert, Info, MsgType, UpdateKind
from gateway.model.dispatch import Cause
from gateway.ports.store import AlertRow, DispatchRow
from gateway.rules.rendering import Rendered, Style, render
from gateway.rules.wording import Occasion


def words(
    world: World,
    row: AlertRow,
    dispatch: DispatchRow,
    channel: str,
    voice: Mapping[str, Any],
    originals: Mapping[int, AlertRow],
) -> Rendered:
    """The words of a dispatch for one channel and one voice of its roster."""
    alert = world.alert(row)
    earlier = originals.get(voice["of"] or (dispatch.roster if dispatch.roster != row.n else 0))
    original = world.alert(earlier) if earlier is not None else None
    kind = UpdateKind(dispatch.targets["kind"]) if dispatch.targets.get("kind") else None
    occasion = Occasion(
        alert=alert,
        info=_info(alert, voice, dispatch.cause, original),
        cause=dispatch.cause,
        kind=kind,
        regions=dispatch.targets.get("places") or voice["places"],
        original=original,
        zone=world.zone,
        own_text=own_text(world, alert, channel),
    )
    rendered = _render(world, channel, voice["language"], occasion)
    codes = dispatch.targets.get("leaves") if dispatch.roster != row.n else voice["codes"]
    return _with_codes(rendered, codes or voice["codes"]) if world.formats.get(channel) == "broadcast" else rendered


def _with_codes(rendered: Rendered, codes: Sequence[str]) -> Rendered:
    """Emergency broadcasting is told the targeted divisions by code: a platform narrows them to its own."""
    fields = (*rendered.message.fields, ("area_codes", ",".join(codes)))
    return replace(rendered, message=replace(rendered.message, fields=fields))


def occasion_words(world: World, alert: Alert, channel: str, voice: Mapping[str, Any]) -> Rendered:
    """The words of a warning's first release: what preview shows, without sound."""
    occasion = Occasion(
        alert=alert,
        info=alert.infos[int(voice["info"])],
        regions=voice["places"],
        zone=world.zone,
        own_text=own_text(world, alert, channel),
    )
    return _render(world, channel, voice["language"], occasion)


def own_text(world: World, alert: Alert, channel: str) -> str:
    """What the national message itself says for this way of sending; "" = use the description."""
    profile = world.channel(channel)
    served = profile.methods if profile else ()
    return next((method.message for method in alert.methods if method.name.upper() in served and method.message), "")


def _render(world: World, channel: str, language: str, occasion: Occasion) -> Rendered:
    profile = world.channel(channel)
    style = Style(
        format=world.formats.get(channel, "webhook"),
        language=language,
        max_chars=profile.max_chars if profile else 0,
        max_parts=world.sms_parts,
        signature=world.signature,
    )
    return render(occasion, style, world.templates, world.codes)


def _info(alert: Alert, voice: Mapping[str, Any], cause: Cause, original: Alert | None) -> Info | None:
    """The info to speak of: the voice's own; for a Cancel one of its own infos in that language, if it has any."""
    if original is None:
        return alert.infos[int(voice["info"])] if voice["info"] < len(alert.infos) else None
    if cause is Cause.LIFTED and alert.msg_type is MsgType.UPDATE:
        return original.infos[int(voice["info"])]
    same = [info for info in alert.infos if info.language.lower() == str(voice["language"]).lower()]
    return next(iter(same or list(alert.infos)), None)
