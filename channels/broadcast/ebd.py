"""The envelope of emergency broadcasting, `<EBD>`, and safe reading of XML that others wrote (GD/J 082). Pure.

An EBD names its type, who sends it and which EBD it answers; one element named as the type holds the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

Element = etree._Element

VERSION = "1.0"
TIME = "%Y-%m-%d %H:%M:%S"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Unreadable(ValueError):
    """Not a package, not XML, or not an EBD; the text says which."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One EBD. `time` is the sender's local time as text; `related` the EBDID it answers, "" if none; `body` the message."""

    ebd_id: str
    source: str
    time: str
    body: Element
    destination: str = ""
    related: str = ""

    @property
    def kind(self) -> str:
        """EBDType: `EBM`, `EBDResponse`, `EBMStateRequest`, `EBMStateResponse`, `ConnectionCheck`, ..."""
        return name_of(self.body)


def node(tag: str, *content: Element | str) -> Element:
    """An element with text or children; characters that XML cannot hold are left out."""
    element = etree.Element(tag)
    for part in content:
        if isinstance(part, str):
            element.text = _NOT_XML.sub("", part)
        else:
            element.append(part)
    return element


def write(envelope: Envelope) -> bytes:
    """The XML file of an EBD."""
    parts = [
        node("EBDVersion", VERSION),
        node("EBDID", envelope.ebd_id),
        node("EBDType", envelope.kind),
        node("SRC", node("EBRID", envelope.source)),
    ]
    if envelope.destination:
        parts.append(node("DEST", node("EBRID", envelope.destination)))
    parts.append(node("EBDTime", envelope.time))
    if envelope.related:
        parts.append(node("RelatedEBD", node("EBDID", envelope.related)))
    return etree.tostring(node("EBD", *parts, envelope.body), xml_declaration=True, encoding="UTF-8")


def read(raw: bytes) -> Envelope:
    """The envelope in an XML file. Namespaces are ignored, comments left out, any DOCTYPE refused. Raises Unreadable."""
    root = _parse(raw)
    kind = text_at(root, "EBDType")
    body = next((child for child in root if name_of(child) == kind), None)
    if name_of(root) != "EBD" or body is None:
        raise Unreadable(f"no EBD with a body of its type {kind[:40]!r}")
    source = text_at(root, "SRC", "EBRID") or text_at(root, "SRC", "EBEID")
    return Envelope(
        text_at(root, "EBDID"),
        source,
        text_at(root, "EBDTime"),
        body,
        destination=text_at(root, "DEST", "EBRID"),
        related=text_at(root, "RelatedEBD", "EBDID"),
    )


def _parse(raw: bytes) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable("not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("a DOCTYPE is refused")
    return root


def name_of(element: Element) -> str:
    """The tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of that name, in order."""
    return (child for child in element if name_of(child) == name)


def text_at(element: Element, *path: str) -> str:
    """The text at a path of child names, white space around it dropped; "" where the path leads nowhere."""
    found: Element | None = element
    for name in path:
        found = next(children(found, name), None) if found is not None else None
    return "" if found is None else "".join(map(str, found.itertext())).strip()
