"""Takes a misspelt setting for granted."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict
from sound import Gong, SoundContract

BREAKS = "test_an_unknown_setting_is_refused"


class TakesAnySetting(Gong):
    """Takes a misspelt setting for granted."""

    class Config(Gong.Config):
        """Anything goes."""

        model_config = ConfigDict(extra="allow")


class TestTakesAnySetting(SoundContract):
    """Fails."""

    channel_type: ClassVar[type[Gong]] = TakesAnySetting
