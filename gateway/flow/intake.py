"""Intake: one entry point for every message, whoever brought it and however. What it accepts is on disk when it returns.

Read, ask what the source may say, find the regions, judge; then one transaction: identity, row, references, effect, audit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from structlog.stdlib import BoundLogger

from gateway.cap import finding_as_json, first_difference
from gateway.channel import Clock
from gateway.errors import Refused
from gateway.flow.refusals import conflicting, denied, foreign_sender, no_source, too_loose, unreadable
from gateway.flow.standing import Subject, lineage_of, take_effect, tell
from gateway.flow.world import World
from gateway.model.alert import Alert, AlertState, CancelKind, Finding, MsgType, Parsed, Status, Weight
from gateway.model.ids import new_id
from gateway.model.policy import Source
from gateway.model.time import Instant
from gateway.ports.desk import Accepted, Attachment, Principal, Role
from gateway.ports.store import AlertRow, Store, Transaction, Turn
from gateway.rules.planning import effective_expiry
from gateway.rules.releasing import Verdict, authorise, verdict
from gateway.rules.targeting import Targets, resolve
from gateway.rules.wording import event_code
from gateway.telemetry import Metrics

OFF_LOOP = 64 * 1024
"""Bytes. A longer message is read in a thread, so that it holds nobody up."""

FAR_FUTURE = 5 * 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a message turned out to be, before anything is stored."""

    parsed: Parsed
    alert: Alert
    targets: Targets
    verdict: Verdict
    findings: tuple[Finding, ...]
    original: Alert | None = None

    @property
    def told(self) -> Alert:
        """The message that says what the danger is: a Cancel without infos leaves that to the one it ends."""
        return self.alert if self.alert.infos or self.original is None else self.original

    @property
    def headline(self) -> str:
        """What lists show."""
        return self.alert.headline if self.told is self.alert else f"解除/撤回：{self.told.headline}"


class Intake:
    """Takes messages in. `opened` is called after a commit that opened a dispatch."""

    def __init__(
        self, store: Store, clock: Clock, world: World, metrics: Metrics, log: BoundLogger, opened: Callable[[], None]
    ) -> None:
        self._store, self._clock, self._metrics, self._log, self._opened = store, clock, metrics, log, opened
        self.world = world

    async def accept(
        self,
        raw: bytes,
        by: Principal,
        *,
        attachments: Sequence[Attachment] = (),
        via: str = "http",
        asked: CancelKind | None = None,
    ) -> Accepted:
        """See `ports.desk.Desk.accept`. `asked`: the kind of Cancel an operator chose."""
        source = self.source_of(by)
        try:
            reading = await self.read(raw, source, by)
        except Refused as refusal:
            await self._refused(refusal, by)
            raise
        row = self._row(raw, reading, source, by, via)
        accepted = await self._store.write(
            lambda tx: self._keep(tx, row, reading, attachments, asked), turn=Turn.LINEAGE
        )
        if accepted is None:
            raise await self._conflict(raw, row)
        if accepted.created:
            self.world.keep(accepted.id, reading.alert)
            self._metrics.alerts_accepted.labels(source.name, row.status, row.msg_type).inc()
            self._log.info(
                "alert_accepted", alert=accepted.id, identifier=row.identifier, state=accepted.state.value, via=via
            )
            self._opened()
        return accepted

    async def read(self, raw: bytes, source: Source, by: Principal) -> Reading:
        """Everything that can be known of a message without storing it. Raises Refused."""
        parsed = await self._parsed(raw, source)
        if parsed.alert is None:
            raise unreadable(parsed)
        if source.strict and parsed.warnings:
            raise too_loose(parsed)
        alert = replace(parsed.alert, status=Status.TEST) if by.sandbox else parsed.alert
        if source.senders and alert.sender not in source.senders:
            raise denied([foreign_sender(alert.sender)])
        now = self._clock.now()
        original = await self._original(alert, source)
        subject = original if alert.msg_type is MsgType.CANCEL and original else alert
        targets = await self._targets(subject, source, len(raw))
        denials = authorise(alert, source, targets.codes, original)
        if denials:
            raise denied(denials)
        decided = verdict(alert, source, resolved=not targets.unresolved, now=now)
        found = (
            *parsed.findings,
            *targets.findings,
            *_stamps(alert, now),
            *_late(decided),
            *_narrow(alert, self.world),
        )
        if self.world.drills_only and alert.status is Status.ACTUAL and decided.state is AlertState.RELEASED:
            decided = DRILLS_ONLY
        return Reading(parsed, alert, targets, decided, found, original)

    def source_of(self, by: Principal) -> Source:
        if not by.source or not by.may(Role.SOURCE) or by.source not in self.world.sources:
            raise no_source(by.source)
        return self.world.sources[by.source]

    async def _parsed(self, raw: bytes, source: Source) -> Parsed:
        if len(raw) < OFF_LOOP:
            return self.world.read(raw, source)
        return await asyncio.to_thread(self.world.read, raw, source)

    async def _targets(self, alert: Alert, source: Source, size: int) -> Targets:
        if size < OFF_LOOP:
            return resolve(alert, self.world.tree, self.world.areas, source.name)
        return await asyncio.to_thread(resolve, alert, self.world.tree, self.world.areas, source.name)

    async def _original(self, alert: Alert, source: Source) -> Alert | None:
        """For a Cancel, the last message that it ends: it says where and what the Cancel is about."""
        if alert.msg_type is not MsgType.CANCEL:
            return None

        def work(tx: Transaction) -> AlertRow | None:
            ended = lineage_of(tx, self.world, alert, source.name).cancels
            return tx.alerts.by_id(ended[-1]) if ended else None

        row = await self._store.read(work)
        return self.world.alert(row) if row is not None else None

    def _row(self, raw: bytes, reading: Reading, source: Source, by: Principal, via: str) -> AlertRow:
        alert, now = reading.alert, self._clock.now()
        expiries = [effective_expiry(info, now, window=self.world.validity) for info in alert.infos]
        worst = max(reading.told.infos, key=lambda info: info.grade, default=None)
        late = alert.msg_type is MsgType.CANCEL and max(expiries, default=0) <= now
        return AlertRow(
            id=new_id(),
            sender=alert.sender,
            identifier=alert.identifier,
            sent=alert.sent,
            status=alert.status.value,
            msg_type=alert.msg_type.value,
            dialect=alert.dialect,
            source=source.name,
            grade=int(reading.told.grade),
            event=worst.event if worst else "",
            event_code=event_code(worst) if worst else "",
            headline=reading.headline,
            state=AlertState.HELD if reading.verdict.state is AlertState.HELD else AlertState.STORED,
            why=reading.verdict.reason,
            fingerprint=reading.parsed.fingerprint,
            sha256=sha256(raw).hexdigest(),
            raw=raw,
            received_at=now,
            expires_at=now + self.world.validity if late or not expiries else max(expiries),
            accepted_by=by.name,
            via=via,
            findings=[finding_as_json(finding) for finding in reading.findings],
            scope=[region.code for region in reading.targets.summits()],
        )

    def _keep(
        self,
        tx: Transaction,
        row: AlertRow,
        reading: Reading,
        attachments: Sequence[Attachment],
        asked: CancelKind | None,
    ) -> Accepted | None:
        """The one transaction. None = the same identity stands there with other content."""
        same = tx.alerts.by_identity(row.sender, row.identifier, row.sent)
        if same is not None:
            return _accepted(same, False) if _same_content(same, row) else None
        lineage = lineage_of(tx, self.world, reading.alert, row.source)
        row = replace(row, findings=[*row.findings, *map(finding_as_json, lineage.findings)])
        references = [(each.sender, each.identifier, each.sent) for each in reading.alert.references]
        row = replace(row, n=tx.alerts.insert(row, references, _regions(reading.targets)))
        for attachment in attachments:
            tx.alerts.attach(row.n, attachment.name, attachment.content)
        state = row.state
        if reading.verdict.state is AlertState.RELEASED:
            subject = Subject(row, reading.alert, reading.targets)
            state = take_effect(tx, self.world, subject, asked, row.received_at)
        else:
            tell(tx, row, state, row.received_at, row.why)
        tx.chronicle.audit(row.accepted_by, f"accepted_{state.value}", row.received_at, row.n, row.why)
        return _accepted(replace(row, state=state), True)

    async def _conflict(self, raw: bytes, row: AlertRow) -> Refused:
        kept = await self._store.read(lambda tx: tx.alerts.by_identity(row.sender, row.identifier, row.sent))
        alike = kept is not None and kept.fingerprint == row.fingerprint
        place = "/alert/status" if alike or kept is None else await asyncio.to_thread(first_difference, kept.raw, raw)
        self._metrics.alerts_refused.labels("identity_conflict").inc()
        now = self._clock.now()
        await self._store.write(
            lambda tx: tx.chronicle.audit(
                row.accepted_by, "refused", now, kept.n if kept else 0, f"identity_conflict {place}"
            )
        )
        return conflicting(place)

    async def _refused(self, refusal: Refused, by: Principal) -> None:
        self._metrics.alerts_refused.labels(refusal.code).inc()
        if refusal.status == 403:
            now = self._clock.now()
            await self._store.write(lambda tx: tx.chronicle.audit(by.name, "refused", now, 0, refusal.en))


DRILLS_ONLY = Verdict(
    AlertState.HELD,
    "drills_only",
    "系统处于演练模式，实发消息待人工签发。",
    "This deployment releases drills only; an Actual message waits for a person.",
)


def _stamps(alert: Alert, now: Instant) -> tuple[Finding, ...]:
    """A message from the future is taken, and said to be so: somebody's clock is wrong."""
    if alert.sent <= now + FAR_FUTURE:
        return ()
    message = "sent 晚于当前时间 5 分钟以上，请检查双方时钟 / sent lies more than 5 minutes ahead of our clock"
    return (Finding("sent_in_future", Weight.WARNING, "/alert/sent", None, message),)


def _late(decided: Verdict) -> tuple[Finding, ...]:
    """What expired on arrival is kept, and its sender told that nobody else is."""
    if decided.reason != "expired":
        return ()
    return (Finding("expired_on_arrival", Weight.WARNING, "/alert/info", None, f"{decided.zh} / {decided.en}"),)


def _same_content(kept: AlertRow, row: AlertRow) -> bool:
    """A repetition. What a sandbox key posted as a test is not the warning itself, though its bytes are the same."""
    return (kept.fingerprint, kept.status) == (row.fingerprint, row.status)


def _narrow(alert: Alert, world: World) -> tuple[Finding, ...]:
    """Groups or single persons that the message asks for and we do not know: it goes to everybody in its areas, and says so."""
    groups = {group for method in alert.methods for group in method.groups} - world.audiences(alert)
    persons = sum(len(method.targets) for method in alert.methods)
    if not groups and not persons:
        return ()
    named = "、".join([*sorted(groups)[:5], *([f"{persons} 个单独对象 / single targets"] if persons else [])])
    message = f"报文指定的对象 {named} 不在名录中,已发往区域内全体 / unknown recipients: sent to everybody in the areas"
    return (Finding("audience_unknown", Weight.WARNING, "/alert/code/method", None, message),)


def _regions(targets: Targets) -> dict[str, bool]:
    """Codes for the `region` filter: what is targeted (True), and every region that holds any of it (False)."""
    codes: dict[str, bool] = {}
    for region in targets.summits():
        for holder in targets.tree.chain(region.code):
            codes.setdefault(holder.code, False)
        codes[region.code] = True
    return codes


def _accepted(row: AlertRow, created: bool) -> Accepted:
    findings = (Finding(**{**kept, "level": Weight(kept["level"])}) for kept in row.findings)
    warnings = tuple(finding for finding in findings if finding.level is Weight.WARNING)
    return Accepted(row.id, row.identifier, row.state, created, row.fingerprint, warnings)
