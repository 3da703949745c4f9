"""The settings of an `sms` channel, as they stand under `channels:` in the configuration."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from channels.sms.ids import Format
from gateway.channel import ChannelConfig, Misconfigured, Reason

CHINA = ZoneInfo("Asia/Shanghai")
"""Read at import and cached by zoneinfo, so that no event loop waits for the file."""


class SmsConfig(ChannelConfig):
    """An account at a message centre that speaks SMPP 3.4 (短信中心)."""

    host: str = Field("127.0.0.1", min_length=1, description="the message centre's address")
    port: int = Field(2775, ge=1, le=65535, description="its port")
    system_id: str = Field("", max_length=65, pattern=r"^[\x21-\x7e]*$", description="account")
    password: SecretStr = Field(SecretStr(""), description="password; better in password_file")
    password_file: Path | None = Field(None, description="file that holds the password, read again at every bind")
    system_type: str = Field(
        "", max_length=12, pattern=r"^[\x20-\x7e]*$", description="as the operator says, often empty"
    )
    source_addr: str = Field(
        "12379", max_length=20, pattern=r"^[\x21-\x7e]*$", description="number the message comes from"
    )
    source_ton: int = Field(0, ge=0, le=255, description="type of number of source_addr (SMPP 3.4 §5.2.5)")
    source_npi: int = Field(1, ge=0, le=255, description="numbering plan of source_addr (§5.2.6)")
    dest_ton: int = Field(1, ge=0, le=255, description="type of number of the phones")
    dest_npi: int = Field(1, ge=0, le=255, description="numbering plan of the phones")
    service_type: str = Field(
        "", max_length=5, pattern=r"^[\x20-\x7e]*$", description="as the operator says, often empty"
    )
    window: int = Field(50, ge=1, le=10_000, description="messages without answer on one connection")
    binds: int = Field(1, ge=1, le=32, description="connections of this account")
    enquire_link: float = Field(10.0, gt=0, description="seconds between two questions whether the link lives")
    response_timeout: float = Field(
        10.0, gt=0, description="seconds after which an answer is given up: outcome unknown"
    )
    long: Literal["udh", "payload"] = Field("udh", description="long texts in parts (udh) or whole in message_payload")
    max_parts: int = Field(10, ge=1, le=255, description="longest text, in parts of 67 characters")
    key_tlv: bool = Field(False, description="send our key and the alert's id in the vendor TLVs 0x1501 and 0x1502")
    message_id_format: Format = Field(
        "any", description="base of ids in receipts if answers use the other one; any = learn"
    )
    registered_delivery: bool = Field(True, description="ask for delivery receipts")
    receipt_zone: str = Field(CHINA.key, description="time zone of the dates in receipts (IANA)")
    reasons: dict[str, str] = Field(default_factory=dict, description="the operator's failure codes in our reasons")
    tls: bool = Field(False, description="TLS, with the centre's certificate checked")
    tls_ca_file: Path | None = Field(None, description="certificates to trust instead of the system's")

    @field_validator("receipt_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not an IANA time zone such as Asia/Shanghai") from error
        return name

    @field_validator("reasons")
    @classmethod
    def _reasons_exist(cls, reasons: dict[str, str]) -> dict[str, str]:
        known = {reason.label for reason in Reason}
        if wrong := sorted(set(reasons.values()) - known):
            raise ValueError(f"unknown reasons {', '.join(wrong)}; known are {', '.join(sorted(known))}")
        return reasons

    @property
    def operator_reasons(self) -> dict[str, Reason]:
        """`reasons` in the form in which receipts are judged: codes in capitals, `err:` in lower case."""
        return {
            f"err:{code[4:]}" if code.lower().startswith("err:") else code.upper(): Reason[label.upper()]
            for code, label in self.reasons.items()
        }

    async def secret(self) -> str:
        """The password. Raises Misconfigured if its file cannot be read."""
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            text = await asyncio.to_thread(self.password_file.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(
                f"短信渠道的密码文件读不出来，没有短信能发出：请检查 password_file。"
                f"The password file cannot be read, so no SMS leaves; check password_file: {error}"
            ) from error
        return text.strip()

    async def trust(self) -> ssl.SSLContext | None:
        """The TLS settings, or None for plain TCP. Raises Misconfigured if tls_ca_file cannot be read."""
        if not self.tls:
            return None
        try:
            return await asyncio.to_thread(ssl.create_default_context, cafile=self.tls_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(
                f"短信渠道的 TLS 证书读不出来：请检查 tls_ca_file。The trusted certificates cannot be read: {error}"
            ) from error
