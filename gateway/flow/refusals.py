"""Refusals: why a message or a wish is not taken, in words that say what happened, whom it affects and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cap import CODES, http_status
from gateway.errors import Refused
from gateway.model.alert import AlertState, Finding, Parsed, Weight
from gateway.rules.releasing import Denial


def unreadable(parsed: Parsed) -> Refused:
    """The findings refuse the message."""
    first = parsed.errors[0]
    code = CODES[first.code]
    zh, en = code.zh.replace("{what}", "…"), code.en.replace("{what}", "…")
    zh, en = f"报文未被接受，没有入库：{zh}", f"Refused, nothing was stored: {en}"
    return Refused(first.code, http_status(parsed.findings) or 422, zh, en, parsed.findings)


def too_loose(parsed: Parsed) -> Refused:
    """Warnings refuse the messages of a strict source."""
    zh = "该发布单位设为严格：有警告的报文不入库。请按 findings 修正后重发。"
    en = "This source is strict: nothing was stored. Mend what `findings` name and post again."
    return Refused("strict_source", 422, zh, en, parsed.findings)


def no_source(name: str) -> Refused:
    """The key may not post at all: it names no source, or one that is not configured."""
    bound = f"绑定的发布单位 {name} 没有配置" if name else "没有绑定发布单位"
    zh = f"该密钥{bound}，不能发布。请检查配置 sources，或用 tongluo keys create NAME --source S 建立密钥。"
    known = f"source {name}, which is not configured," if name else "no source"
    en = f"This key is bound to {known} and may not post. See `sources`, or make one with `tongluo keys create NAME --source S`."
    return Refused("no_source", 403, zh, en)


def foreign_sender(sender: str) -> Denial:
    """A sender that the key's source may not post as."""
    zh = f"该发布单位不能以 {sender} 的名义发布；消息未入库。"
    return Denial("sender", (sender,), zh, f"This source may not post as {sender}; nothing was stored.")


def denied(denials: Sequence[Denial]) -> Refused:
    """What the source may not do, each as a finding."""
    findings = [
        Finding(f"{each.what}_denied", Weight.ERROR, "/alert", None, f"{each.zh} / {each.en}") for each in denials
    ]
    return Refused(findings[0].code, 403, denials[0].zh, denials[0].en, findings)


def conflicting(place: str) -> Refused:
    """The identity is taken by other content."""
    message = "内容与已收到的同号报文不同 / the content differs from the kept one"
    finding = Finding("identity_conflict", Weight.ERROR, place, None, message)
    zh = f"已有同一 sender、identifier、sent 的报文而内容不同（{place}）；本次未入库。请换新的 identifier 或 sent。"
    en = f"A message of this sender, identifier and sent is kept already and differs at {place}; nothing was stored."
    return Refused("identity_conflict", 409, zh, f"{en} Use a new identifier or sent.", [finding])


def unknown_alert() -> Refused:
    """No such alert, or not this one's to see."""
    return Refused(
        "unknown_alert", 404, "没有这条预警，或您无权查看。", "There is no such alert, or it is not yours to see."
    )


def unknown_dead_letter() -> Refused:
    """No such dead letter, or it has been replayed already."""
    zh = "死信中没有这一条，可能已被重放；没有任何改变。请刷新后再看。"
    en = "There is no such dead letter; it may have been replayed already. Nothing was changed."
    return Refused("unknown_dead_letter", 404, zh, en)


def not_yours(deed: str) -> Refused:
    """The role does not permit it."""
    zh = f"您的角色不能执行“{deed}”；没有任何改变。请用有该权限的账号。"
    return Refused("role_denied", 403, zh, f"Your role may not {deed}; nothing was changed.")


def wrong_state(deed: str, state: AlertState) -> Refused:
    """The alert is not in a state where this makes sense."""
    zh = f"该预警状态为 {state.value}，不能执行“{deed}”；没有任何改变。请刷新后再看。"
    return Refused("wrong_state", 409, zh, f"The alert is {state.value}: it cannot {deed} now; nothing was changed.")
