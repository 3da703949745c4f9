"""The settings of a WeChat channel; validated by the gateway at start-up."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from gateway.channel import ChannelConfig, Misconfigured

DEFAULT_FIELDS = {
    "thing1": "headline",
    "thing2": "region",
    "phrase3": "grade",
    "time4": "time",
    "thing5": "instruction",
}


class Settings(ChannelConfig):
    """`channels: NAME: {type: wechat, ...}`; every setting is described in docs/channels/wechat.md.

    `fields` maps the keys of the approved template to the names of our rendered fields (or `text`, `title`); `url` is where a
    tap on the message leads, with `{alert}` for the alert's id; `token_file` holds the token of the callback's signature.
    """

    base_url: str = "https://api.weixin.qq.com"
    appid: str = Field(min_length=1)
    secret: SecretStr | None = None
    secret_file: Path | None = None
    template_id: str = Field(min_length=1)
    fields: dict[str, str] = Field(default_factory=lambda: dict(DEFAULT_FIELDS), min_length=1)
    url: str = ""
    token: SecretStr | None = None
    token_file: Path | None = None
    tolerance: int = Field(300, ge=1)
    connections: int = Field(32, ge=1, le=500)
    request_timeout: float = Field(10.0, gt=0)

    @field_validator("base_url")
    @classmethod
    def _is_web(cls, base_url: str) -> str:
        if not base_url.startswith(("https://", "http://")):
            raise ValueError("base_url must begin with https:// (or http:// for a simulator)")
        return base_url.rstrip("/")


def secret_of(inline: SecretStr | None, file: Path | None, what: str) -> str:
    """The secret of a setting or of the file it names, white space around it dropped; "" if neither is set."""
    if file is None:
        return inline.get_secret_value() if inline else ""
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{what}: {error.strerror}: {file}. Create the file or correct the setting.") from error
