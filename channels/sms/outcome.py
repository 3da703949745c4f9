"""What the message centre's codes mean in Tongluo's closed vocabulary. Pure tables; read by the channel for every answer.

Two languages meet here: the command_status of an answer (SMPP 3.4 §5.1.3), and the state in a receipt (appendix B,
§5.2.28, and the operators' own codes such as `MB:0069`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from channels.sms.smpp import QUEUE_FULL, THROTTLED
from gateway.channel import Level, Reason

_REFUSALS: Final[dict[int, tuple[str, Reason]]] = {
    0x01: ("ESME_RINVMSGLEN", Reason.TOO_LONG),
    0x02: ("ESME_RINVCMDLEN", Reason.REJECTED),
    0x03: ("ESME_RINVCMDID", Reason.MISCONFIGURED),
    0x04: ("ESME_RINVBNDSTS", Reason.UNAVAILABLE),
    0x05: ("ESME_RALYBND", Reason.UNAVAILABLE),
    0x06: ("ESME_RINVPRTFLG", Reason.REJECTED),
    0x07: ("ESME_RINVREGDLVFLG", Reason.MISCONFIGURED),
    0x08: ("ESME_RSYSERR", Reason.UNAVAILABLE),
    0x0A: ("ESME_RINVSRCADR", Reason.MISCONFIGURED),
    0x0B: ("ESME_RINVDSTADR", Reason.INVALID_ADDRESS),
    0x0C: ("ESME_RINVMSGID", Reason.REJECTED),
    0x0D: ("ESME_RBINDFAIL", Reason.UNAVAILABLE),
    0x0E: ("ESME_RINVPASWD", Reason.MISCONFIGURED),
    0x0F: ("ESME_RINVSYSID", Reason.MISCONFIGURED),
    0x11: ("ESME_RCANCELFAIL", Reason.REJECTED),
    0x13: ("ESME_RREPLACEFAIL", Reason.REJECTED),
    0x14: ("ESME_RMSGQFUL", Reason.THROTTLED),
    0x15: ("ESME_RINVSERTYP", Reason.MISCONFIGURED),
    0x33: ("ESME_RINVNUMDESTS", Reason.REJECTED),
    0x34: ("ESME_RINVDLNAME", Reason.REJECTED),
    0x40: ("ESME_RINVDESTFLAG", Reason.REJECTED),
    0x42: ("ESME_RINVSUBREP", Reason.REJECTED),
    0x43: ("ESME_RINVESMCLASS", Reason.MISCONFIGURED),
    0x44: ("ESME_RCNTSUBDL", Reason.REJECTED),
    0x45: ("ESME_RSUBMITFAIL", Reason.ERROR),
    0x48: ("ESME_RINVSRCTON", Reason.MISCONFIGURED),
    0x49: ("ESME_RINVSRCNPI", Reason.MISCONFIGURED),
    0x50: ("ESME_RINVDSTTON", Reason.MISCONFIGURED),
    0x51: ("ESME_RINVDSTNPI", Reason.MISCONFIGURED),
    0x53: ("ESME_RINVSYSTYP", Reason.MISCONFIGURED),
    0x54: ("ESME_RINVREPFLAG", Reason.REJECTED),
    0x55: ("ESME_RINVNUMMSGS", Reason.REJECTED),
    0x58: ("ESME_RTHROTTLED", Reason.THROTTLED),
    0x61: ("ESME_RINVSCHED", Reason.REJECTED),
    0x62: ("ESME_RINVEXPIRY", Reason.REJECTED),
    0x63: ("ESME_RINVDFTMSGID", Reason.REJECTED),
    0x64: ("ESME_RX_T_APPN", Reason.UNAVAILABLE),
    0x65: ("ESME_RX_P_APPN", Reason.REJECTED),
    0x66: ("ESME_RX_R_APPN", Reason.REJECTED),
    0x67: ("ESME_RQUERYFAIL", Reason.ERROR),
    0xC0: ("ESME_RINVOPTPARSTREAM", Reason.MISCONFIGURED),
    0xC1: ("ESME_ROPTPARNOTALLWD", Reason.MISCONFIGURED),
    0xC2: ("ESME_RINVPARLEN", Reason.MISCONFIGURED),
    0xC3: ("ESME_RMISSINGOPTPARAM", Reason.MISCONFIGURED),
    0xC4: ("ESME_RINVOPTPARAMVAL", Reason.MISCONFIGURED),
    0xFE: ("ESME_RDELIVERYFAILURE", Reason.UNREACHABLE),
    0xFF: ("ESME_RUNKNOWNERR", Reason.UNKNOWN),
}

PATIENCE: Final = frozenset({THROTTLED, QUEUE_FULL})
"""Statuses by which a centre asks us to slow down."""

_STATES: Final[dict[str, tuple[Level, Reason]]] = {
    "DELIVRD": (Level.DELIVERED, Reason.NONE),
    "ACCEPTD": (Level.ACCEPTED, Reason.NONE),
    "ENROUTE": (Level.ACCEPTED, Reason.NONE),
    "UNDELIV": (Level.FAILED, Reason.UNREACHABLE),
    "REJECTD": (Level.FAILED, Reason.REJECTED),
    "EXPIRED": (Level.FAILED, Reason.EXPIRED),
    "DELETED": (Level.FAILED, Reason.WITHDRAWN),
    "UNKNOWN": (Level.FAILED, Reason.UNKNOWN),
    "MA": (Level.FAILED, Reason.UNAVAILABLE),
    "MB": (Level.FAILED, Reason.REJECTED),
    "CA": (Level.FAILED, Reason.UNAVAILABLE),
    "CB": (Level.FAILED, Reason.BLOCKED),
}
"""Operators' codes by their prefix: A = the operator's centre (M) or billing (C) did not answer, B = it refused."""

MESSAGE_STATES: Final = {
    1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD",
}  # fmt: skip
"""The message_state TLV (§5.2.28) in the words of receipts."""


def refusal(status: int) -> Reason:
    """Why an answer with this command_status refuses us; vendors' own codes are unknown, so they are tried again."""
    return _REFUSALS.get(status, ("", Reason.UNKNOWN))[1]


def status_name(status: int) -> str:
    """`ESME_RTHROTTLED (0x58)`, for logs and people."""
    return f"{_REFUSALS.get(status, ('vendor', Reason.UNKNOWN))[0]} ({status:#04x})"


def verdict(state: str, error: str, reasons: Mapping[str, Reason]) -> tuple[Level, Reason]:
    """What a receipt's `stat` and `err` say. `reasons` are the operator's own: by whole code, `err:CODE`, or prefix."""
    word = state.upper()
    prefix = word.partition(":")[0]
    level, reason = _STATES.get(word) or _STATES.get(prefix) or (Level.FAILED, Reason.UNKNOWN)
    if level != Level.FAILED:
        return level, reason
    return level, reasons.get(word) or reasons.get(f"err:{error}") or reasons.get(prefix) or reason
