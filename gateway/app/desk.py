"""The desk of the running gateway: what people and systems may do to alerts, put together from the story's steps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.cap import finding_as_json
from gateway.channel import Clock
from gateway.flow.intake import Intake
from gateway.flow.preview import preview
from gateway.flow.release import Release
from gateway.flow.replaying import Replay
from gateway.flow.world import World
from gateway.model.alert import CancelKind
from gateway.ports.desk import Accepted, Attachment, Json, Principal, Role


class GatewayDesk:
    """See `ports.desk.Desk`."""

    def __init__(self, intake: Intake, release: Release, replay: Replay, world: World, clock: Clock) -> None:
        self._intake, self._release, self._replay = intake, release, replay
        self._world, self._clock = world, clock

    async def accept(
        self, raw: bytes, by: Principal, *, attachments: Sequence[Attachment] = (), via: str = "http"
    ) -> Accepted:
        return await self._intake.accept(raw, by, attachments=attachments, via=via)

    async def preview(self, raw: bytes, by: Principal) -> Json:
        source = self._intake.source_of(by)
        reading = await self._intake.read(raw, source, by)
        shown = await asyncio.to_thread(
            preview, self._world, reading.alert, reading.targets, source.name, self._clock.now()
        )
        findings = [*map(finding_as_json, reading.findings), *shown.pop("findings")]
        verdict = reading.verdict
        return {
            "would": verdict.state.value,
            "why": f"{verdict.zh} / {verdict.en} [{verdict.reason}]",
            "findings": findings,
            **shown,
        }

    async def approve(self, alert: str, by: Principal, note: str = "") -> Json:
        return await self._release.approve(alert, by, note)

    async def reject(self, alert: str, by: Principal, note: str = "") -> Json:
        return await self._release.reject(alert, by, note)

    async def stop(self, alert: str, by: Principal, note: str = "") -> Json:
        return await self._release.stop(alert, by, note)

    async def replay(self, letter: str, by: Principal) -> Json:
        return await self._replay.replay(letter, by)

    async def cancel(self, alert: str, by: Principal, kind: CancelKind, note: str = "") -> Json:
        raw, row = await self._release.cancellation(alert, by, kind, note)
        poster = Principal(by.id, by.name, frozenset({Role.SOURCE}), row.source)
        accepted = await self._intake.accept(raw, poster, via="console", asked=kind)
        return {"id": alert, "state": "cancelled", "cancel": accepted.id, "kind": kind.value}
