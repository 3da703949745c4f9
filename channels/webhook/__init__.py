"""Any HTTP interface as a channel, configured in YAML alone (docs/channels/webhook.md)."""

from channels.webhook.channel import Webhook

__all__ = ["Webhook"]
