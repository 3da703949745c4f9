"""The platform's errcodes in our words: about one follower, about everybody, or about us.

From the platform's own table of return codes; a code that is not in it is a passing ERROR for the follower concerned.
"""

from __future__ import annotations

from gateway.channel import ChannelError, Misconfigured, Reason, Rejected, Throttled, Unavailable

REFUSED_TOKEN = frozenset({40001, 40014, 42001})
"""The token is wrong or has expired: fetch another and ask once more."""

FOLLOWER = {
    40003: Reason.INVALID_ADDRESS,
    43004: Reason.NOT_SUBSCRIBED,
    43101: Reason.NOT_SUBSCRIBED,
}
"""What concerns one follower: not an openid of ours, does not follow us, has switched this template off."""

PATIENCE = {45009: 300.0, 45011: 60.0, 45047: 60.0}
"""Limits of calls: seconds to wait before asking again."""

SETTINGS = {
    40013: "the appid is invalid",
    40037: "the template_id is not one of this account",
    40125: "the secret is wrong",
    40164: "our IP address is not in the account's white list",
    48001: "the account may not send template messages",
    50001: "the account may not use this interface",
    50002: "the account is restricted",
}
CONTENT = {
    47003: "a field does not fit the template; compare the setting `fields` with the template",
    45168: "the platform objects to the words",
}


def error_of(code: int) -> ChannelError | None:
    """The error that ends a whole send; None if `code` concerns one follower or is unknown."""
    if code == -1:
        return Unavailable("the platform is busy (errcode -1)")
    if code in PATIENCE:
        return Throttled(PATIENCE[code], f"the account's limit of calls is reached (errcode {code})", Reason.QUOTA)
    if code in SETTINGS:
        return Misconfigured(f"{SETTINGS[code]} (errcode {code})")
    if code in CONTENT:
        return Rejected(f"{CONTENT[code]} (errcode {code})")
    return None
