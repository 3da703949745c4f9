"""The settings of an emergency-broadcast channel; validated by the gateway at start-up."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.channel import ChannelConfig, Misconfigured


class Settings(ChannelConfig):
    """`channels: NAME: {type: broadcast, ...}`; every setting is described in docs/channels/broadcast.md.

    `ebrid` is our resource code (GD/J 080: 18 to 23 digits); `platforms` are the beginnings that an endpoint's URL must have
    (empty = any web address of the directory); `destinations` maps such a URL to its platform's EBRID, where one is wanted;
    `source_names` maps CAP senders to the name the public knows; `push_token_file` lets platforms push their states.
    """

    ebrid: str = Field(pattern=r"^[0-9]{18,23}$")
    timezone: str = "Asia/Shanghai"
    platforms: tuple[str, ...] = ()
    destinations: dict[str, str] = Field(default_factory=dict)
    sender_code: str = ""
    source_names: dict[str, str] = Field(default_factory=dict)
    default_event: str = Field("", pattern=r"^[0-9A-Z]*$")
    audio: bool = False
    signature: Literal["none", "command"] = "none"
    signature_command: tuple[str, ...] = ()
    signature_timeout: float = Field(5.0, gt=0)
    push_token: SecretStr | None = None
    push_token_file: Path | None = None
    poll: float = Field(10.0, gt=0)
    request_timeout: float = Field(10.0, gt=0)

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose local time the platforms speak."""
        return ZoneInfo(self.timezone)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"no time zone is called {timezone!r}") from error
        return timezone

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.signature == "command" and not self.signature_command:
            raise ValueError("signature: command needs signature_command, the program and its arguments as a list")
        if self.request_timeout >= self.timeout:
            raise ValueError("request_timeout must be shorter than timeout, which bounds a whole send")
        return self


def secret_of(inline: SecretStr | None, file: Path | None, what: str) -> str:
    """The secret of a setting or of the file it names, white space around it dropped; "" if neither is set."""
    if file is None:
        return inline.get_secret_value() if inline else ""
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{what}: {error.strerror}: {file}. Create the file or correct the setting.") from error
