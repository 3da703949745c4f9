"""What the small world of the web tests contains: one county with its streets, three alerts, four channels."""

from __future__ import annotations

from typing import Any

from gateway.model.time import Instant, rfc3339
from gateway.ports import Json, Principal, Role

NOW: Instant = 1_784_702_331_000  # 2026-07-22T06:38:51Z, 14:38:51 in Shanghai
RELEASED = NOW - 401_000
ALERT = "0198-rain"
HELD = "0198-held"
DRILL = "0198-drill"
TICKET = "ticket-once"

ADMIN = Principal("user:admin", "管理员", frozenset({Role.ADMIN}))
VIEWER = Principal("user:viewer", "李某", frozenset({Role.VIEWER}))
SOURCE = Principal("key:met", "铁西区气象局", frozenset({Role.SOURCE}), source="tiexi-met", regions=("210106",))

STREETS = [
    ("210106001000", "昆明湖街道", 41.79, 123.30, 61_200, 0.601, 0.810, 0.952, 0),
    ("210106014000", "大青中朝友谊街道", 41.73, 123.22, 29_800, 0.310, 0.523, 0.701, 2),
    ("210106021000", "凌空街道", 41.80, 123.36, 52_400, 0.880, 0.943, 0.991, 0),
    ("210106022000", "重工街道", 41.79, 123.34, 38_800, 0.930, 0.962, 0.995, 0),
    ("210106023000", "启工街道", 41.79, 123.35, 44_100, 0.742, 0.931, 0.988, 0),
    ("210106024000", "笃工街道", 41.80, 123.35, 36_700, 0.715, 0.905, 0.974, 0),
    ("210106025000", "兴华街道", 41.78, 123.37, 40_200, 0.801, 0.926, 0.981, 0),
    ("210106026000", "霁虹街道", 41.81, 123.38, 47_900, 0.655, 0.871, 0.968, 1),
    ("210106027000", "兴工街道", 41.78, 123.38, 33_300, 0.912, 0.951, 0.993, 0),
    ("210106028000", "西三环街道", 41.77, 123.27, 22_600, 0.488, 0.702, 0.899, 3),
    ("210106029000", "翟家街道", 41.74, 123.26, 19_400, 0.402, 0.688, 0.931, 0),
    ("210106030000", "彰驿站街道", 41.62, 123.13, 0, None, None, None, 0),
]


def region_row(
    code: str, name: str, people: int, lo: float | None, est: float | None, hi: float | None, blind: int
) -> Json:
    """One region of the coverage answer."""
    if lo is None or est is None or hi is None:
        return {"id": code, "name": name, "level": "town", "target": None, "lo": None, "est": None, "hi": None}
    gap = max(0, round(people * (0.92 - est)))
    status = "met_confirmed" if lo >= 0.92 else "met_estimated" if est >= 0.92 else "possible" if hi >= 0.92 else "gap"
    return {
        "id": code,
        "name": name,
        "level": "town",
        "target": people,
        "lo": lo,
        "est": est,
        "hi": hi,
        "people": {"lo": people * lo, "est": people * est, "hi": people * hi},
        "answered": 0.12,
        "goal_bp": 9200,
        "basis": "est",
        "status": status,
        "gap_people": gap,
        "time_to_goal_s": None,
        "leaves_total": 14,
        "leaves_reached": 11,
        "blind_spots": blind,
        "flags": [],
    }


def alert_row(id_: str, state: str, headline: str, **changes: Any) -> Json:
    """One alert of a list."""
    row: Json = {
        "id": id_,
        "identifier": f"21010641600000_{id_}",
        "sender": "21010641600000",
        "sent": rfc3339(RELEASED - 9_000),
        "headline": headline,
        "event": "暴雨",
        "event_code": "11B03",
        "grade": "orange",
        "status": "Actual",
        "msg_type": "Alert",
        "state": state,
        "source": "铁西区气象局",
        "received_at": rfc3339(RELEASED - 4_000),
        "released_at": rfc3339(RELEASED) if state == "released" else None,
        "expires_at": rfc3339(NOW + 19_000_000),
        "ended_at": None,
        "regions": ["210106"],
        "warnings": 1,
        "coverage": None,
    }
    if state == "released":
        row["coverage"] = {
            "lo": 0.7128,
            "est": 0.8843,
            "hi": 0.9709,
            "goal_bp": 9200,
            "status": "possible",
            "gap_people": 15_169,
        }
    return {**row, **changes}


def detail(row: Json, hostile: str = "") -> Json:
    """The same alert with all its parts; `hostile` stands in every text of its own if given."""
    info = {
        "language": "zh-CN",
        "headline": row["headline"],
        "description": hostile or "预计未来6小时,铁西区大部地区降雨量将达50毫米以上,伴有短时强降水和雷电。",
        "instruction": hostile or "低洼地区居民请转移到高处;暂停户外活动;远离河道和地下空间。",
        "area": [{"areaDesc": hostile or "铁西区"}],
    }
    finding = {
        "code": "time_with_z",
        "level": "warning",
        "xpath": "/alert/sent",
        "line": 5,
        "message": hostile or "时间写作 Z",
    }
    link = {
        "id": row["id"],
        "msg_type": "Alert",
        "state": row["state"],
        "sent": row["sent"],
        "headline": row["headline"],
    }
    return {
        **row,
        "cap": {"identifier": row["identifier"], "info": [info]},
        "findings": [finding],
        "chain": [link, link],
        "plan": {"rule": hostile or "红橙全渠道", "first": ["sms", "village-speakers"], "reserve": [], "quieted": []},
        "attachments": [{"name": hostile or "x_P_01.pdf", "sha256": "ab" * 32, "size": 20_480}],
        "audit": [{"at": row["received_at"], "who": "key:met", "what": hostile or "accepted", "note": hostile}],
        "flags": [hostile] if hostile else [],
    }


CHANNELS: list[Json] = [
    {"channel": "sms", "type": "sms", "kind": "addressed", "targets": 231_412, "handed": 212_002, "receipts": 164_777,
     "pending": 19_410, "failed": {"invalid_address": 1_204, "unreachable": 3_118, "blocked": 96, "timeout": 402}, "late": 0,
     "p50_s": 21.2, "p90_s": 66.0, "state": "ok", "oldest_pending_s": 2.4},
    {"channel": "village-speakers", "type": "loudspeaker", "kind": "device", "targets": 97, "handed": 97, "receipts": 88,
     "pending": 0, "failed": {"offline": 9}, "late": 0, "p50_s": 12.3, "p90_s": 31.5, "state": "slow", "oldest_pending_s": None},
    {"channel": "wechat", "type": "wechat", "kind": "addressed", "targets": 64_120, "handed": 64_120, "receipts": 11_541,
     "pending": 0, "failed": {"not_subscribed": 310}, "late": 0, "p50_s": 44.0, "p90_s": 131.0, "state": "ok",
     "oldest_pending_s": None},
    {"channel": "county-broadcast", "type": "broadcast", "kind": "area", "targets": 1, "handed": 0, "receipts": 0, "pending": 1,
     "failed": {}, "late": 0, "p50_s": None, "p90_s": None, "state": "down", "oldest_pending_s": 191.0},
]  # fmt: skip

STATES: list[Json] = [
    {"channel": row["channel"], "type": row["type"], "kind": row["kind"], "proves": "delivered", "abilities": ["callback"],
     "state": row["state"], "since": rfc3339(NOW - 90_000), "oldest_pending_s": row["oldest_pending_s"], "pending": row["pending"],
     "sink": None, "online_ratio": 0.907 if row["kind"] == "device" else None,
     "detail": "县平台连接被拒绝" if row["state"] == "down" else ""}
    for row in CHANNELS
]  # fmt: skip


def place(code: str, name: str, level: str, lat: float | None, lon: float | None, children: int) -> Json:
    """One region of the tree."""
    return {"id": code, "name": name, "level": level, "population": 1000, "lat": lat, "lon": lon, "children": children}


DEAD_LETTERS: list[Json] = [
    {"id": "m3", "kind": "message", "channel": "sms.red", "endpoints": None, "attempts": None, "reason": "not JSON",
     "at": rfc3339(NOW), "alert": None, "headline": "", "replaying": False},
    {"id": "12", "kind": "batch", "channel": "sms", "endpoints": 7, "attempts": 5, "reason": "timeout",
     "at": None, "alert": ALERT, "headline": "铁西区气象局发布暴雨橙色预警", "replaying": False},
]  # fmt: skip
