"""The log's codes as sentences in both languages. A code that is not here is shown as it is, with its arguments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

SENTENCES: dict[str, tuple[str, str]] = {
    "alert_held": ("等待签发人决定 {why}", "waits for an approver {why}"),
    "alert_released": ("已发布 {why}", "released {why}"),
    "alert_stored": ("仅存档,不发送 {why}", "stored only, nothing is sent {why}"),
    "alert_rejected": ("不予发布 {why}", "rejected {why}"),
    "alert_superseded": ("已被更新 {why}", "superseded {why}"),
    "alert_cancelled": ("已解除 {why}", "cancelled {why}"),
    "alert_stopped": ("已停止发送 {why}", "sending stopped {why}"),
    "alert_expired": ("已过有效期", "its time is over"),
    "planned": ("已制定发布任务:{endpoints} 个终端,{channels}", "planned: {endpoints} endpoints, {channels}"),
    "goal_met": ("{region} 已达标", "{region} has met its goal"),
    "channel_down": ("{channel} 中断:{why}", "{channel} is down: {why}"),
    "channel_stalled": ("{channel} 停滞:{why}", "{channel} is stalled: {why}"),
    "channel_up": ("{channel} 恢复正常", "{channel} works again"),
    "dead_letter": ("{channel} 有 {count} 个终端多次失败,待处理", "{channel}: {count} endpoints failed for good"),
}

REASONS: dict[str, tuple[str, str]] = {
    "released": ("", ""),
    "approved": ("(经签发)", "(approved)"),
    "sinks": ("(测试,只到测试收件箱)", "(a test, to the sinks only)"),
    "draft": ("(草稿)", "(a draft)"),
    "scope": ("(非公开范围)", "(not for the public)"),
    "expired": ("(已过有效期)", "(it had expired)"),
    "unresolved": ("(区域无法确定)", "(its area could not be resolved)"),
    "needs_approval": ("(该级别须经签发)", "(this grade needs approval)"),
    "ended_before_arrival": ("(到达前已被取代或解除)", "(ended before it arrived)"),
    "nothing_to_end": ("(没有可解除的预警)", "(there was nothing to end)"),
    "lifted": ("(解除)", "(lifted)"),
    "withdrawn": ("(撤回更正)", "(withdrawn as wrong)"),
}


def sentence(code: str, args: Mapping[str, Any], language: str) -> str:
    """What happened, as a sentence; arguments are only text."""
    place = 0 if language == "zh" else 1
    pair = SENTENCES.get(code)
    if pair is None:
        return " ".join([code, *(f"{key}={value}" for key, value in args.items())])
    known = defaultdict(str, {key: str(value) for key, value in args.items()})
    if reason := REASONS.get(known["why"]):
        known["why"] = reason[place]
    return pair[place].format_map(known).strip()
