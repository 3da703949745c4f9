"""Fingerprints: what a hub or a library may do to a message without making it another one, and what it may not."""

from __future__ import annotations

import random

import pytest
from cap_messages import AREA, INFO, RING, cap, info, national
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.cap import first_difference, parse

URGENCY, SEVERITY = "<urgency>Immediate</urgency>", "<severity>Severe</severity>"
SIGNATURE = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignatureValue>AA==</SignatureValue></Signature>'


def mark(raw: str | bytes) -> str:
    parsed = parse(raw if isinstance(raw, bytes) else raw.encode())
    assert parsed.fingerprint, parsed.findings
    return parsed.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(cap(INFO + SIGNATURE), id="signed"),
        pytest.param(cap(extra="<note/><references/>"), id="empty elements"),
        pytest.param(cap().replace("<info>", '<info xml:lang="zh" id="i1">'), id="attributes"),
        pytest.param(cap().replace("<info>", "<!-- c --><?p?>\n <info>\n"), id="comments and white space"),
        pytest.param(cap().replace("今夜有", "<![CDATA[今夜]]>有"), id="cdata"),
        pytest.param(cap(sent="2026-07-22T06:30:00-00:00"), id="the same instant"),
        pytest.param(cap(info(RING, "41.90,124.9\n41.9,125.10 42.1,125.1 41.9,124.9")), id="the same numbers"),
        pytest.param(cap(info(URGENCY + SEVERITY, SEVERITY + URGENCY)), id="order"),
    ],
)  # fmt: skip
def test_the_same_content(other: str) -> None:
    assert mark(other) == mark(cap())
    assert first_difference(cap().encode(), other.encode()) == ""


@pytest.mark.parametrize(
    ("other", "xpath"),
    [
        (cap(info("今夜", "明夜")), "/alert/info[1]/description"),
        (cap(info("42.1,125.1", "42.1,125.2")), "/alert/info[1]/area[1]/polygon[1]"),
        (cap(info("210423", "210422")), "/alert/info[1]/area[1]/geocode[1]/value"),
        (cap(INFO + INFO), "/alert/info[2]/language"),
        (cap(info(AREA, AREA + AREA.replace("清原", "新宾"))), "/alert/info[1]/area[2]/areaDesc"),
        (cap(status="Test"), "/alert/status"),
        (cap(extra="<note>x</note>"), "/alert/note"),
        (cap(extra='<x:a xmlns:x="urn:x">1</x:a>'), "/alert/Q{urn:x}a"),
        (cap(info("<event>", '<event xmlns="">')), "/alert/info[1]/event"),
        ("<alert", "/"),
    ],
)
def test_other_content_differs_at_its_place(other: str, xpath: str) -> None:
    assert first_difference(cap().encode(), other.encode()) == xpath
    if xpath != "/":
        assert mark(other) != mark(cap())


def test_what_was_left_out_is_a_difference_too() -> None:
    assert first_difference(cap().encode(), cap(info("<instruction>请勿涉水。</instruction>")).encode()) == (
        "/alert/info[1]/instruction"
    )


def _noisy(element: etree._Element, prefix: str, noise: random.Random) -> str:
    """The element written anew: another prefix, white space between elements, comments in texts."""
    name = f"{prefix}{etree.QName(element).localname}"
    inside = noise.choice(["", "\n\t", "<!-- x -->", "<?y?>"])
    if len(element):
        inside += "".join(_noisy(child, prefix, noise) + noise.choice(["", " ", "\n"]) for child in element)
    else:
        text = element.text or ""
        cut = noise.randrange(len(text) + 1)
        parts = [f"<![CDATA[{part}]]>" if noise.random() < 0.3 and part else part for part in (text[:cut], text[cut:])]
        inside += "<!---->".join(parts)
    return f"<{name}>{inside}</{name}>"


@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["", "cap:", "x1:"]),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    st.sampled_from([cap(), national()]),
)
def test_serialising_anew_keeps_the_fingerprint(noise: random.Random, prefix: str, encoding: str, text: str) -> None:
    root = etree.fromstring(text.encode())
    declaration = f'xmlns:{prefix[:-1]}="' if prefix else 'xmlns="'
    written = _noisy(root, prefix, noise).replace(">", f' {declaration}{etree.QName(root).namespace}">', 1)
    raw = f'<?xml version="1.0" encoding="{encoding}"?>{written}'.encode(encoding)
    assert mark(raw) == mark(text)
    assert first_difference(raw, text.encode()) == ""
