"""The pages of the HTTP channels name every setting and fault, and their YAML is taken as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels.broadcast import Broadcast
from channels.broadcast import simulator as platform
from channels.webhook import Webhook
from channels.webhook import simulator as pager
from channels.wechat import Wechat
from channels.wechat import simulator as account
from gateway.channel import ChannelConfig

PAGES = Path(__file__).parents[2] / "docs" / "channels"
TYPES: dict[str, Any] = {"webhook": Webhook, "wechat": Wechat, "broadcast": Broadcast}


@pytest.mark.parametrize("name", TYPES)
def test_every_setting_is_on_its_page(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    own = set(TYPES[name].Config.model_fields) - set(ChannelConfig.model_fields)
    assert [setting for setting in own if f"`{setting}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("webhook", pager.FLAGS | pager.FIGURES),
        ("wechat", account.FLAGS | account.FIGURES),
        ("broadcast", platform.FLAGS | {"slow"}),
    ],
)
def test_every_fault_is_on_its_page(name: str, faults: frozenset[str]) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8").partition("## Simulator")[2]
    assert [fault for fault in faults if not re.search(rf"`{fault}(=\w+)?`", page)] == []


@pytest.mark.parametrize("name", TYPES)
def test_the_yaml_of_a_page_is_taken(name: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (PAGES / f"{name}.md").read_text("utf-8"), re.DOTALL)
    configurations = [settings for block in blocks for settings in configured(block)]
    assert configurations
    for settings in configurations:
        TYPES[name].Config.model_validate(settings)


def configured(block: str) -> list[dict[str, Any]]:
    """The channels in a block; one that only shows further settings stands on the block before it and is left out."""
    document = yaml.safe_load(block)
    channels = document.get("channels", document)
    return [settings for settings in channels.values() if isinstance(settings, dict) and "type" in settings]
