"""The settings as models: every section and key, with its default and one sentence. The fields' descriptions are the manual:
docs/configuration.md and the comments of config/tongluo.yaml are made from them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.model.alert import Grade
from gateway.model.policy import Goal, Moment, PlanRule, QuietHours, Source
from gateway.settings.units import Clock, Percent, Seconds, Zone, minutes

GradeWord = Literal["red", "orange", "yellow", "blue", "unknown"]
GRADES: tuple[GradeWord, ...] = get_args(GradeWord)


class Section(BaseModel):
    """One section of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class HttpSettings(Section):
    """`http:` the listener for the API, the console and callbacks."""

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Other than loopback needs `hosts` and a proxy with TLS in front.",
    )
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 picks a free one.")
    hosts: tuple[str, ...] = Field(
        (), description="Host names under which the console may be asked for, besides loopback names."
    )
    public_url: str = Field(
        "",
        description="How far sides and devices reach this gateway, e.g. http://10.1.2.3:8080; empty = host and port above.",
    )
    body_limit: int = Field(
        4_000_000, ge=1024, description="Largest body in bytes after decompression, counted while reading."
    )
    requests_per_minute: int = Field(
        600, ge=1, description="Requests a key may make per minute before it is answered 429."
    )


class StoreSettings(Section):
    """`store:` where the truth lives."""

    url: str = Field(
        "",
        description="`sqlite:///PATH` (one process), or `postgresql://USER@HOST/DB` (any number); "
        "empty = `tongluo.db` in the data folder.",
    )
    password_file: str = Field("", description="File that holds the password of the PostgreSQL user.")

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("write `sqlite:///PATH` or `postgresql://USER@HOST/DB`")
        return url

    @property
    def embedded(self) -> bool:
        """Whether the store is a file of this machine."""
        return not self.url.startswith("postgresql:")


class QueueSettings(Section):
    """`queue:` how work travels to the channels."""

    url: str = Field(
        "embedded:",
        description="`embedded:` = within one process, on the store's outbox; "
        "`amqp://USER@HOST/VHOST` or `amqps://...` = RabbitMQ.",
    )
    password_file: str = Field("", description="File that holds the password of the RabbitMQ user.")
    prefix: str = Field(
        "tongluo", pattern="^[A-Za-z0-9._-]{1,64}$", description="First part of the names of its queues."
    )

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if url != "embedded:" and not url.startswith(("amqp://", "amqps://")):
            raise ValueError("write `embedded:` or `amqp://USER@HOST/VHOST`")
        return url

    @property
    def embedded(self) -> bool:
        """Whether the queue is within the process."""
        return self.url == "embedded:"


class FilesSettings(Section):
    """A list of reference files, read at start when they have changed."""

    files: tuple[str, ...] = Field((), description="CSV or XLSX files, read again at start when they have changed.")


class GoalSettings(Section):
    """One goal. Regions inherit the nearest goal above them."""

    region: str = Field("", description="Division code; empty = everywhere.")
    grades: tuple[GradeWord, ...] = Field((), description="Grades it holds for; empty = all.")
    metric: Literal["coverage", "territory", "officers", "readiness", "reporting", "report_usage"] = Field(
        "coverage", description="What is measured (docs/coverage.md)."
    )
    basis: Literal["lo", "est", "answered"] = Field("est", description="Which figure of coverage must reach it.")
    at_least: Percent = Field(9200, description="The goal, e.g. 92%.")
    within: Seconds = Field(
        0, description="Time allowed from release, e.g. 10m; 0 = by grade (red 10, orange 15, yellow 30, blue 60 min)."
    )
    plan_text: str = Field("", description="The plan's own sentence, printed in the report.")

    def value(self) -> Goal:
        """As the rules want it."""
        grades = tuple(Grade.named(word) for word in self.grades)
        return Goal(self.metric, self.at_least, self.region, self.basis, self.within, grades, self.plan_text)


class SourceSettings(Section):
    """One authority that may post. What is not listed is denied."""

    name: str = Field(description="Name that keys are bound to.")
    regions: tuple[str, ...] = Field((), description="Division codes under which it may warn.")
    events: tuple[str, ...] = Field(
        (), description='Event codes it may post, e.g. "11B*"; "*" = any, codes unknown to us included.'
    )
    grades: tuple[GradeWord, ...] = Field((), description="Grades it may post.")
    senders: tuple[str, ...] = Field((), description="CAP senders it may post as; empty = any.")
    aliases: tuple[str, ...] = Field(
        (), description="Other senders that are this authority: references to them count as its own."
    )
    needs_approval: tuple[GradeWord, ...] = Field((), description="Grades that wait for a person before they are sent.")
    signature: Literal["none"] = Field("none", description="Signature required of its messages.")
    strict: bool = Field(False, description="Turn warnings into refusals (422).")
    methods: Literal["restrict", "hint"] = Field(
        "restrict", description="Whether a message that names methods limits the first dispatch."
    )
    default_language: str = Field("zh-CN", description="Language of an info that names none.")
    zone: Zone = Field("", description="IANA zone for times without an offset; empty = refuse them.")
    inbox: str = Field("", description="Watched folder; files are taken when stable and answered with NAME_ACK.XML.")

    def value(self) -> Source:
        """As the rules want it."""
        grades = tuple(Grade.named(word) for word in self.grades)
        approval = tuple(Grade.named(word) for word in self.needs_approval)
        return Source(**(self.model_dump() | {"grades": grades, "needs_approval": approval}))


class PlanRuleSettings(Section):
    """One line of the plan; the first that matches decides the channels."""

    name: str = Field("", description="Shown with every alert it decided.")
    grades: tuple[GradeWord, ...] = Field((), description="Grades it matches; empty = all.")
    events: tuple[str, ...] = Field((), description="Event codes it matches; empty = all.")
    regions: tuple[str, ...] = Field((), description="Division codes it matches; empty = all.")
    hours: tuple[Clock, Clock] | None = Field(None, description='Local time it matches, e.g. ["06:00", "21:30"].')
    audiences: tuple[str, ...] = Field((), description="Matches messages that ask for one of these audiences.")
    channels: tuple[str, ...] = Field(description='Channel names or types; "*" = all.')
    after: Seconds = Field(0, description="Delay of the dispatch.")

    def value(self) -> PlanRule:
        """As the rules want it."""
        grades = tuple(Grade.named(word) for word in self.grades)
        hours = (minutes(self.hours[0]), minutes(self.hours[1])) if self.hours else None
        name = self.name or ",".join(self.channels)
        return PlanRule(name, self.channels, grades, self.events, self.regions, hours, self.audiences, self.after)


class MomentSettings(Section):
    """What may sound in quiet hours: all conditions given must hold."""

    grades: tuple[GradeWord, ...] = Field((), description="Grades.")
    events: tuple[str, ...] = Field((), description="Event codes.")
    urgency: str = Field("", description="CAP urgency.")


class QuietSettings(Section):
    """`quiet_hours:` when audible channels keep silent."""

    start: Clock = Field("21:30", alias="from", description="Begin, local time.")
    end: Clock = Field("05:30", alias="to", description="End, local time.")
    audible_if: tuple[MomentSettings, ...] = Field(
        (
            MomentSettings(grades=("red", "orange")),
            MomentSettings(grades=("yellow",), events=("11A01", "11A02", "11A51", "11D01", "11D02", "11B37", "12*")),
            MomentSettings(urgency="Immediate"),
        ),
        description="Alerts that sound all the same.",
    )

    def value(self) -> QuietHours:
        """As the rules want it."""
        moments = tuple(
            Moment(tuple(Grade.named(word) for word in moment.grades), moment.events, moment.urgency)
            for moment in self.audible_if
        )
        return QuietHours(minutes(self.start), minutes(self.end), moments)


class ReleaseSettings(Section):
    """`release:` what happens between acceptance and sending."""

    default_validity: Seconds = Field(86400, description="Validity of a message without `expires`.")
    withdrawn_words: tuple[str, ...] = Field(
        ("误报", "误发", "错误", "撤回", "更正"),
        description="Words in a Cancel's note that make it 撤回更正 instead of 解除.",
    )
    drills_only: bool = Field(
        False, description="Release only Exercise, Test and System; hold Actual (a new deployment)."
    )


class RenderingSettings(Section):
    """`rendering:` how words are made."""

    templates: str = Field("", description="Folder of your own templates; they go before the shipped ones.")
    sms_parts: int = Field(3, ge=1, le=10, description="Longest SMS in parts of 67 characters.")
    signature: str = Field("", description="Sender's signature in SMS, e.g. 清原县气象台; empty = none.")


class CanarySettings(Section):
    """`canary:` self-tests through every channel to its `sink`."""

    every: Seconds = Field(60, description="Time between two self-tests, e.g. 60s; 0 = none.")


class SpeechSettings(Section):
    """`speech:` the voice of audible channels."""

    engine: Literal["espeak", "none"] = Field(
        "espeak", description="`espeak` = espeak-ng if it is installed; `none` = text goes to the devices."
    )
    media_url: str = Field(
        "",
        description="Where devices fetch speech from this process, e.g. http://10.1.2.3:8080/api/v1/media; "
        "empty = below `http.public_url`. Each deliver process serves what it made.",
    )
    recordings: str = Field("", description="Folder of prerecorded WAV files, named by the SHA-256 of their text.")


class RetentionSettings(Section):
    """`retention:` how long things are kept."""

    unmatched: Seconds = Field(72 * 3600, description="How long a receipt waits for the id it names.")


class Settings(Section):
    """The whole file."""

    http: HttpSettings = Field(
        default_factory=HttpSettings, description="The listener for the API, the console and callbacks."
    )
    timezone: Zone = Field("Asia/Shanghai", description="Zone of the console, of texts, of `plan` and `quiet_hours`.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="Where the truth lives.")
    queue: QueueSettings = Field(default_factory=QueueSettings, description="How work travels to the channels.")
    regions: FilesSettings = Field(default_factory=FilesSettings, description="The regions: province to village.")
    areas: FilesSettings = Field(
        default_factory=FilesSettings, description="Named areas: rivers, danger zones, sea areas."
    )
    directory: FilesSettings = Field(default_factory=FilesSettings, description="Endpoints and the people behind them.")
    goals: tuple[GoalSettings, ...] = Field(
        (GoalSettings(),), description="Goals; default coverage est 92 % everywhere."
    )
    sources: tuple[SourceSettings, ...] = Field((), description="Authorities that may post.")
    plan: tuple[PlanRuleSettings, ...] = Field((), description="Which channels carry what; defaults follow at the end.")
    quiet_hours: QuietSettings = Field(default_factory=QuietSettings, description="When audible channels keep silent.")
    channels: dict[str, dict[str, Any]] = Field(
        {}, description="Configured channels by name; keys as in docs/channels/."
    )
    release: ReleaseSettings = Field(
        default_factory=ReleaseSettings, description="What happens between acceptance and sending."
    )
    rendering: RenderingSettings = Field(default_factory=RenderingSettings, description="How words are made.")
    speech: SpeechSettings = Field(default_factory=SpeechSettings, description="The voice of audible channels.")
    canary: CanarySettings = Field(
        default_factory=CanarySettings, description="Self-tests through every channel to its sink."
    )
    retention: RetentionSettings = Field(default_factory=RetentionSettings, description="How long things are kept.")
    sample_data: bool = Field(False, description="Every page bears 示例数据: what is shown is made up.")

    @field_validator("sources")
    @classmethod
    def _once_each(cls, sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"source {twice[0]!r} stands there twice")
        return sources

    def sources_with_inbox(self) -> dict[str, str]:
        """Source name -> watched folder."""
        return {source.name: source.inbox for source in self.sources if source.inbox}

    @property
    def zone(self) -> ZoneInfo:
        """The zone of people: console, texts, plan."""
        return ZoneInfo(self.timezone)
