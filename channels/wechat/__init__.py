"""WeChat official account: template messages, with their finish event as receipt (docs/channels/wechat.md)."""

from channels.wechat.channel import Wechat

__all__ = ["Wechat"]
