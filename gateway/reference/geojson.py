"""Boundaries of regions from GeoJSON (RFC 7946): the composition root reads them for the tree.

Either a FeatureCollection whose features name their region (`properties.code`, `adcode` or `id`, or the feature's own `id`),
or one object with a geometry for each code. Boundaries are the user's own: none are shipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import make_valid

from gateway.errors import ConfigError
from gateway.reference.datum import wgs84
from gateway.reference.tables import decoded
from gateway.rules.divisions import normal

_SURFACES = ("Polygon", "MultiPolygon")


def read_boundaries(path: Path, datum: str = "wgs84") -> dict[str, BaseGeometry]:
    """Boundaries by division code, in (longitude, latitude) WGS 84; `datum="gcj02"` converts.

    Raises ConfigError if the file is no GeoJSON, a code is none of ours, or a geometry is no surface within the globe.
    """
    try:
        document = json.loads(decoded(path, path.read_bytes()))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise ConfigError(str(path), f"not JSON ({error}).", "Export the boundaries again.") from error
    if not isinstance(document, dict):
        raise ConfigError(str(path), "not GeoJSON.", "Give a FeatureCollection, or geometries by code.")
    boundaries: dict[str, BaseGeometry] = {}
    for place, name, geometry in _features(document):
        code = normal(str(name))
        if code is None or code in boundaries:
            why = "no division code" if code is None else "given twice"
            raise ConfigError(f"{path}: feature {place}", f"{name!r} is {why}.", "Name each region's code once.")
        boundaries[code] = _surface(geometry, f"{path}: {code}", datum)
    return boundaries


def _features(document: Mapping[str, Any]) -> Iterator[tuple[int, object, object]]:
    """Number, code and geometry of everything in the file."""
    if document.get("type") != "FeatureCollection":
        for place, (code, geometry) in enumerate(document.items()):
            yield place, code, geometry
        return
    for place, feature in enumerate(document.get("features") or []):
        properties = feature.get("properties") or {}
        names = (properties.get("code"), properties.get("adcode"), properties.get("id"), feature.get("id"))
        yield place, next((name for name in names if name), ""), feature.get("geometry")


def _surface(geometry: object, where: str, datum: str) -> BaseGeometry:
    if not isinstance(geometry, dict) or geometry.get("type") not in _SURFACES:
        raise ConfigError(where, "no Polygon or MultiPolygon.", "A boundary has to be a surface.")
    try:
        surface = shape(geometry)
    except (ValueError, TypeError, KeyError, shapely.errors.ShapelyError) as error:
        raise ConfigError(where, f"not a geometry ({error}).", "Export it again.") from error
    west, south, east, north = surface.bounds if not surface.is_empty else (999.0,) * 4
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ConfigError(where, "empty, or beyond the globe.", "Coordinates are (longitude, latitude) in degrees.")
    if datum == "gcj02":
        surface = shapely.transform(surface, _converted)
    return surface if surface.is_valid else make_valid(surface)


def _converted(points: NDArray[np.float64]) -> NDArray[np.float64]:
    pairs = [wgs84(lat, lon) for lon, lat in points.tolist()]
    return np.array([(lon, lat) for lat, lon in pairs], dtype=float).reshape(-1, 2)
