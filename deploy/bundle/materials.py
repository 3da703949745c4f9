"""The bill of materials of a bundle: CycloneDX 1.6 JSON, one component for each wheel that lies in it. Called by `build`."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


def bill(wheels: list[Path], product: Path, at: int) -> str:
    """The bill of `wheels` for the wheel `product`, as JSON; `at` = its time in seconds since 1970."""
    whole = component(product, ComponentType.APPLICATION)
    parts = [component(wheel) for wheel in sorted(wheels) if wheel != product]
    digests = "".join(each.content for part in (whole, *parts) for each in part.hashes)
    bom = Bom(
        components=parts,
        metadata=BomMetaData(component=whole, timestamp=datetime.fromtimestamp(at, UTC)),
        serial_number=uuid5(NAMESPACE_URL, digests),
    )
    bom.register_dependency(whole, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def component(wheel: Path, kind: ComponentType = ComponentType.LIBRARY) -> Component:
    """One wheel: what its own metadata says of it, and its digest."""
    about = metadata(wheel)
    name, version = about["Name"], about["Version"]
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=wheel.name,
        purl=PackageURL("pypi", None, name.lower(), version, {"file_name": wheel.name}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(wheel.read_bytes()).hexdigest())],
        licenses=licences(about),
    )


def metadata(wheel: Path) -> Message:
    """The METADATA of a wheel (PyPA core metadata)."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(
            name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
        )
        return Parser().parsestr(archive.read(name).decode())


def licences(about: Message) -> list[License]:
    """The licence a package names: its SPDX expression, else the first line of its words, else its classifiers."""
    said = about.get("License-Expression") or (about.get("License") or "").strip().splitlines()[:1]
    classified = [
        each.rpartition(" :: ")[2] for each in about.get_all("Classifier", []) if each.startswith("License ::")
    ]
    words = said if isinstance(said, str) else (said or classified or [""])[0]
    return [LicenseFactory().make_from_string(words)] if words else []
