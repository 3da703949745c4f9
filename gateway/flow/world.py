"""The world as configured: regions, directory, sources, plan, templates. `gateway.app` builds it; the steps of the story read it.

It never changes: new reference data make a new `World`, and what is under way keeps the one it began with.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo

from gateway.cap import Limits, Options, parse
from gateway.model.alert import Alert, Parsed, Status
from gateway.model.coverage import Evidence
from gateway.model.directory import DirectoryColumns
from gateway.model.policy import ChannelProfile, Goal, PlanRule, QuietHours, Source
from gateway.model.region import NamedArea
from gateway.model.time import Instant, moment
from gateway.ports.store import AlertRow
from gateway.rules.rendering import Templates
from gateway.rules.tree import Tree
from gateway.rules.wording import EventNames


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything that targeting, planning and rendering look up.

    formats: template format by channel name; longest: `max_chars` by channel name; evidence by channel name, by day and by
    night; validity: milliseconds given to a message without `expires`; withdrawn_words: words in a Cancel's note that make it a
    withdrawal; drills_only: Actual messages are held; kept: alerts read lately.
    """

    tree: Tree
    areas: Mapping[str, NamedArea]
    directory: DirectoryColumns
    sources: Mapping[str, Source]
    rules: tuple[PlanRule, ...]
    quiet: QuietHours
    goals: tuple[Goal, ...]
    channels: tuple[ChannelProfile, ...]
    formats: Mapping[str, str]
    evidence: Mapping[str, Evidence]
    evidence_by_night: Mapping[str, Evidence]
    codes: EventNames
    templates: Templates
    zone: tzinfo
    validity: int = 86_400_000
    withdrawn_words: tuple[str, ...] = ()
    drills_only: bool = False
    sms_parts: int = 3
    signature: str = ""
    limits: Limits = field(default_factory=Limits)
    kept: OrderedDict[str, Alert] = field(default_factory=OrderedDict)

    def source(self, name: str) -> Source:
        """The configured source of that name; one that may do nothing if it is gone."""
        return self.sources.get(name, Source(name))

    def channel(self, name: str) -> ChannelProfile | None:
        """What planning knows of a configured channel."""
        return next((profile for profile in self.channels if profile.name == name), None)

    def audiences(self, alert: Alert) -> frozenset[str]:
        """The audiences of our directory that the message itself asks for (the national <audienceGrp>); empty = everybody."""
        asked = {group for method in alert.methods for group in method.groups}
        return frozenset(asked & set().union(*self.directory.audiences))

    def read(self, raw: bytes, source: Source) -> Parsed:
        """Read a message with its source's habits."""
        return parse(raw, options=Options(source.default_language, source.zone, source.strict), limits=self.limits)

    def alert(self, row: AlertRow) -> Alert:
        """The alert of a stored row, read again from the bytes received; its status is the row's (a sandbox key forces Test)."""
        known = self.kept.get(row.id)
        if known is not None:
            return known
        alert = self.read(row.raw, self.source(row.source)).alert
        if alert is None:
            raise LookupError(f"alert {row.id} can no longer be read")
        return self.keep(row.id, with_status(alert, row.status))

    def keep(self, id: str, alert: Alert) -> Alert:
        """Remember the content of a stored alert for those who ask next; only a few, since one may be large."""
        self.kept[id] = alert
        while len(self.kept) > KEPT:
            self.kept.popitem(last=False)
        return alert

    def minute_of_day(self, at: Instant) -> int:
        """Minutes since local midnight."""
        local = moment(at, self.zone)
        return local.hour * 60 + local.minute

    def evidence_at(self, at: Instant) -> Mapping[str, Evidence]:
        """The figures that hold for a release at `at`: fewer people hear a loudspeaker from 22 to 06."""
        hour = moment(at, self.zone).hour
        return self.evidence if MORNING <= hour < NIGHT else self.evidence_by_night


NIGHT, MORNING = 22, 6
KEPT = 32


def with_status(alert: Alert, status: str) -> Alert:
    """The same alert under another status."""
    return alert if alert.status == status else replace(alert, status=Status(status))
