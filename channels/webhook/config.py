"""The settings of a webhook channel: what to ask of which address, and how to read the answer.

The gateway's settings validate them at start-up; a misspelt placeholder or reason is refused there, not at the first alert.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    field_validator,
    model_validator,
)

from channels.webhook.template import Pattern, cut, form_pattern, json_pattern, unknown_names
from gateway.channel import ChannelConfig, Level, Misconfigured, Reason

Words = Annotated[dict[str, str], BeforeValidator(lambda value: {str(key): word for key, word in dict(value).items()})]
"""A mapping whose keys YAML may have read as numbers (429, 45009)."""

DEFAULT_BODY: dict[str, JsonValue] = {
    "to": "{address}",
    "title": "{title}",
    "text": "{text}",
    "key": "{key}",
    "alert": "{alert}",
    "grade": "{grade}",
    "event": "{event}",
    "status": "{status}",
    "cause": "{cause}",
    "expires": "{expires}",
}

LEVELS = {level.label: level for level in Level}
REASONS: dict[str, Reason] = {reason.label: reason for reason in Reason if reason is not Reason.NONE}


class Ok(BaseModel):
    """What counts as taken: one of `status`, and (with `path`) the value at that JSON path equal to `equals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: tuple[int, ...] = ()
    path: str = ""
    equals: JsonValue = 0


class Inbound(BaseModel):
    """`callback:` of a webhook: how its far side sends receipts to `/callbacks/<name>` and proves that it is the far side.

    `secret_file` holds the HMAC-SHA256 key over `timestamp.body`; `previous_secret_file` one that is still taken while keys
    are changed. `items`, `key`, `id`, `status`, `at` are JSON paths; `statuses` maps the far side's words to a level
    (`delivered`, `read`, ...) or, for failures, to a reason (`unreachable`, ...).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: SecretStr | None = None
    secret_file: Path | None = None
    previous_secret_file: Path | None = None
    timestamp_header: str = "X-Tongluo-Timestamp"
    signature_header: str = "X-Tongluo-Signature"
    tolerance: int = Field(300, ge=1)
    items: str = "receipts"
    key: str = "key"
    id: str = "id"
    status: str = "status"
    at: str = "at"
    statuses: Words = Field(default_factory=lambda: {word: word for word in (*LEVELS, *REASONS) if word != "failed"})
    reply: str = '{"ok":true}'

    @field_validator("statuses")
    @classmethod
    def _known_words(cls, statuses: dict[str, str]) -> dict[str, str]:
        for word in statuses.values():
            if word not in LEVELS and word not in REASONS:
                raise ValueError(
                    f"{word!r} is neither a level ({', '.join(LEVELS)}) nor a reason ({', '.join(REASONS)})"
                )
        return statuses

    def has_secret(self) -> bool:
        """Whether callbacks can be told from forgeries at all."""
        return self.secret is not None or self.secret_file is not None


class Settings(ChannelConfig):
    """`channels: NAME: {type: webhook, ...}`; every setting is described in docs/channels/webhook.md."""

    url: str = Field(min_length=1)
    method: Literal["POST", "PUT", "PATCH", "GET"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, JsonValue] = Field(default_factory=lambda: dict(DEFAULT_BODY))
    encode: Literal["json", "form"] = "json"
    many: bool = False
    bearer: SecretStr | None = None
    bearer_file: Path | None = None
    user: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    sign: Literal["none", "hmac", "dingtalk", "feishu"] = "none"
    secret: SecretStr | None = None
    secret_file: Path | None = None
    timestamp_header: str = "X-Tongluo-Timestamp"
    signature_header: str = "X-Tongluo-Signature"
    idempotency_header: str = "Idempotency-Key"
    ok: Ok = Ok()
    id_path: str = ""
    refused_path: str = ""
    reject: Words = Field(default_factory=dict)
    delivered_by: Literal["none", "response", "callback"] = "none"
    callback: Inbound | None = None
    allow_private: bool | None = None
    connections: int = Field(32, ge=1, le=500)
    request_timeout: float = Field(10.0, gt=0)
    max_response: int = Field(65_536, ge=0)
    max_batch: int = Field(500, ge=1, le=500)
    max_chars: int = Field(0, ge=0)
    audible: bool = False
    methods: tuple[str, ...] = ()

    @property
    def by_address(self) -> bool:
        """Whether every endpoint's address is itself the URL to ask."""
        return self.url == "{address}"

    @property
    def private_allowed(self) -> bool:
        """A fixed URL is the operator's own word and may be inside; URLs out of a directory may not, unless allowed."""
        return not self.by_address if self.allow_private is None else self.allow_private

    def body_pattern(self) -> Pattern:
        """The body cut at its placeholders."""
        return form_pattern(self.body) if self.encode == "form" else json_pattern(self.body)

    @field_validator("reject")
    @classmethod
    def _known_reasons(cls, reject: dict[str, str]) -> dict[str, str]:
        for word in reject.values():
            if word not in REASONS:
                raise ValueError(f"{word!r} is not a reason; use one of {', '.join(REASONS)}")
        return reject

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self._check_placeholders()
        self._check_host_is_fixed()
        if self.many and self.by_address:
            raise ValueError('many: one request for many needs one url; "{address}" names many')
        if self.sign != "none" and self.secret is None and self.secret_file is None:
            raise ValueError(f"sign: {self.sign} needs secret_file")
        if self.delivered_by == "callback" and (self.callback is None or not self.callback.has_secret()):
            raise ValueError("delivered_by: callback needs callback.secret_file, or anybody could claim deliveries")
        if self.request_timeout >= self.timeout:
            raise ValueError("request_timeout must be shorter than timeout, which bounds a whole send")
        return self

    def _check_placeholders(self) -> None:
        patterns = [self.body_pattern(), *(cut(value) for value in self.headers.values())]
        if not self.by_address:
            patterns.append(cut(self.url))
        wrong = [name for pattern in patterns for name in unknown_names(pattern, many=self.many)]
        if wrong:
            raise ValueError("unknown placeholder " + ", ".join("{" + name + "}" for name in wrong))

    def _check_host_is_fixed(self) -> None:
        if self.by_address:
            return
        scheme, mark, rest = self.url.partition("://")
        authority = rest.split("/", 1)[0].split("?", 1)[0]
        if scheme.lower() not in ("http", "https") or not mark or not authority:
            raise ValueError('url must begin with http:// or https://, or be "{address}"')
        if "{" in authority:
            raise ValueError("url: a placeholder may stand in the path or the query, never in the host")


def secret_of(inline: SecretStr | None, file: Path | None, what: str) -> str:
    """The secret of a setting or of the file it names, white space around it dropped; "" if neither is set."""
    if file is None:
        return inline.get_secret_value() if inline else ""
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{what}: {error.strerror}: {file}. Create the file or correct the setting.") from error
