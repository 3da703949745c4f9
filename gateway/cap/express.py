"""An alert as others want it: JSON for the API, and valid CAP 1.2 XML for the public feed, whatever dialect it came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo
from typing import Any
from xml.sax.saxutils import escape

from gateway.cap.scan import CAP_12
from gateway.model.alert import Alert, Area, Circle, Info, NameValue, Reference, Resource
from gateway.model.time import Instant, moment, rfc3339


def as_json(alert: Alert) -> dict[str, Any]:
    """CAP as JSON: CAP's own names, lists where CAP repeats, times RFC 3339 UTC with milliseconds, radii in metres."""
    return {
        "identifier": alert.identifier,
        "sender": alert.sender,
        "sent": rfc3339(alert.sent),
        "status": alert.status.value,
        "msgType": alert.msg_type.value,
        "source": alert.source,
        "scope": alert.scope.value,
        "restriction": alert.restriction,
        "addresses": list(alert.addresses),
        "code": list(alert.codes),
        "note": alert.note,
        "references": [_reference_json(reference) for reference in alert.references],
        "incidents": list(alert.incidents),
        "info": [_info_json(info) for info in alert.infos],
        "dialect": alert.dialect,
        "grade": alert.grade.label,
        "methods": [
            {"name": way.name, "message": way.message, "groups": list(way.groups), "targets": list(way.targets)}
            for way in alert.methods
        ],
    }


def _time_json(at: Instant | None) -> str | None:
    return None if at is None else rfc3339(at)


def _reference_json(reference: Reference) -> dict[str, Any]:
    return {"sender": reference.sender, "identifier": reference.identifier, "sent": _time_json(reference.sent)}


def _pairs_json(pairs: Iterable[NameValue]) -> list[dict[str, str]]:
    return [{"valueName": pair.name, "value": pair.value} for pair in pairs]


def _info_json(info: Info) -> dict[str, Any]:
    return {
        "language": info.language,
        "category": list(info.categories),
        "event": info.event,
        "responseType": list(info.response_types),
        "urgency": info.urgency,
        "severity": info.severity,
        "certainty": info.certainty,
        "grade": info.grade.label,
        "audience": info.audience,
        "eventCode": _pairs_json(info.event_codes),
        "effective": _time_json(info.effective),
        "onset": _time_json(info.onset),
        "expires": _time_json(info.expires),
        "senderName": info.sender_name,
        "headline": info.headline,
        "description": info.description,
        "instruction": info.instruction,
        "web": info.web,
        "contact": info.contact,
        "parameter": _pairs_json(info.parameters),
        "resource": [_resource_json(resource) for resource in info.resources],
        "area": [_area_json(area) for area in info.areas],
    }


def _resource_json(resource: Resource) -> dict[str, Any]:
    return {
        "resourceDesc": resource.desc,
        "mimeType": resource.mime_type,
        "size": resource.size,
        "uri": resource.uri,
        "digest": resource.digest,
    }


def _area_json(area: Area) -> dict[str, Any]:
    return {
        "areaDesc": area.desc,
        "polygon": [[list(point) for point in polygon] for polygon in area.polygons],
        "circle": [{"lat": circle.lat, "lon": circle.lon, "radius": circle.radius} for circle in area.circles],
        "geocode": _pairs_json(area.geocodes),
        "altitude": area.altitude,
        "ceiling": area.ceiling,
        "lost": area.lost,
    }


def as_cap(alert: Alert, *, zone: tzinfo = UTC, events: Mapping[str, str] | None = None) -> bytes:
    """The alert as a CAP 1.2 document (UTF-8), valid by the OASIS schema.

    `zone` is the offset of its times; `events` names event codes (`11B03` -> 暴雨). A reference without a time cannot be
    written in CAP and is left out: the caller that knows the chain completes `alert.references` first.
    """
    lines = [
        "<?xml version='1.0' encoding='UTF-8'?>",
        f'<alert xmlns="{CAP_12}">',
        *_head_xml(alert, zone),
        *(line for info in alert.infos for line in _info_xml(info, zone, events or {})),
        "</alert>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _element(name: str, text: str) -> list[str]:
    """One element, or nothing for an empty text."""
    return [f"<{name}>{escape(text, {chr(13): '&#13;'})}</{name}>"] if text else []


def _elements(name: str, texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _element(name, text)]


def _time_xml(at: Instant, zone: tzinfo) -> str:
    """CAP 1.2 §3.3.2: seconds, and -00:00 for UTC."""
    text = moment(at, zone).isoformat(timespec="seconds")
    return text.replace("+00:00", "-00:00")


def _head_xml(alert: Alert, zone: tzinfo) -> list[str]:
    references = [
        f"{reference.sender},{reference.identifier},{_time_xml(reference.sent, zone)}"
        for reference in alert.references
        if reference.sent is not None
    ]
    return [
        *_element("identifier", alert.identifier),
        *_element("sender", alert.sender),
        *_element("sent", _time_xml(alert.sent, zone)),
        *_element("status", alert.status.value),
        *_element("msgType", alert.msg_type.value),
        *_element("source", alert.source),
        *_element("scope", alert.scope.value),
        *_element("restriction", alert.restriction),
        *_element("addresses", _quoted(alert.addresses)),
        *_elements("code", alert.codes),
        *_element("note", alert.note),
        *_element("references", " ".join(references)),
        *_element("incidents", _quoted(alert.incidents)),
    ]


def _quoted(words: Iterable[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def _info_xml(info: Info, zone: tzinfo, events: Mapping[str, str]) -> list[str]:
    times = {"effective": info.effective, "onset": info.onset, "expires": info.expires}
    return [
        "<info>",
        *_element("language", info.language),
        *_elements("category", info.categories or ("Other",)),
        *_element("event", events.get(info.event, info.event) or info.headline or "Unknown"),
        *_elements("responseType", info.response_types),
        *_element("urgency", info.urgency),
        *_element("severity", info.severity),
        *_element("certainty", info.certainty),
        *_element("audience", info.audience),
        *_pairs_xml("eventCode", info.event_codes),
        *(line for name, at in times.items() if at is not None for line in _element(name, _time_xml(at, zone))),
        *_element("senderName", info.sender_name),
        *_element("headline", info.headline),
        *_element("description", info.description),
        *_element("instruction", info.instruction),
        *_element("web", info.web),
        *_element("contact", info.contact),
        *_pairs_xml("parameter", info.parameters),
        *(line for resource in info.resources for line in _resource_xml(resource)),
        *(line for area in info.areas for line in _area_xml(area)),
        "</info>",
    ]


def _pairs_xml(name: str, pairs: Iterable[NameValue]) -> list[str]:
    return [
        f"<{name}><valueName>{escape(pair.name)}</valueName><value>{escape(pair.value)}</value></{name}>"
        for pair in pairs
    ]


def _resource_xml(resource: Resource) -> list[str]:
    return [
        "<resource>",
        f"<resourceDesc>{escape(resource.desc)}</resourceDesc>",
        f"<mimeType>{escape(resource.mime_type or 'application/octet-stream')}</mimeType>",
        *_element("size", "" if resource.size is None else str(resource.size)),
        *_element("uri", resource.uri),
        *_element("digest", resource.digest),
        "</resource>",
    ]


def _area_xml(area: Area) -> list[str]:
    return [
        "<area>",
        f"<areaDesc>{escape(area.desc)}</areaDesc>",
        *_elements(
            "polygon", (" ".join(f"{_number(lat)},{_number(lon)}" for lat, lon in ring) for ring in area.polygons)
        ),
        *_elements("circle", map(_circle, area.circles)),
        *_pairs_xml("geocode", area.geocodes),
        *_element("altitude", _height(area)[0]),
        *_element("ceiling", _height(area)[1]),
        "</area>",
    ]


def _circle(circle: Circle) -> str:
    return f"{_number(circle.lat)},{_number(circle.lon)} {_number(circle.radius / 1_000)}"


def _height(area: Area) -> tuple[str, str]:
    """CAP 1.2 §3.2.4: a ceiling stands only beside an altitude."""
    if area.altitude is None:
        return "", ""
    return _number(area.altitude), "" if area.ceiling is None else _number(area.ceiling)


def _number(value: float) -> str:
    """A plain decimal, never with an exponent."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
