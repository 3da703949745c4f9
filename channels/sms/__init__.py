"""SMS over SMPP 3.4: one bind (or several) to an operator's message centre, with receipts. The gateway calls `Sms`."""

from channels.sms.channel import Sms

__all__ = ["Sms"]
