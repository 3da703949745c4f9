"""Which leaves lie inside a polygon or a circle, and how much of each.

Called by targeting through `Tree.locator`. A leaf with a boundary counts by the fraction of its surface; a leaf without one is
its point, in or out, the border included. Distances are great circles on the sphere (haversine), as CAP 1.2 §3.2.4 needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from shapely.validation import make_valid

from gateway.model.alert import Circle, Polygon
from gateway.model.region import RegionLevel
from gateway.model.roster import PPM

EARTH = 6_371_008.8
"""Mean radius of the earth in metres."""

MENDABLE = 64
"""Corners up to which a ring that crosses itself is mended."""

CORNERS = 64
"""A circle cuts boundaries as a polygon of so many corners."""

REACH = {
    RegionLevel.GROUP: 3_000.0,
    RegionLevel.VILLAGE: 10_000.0,
    RegionLevel.TOWN: 20_000.0,
    RegionLevel.COUNTY: 50_000.0,
}
"""How many metres from a leaf's point a CAP point (radius 0) may lie and still be taken to lie in that leaf."""

FARTHEST = 100_000.0
RINGS = (2_000.0, 10_000.0, FARTHEST)
"""A point is sought near by before it is sought far off."""

Shares = NDArray[np.int32]
"""int32[leaves]: the targeted share of each leaf of the tree in millionths; 0 = not targeted."""


class Standing(NamedTuple):
    """Where a leaf lies. Without boundary, latitude and longitude it lies nowhere; `borrowed` = the point is an ancestor's."""

    level: RegionLevel
    lat: float | None = None
    lon: float | None = None
    boundary: BaseGeometry | None = None
    borrowed: bool = False


class Locator:
    """The leaves of a tree on the ground, in the tree's order."""

    def __init__(self, standings: Sequence[Standing]) -> None:
        self.size = len(standings)
        self.borrowed: NDArray[np.bool_] = np.array([place.borrowed for place in standings], dtype=bool)
        bounded = [number for number, place in enumerate(standings) if place.boundary is not None]
        pointed = [n for n, place in enumerate(standings) if place.boundary is None and place.lat is not None]
        self._bounded = np.array(bounded, dtype=np.int64)
        self._pointed = np.array(pointed, dtype=np.int64)
        self._shapes = np.array([standings[n].boundary for n in bounded], dtype=object)
        self._surfaces = shapely.area(self._shapes)
        self._lat = np.array([standings[n].lat for n in pointed], dtype=float)
        self._lon = np.array([standings[n].lon for n in pointed], dtype=float)
        self._reach = np.array([REACH.get(standings[n].level, FARTHEST) for n in pointed], dtype=float)
        self._points = shapely.STRtree(np.asarray(shapely.points(self._lon, self._lat)))
        self._polygons = shapely.STRtree(self._shapes)
        self._hearts = shapely.STRtree(shapely.point_on_surface(self._shapes))

    def cover(self, polygons: Iterable[Polygon], circles: Iterable[Circle]) -> Shares:
        """The share of each leaf inside the union of the shapes. Circles of radius 0 are points: see `holding`."""
        shapes = [surface(polygon) for polygon in polygons]
        rounds = list(dict.fromkeys(circle for circle in circles if circle.radius > 0))
        shares: Shares = np.zeros(self.size, dtype=np.int32)
        for shape in shapes:
            shares[self._pointed[self._points.query(shape, predicate="intersects")]] = PPM
        for circle in rounds:
            near = self._near(circle.lat, circle.lon, circle.radius)
            inside = self._metres(circle.lat, circle.lon, near) <= circle.radius + 1e-6
            shares[self._pointed[near[inside]]] = PPM
        if len(self._bounded):
            sound = [mended(shape) for shape in shapes if not tangled(shape)]
            self._cut(shares, shapely.union_all([*sound, *(ring(circle) for circle in rounds)]))
            for shape in filter(tangled, shapes):
                shares[self._bounded[self._hearts.query(shape, predicate="intersects")]] = PPM
        return shares

    def holding(self, lat: float, lon: float) -> tuple[NDArray[np.int64], float]:
        """The leaves that hold a point, and how far off their own points are (0.0 where a boundary decided).

        With boundaries: those that contain it. Otherwise the leaf whose point is nearest, if it is within `REACH` of its level;
        leaves at the very same spot come together. Nothing there = no leaves.
        """
        inside = self._polygons.query(shapely.Point(lon, lat), predicate="intersects")
        if len(inside):
            return self._bounded[inside], 0.0
        for radius in RINGS:
            near = self._near(lat, lon, radius)
            metres = self._metres(lat, lon, near)
            fitting = metres <= np.minimum(self._reach[near], radius)
            if fitting.any():
                nearest = float(metres[fitting].min())
                return self._pointed[near[fitting & (metres <= nearest + 1.0)]], nearest
        return np.empty(0, dtype=np.int64), 0.0

    def _cut(self, shares: Shares, shape: BaseGeometry) -> None:
        """Set the share of each leaf with a boundary that the shape touches."""
        touched = self._polygons.query(shape, predicate="intersects")
        if not len(touched):
            return
        inside = shapely.area(shapely.intersection(self._shapes[touched], shape))
        shares[self._bounded[touched]] = np.rint(inside / self._surfaces[touched] * PPM).astype(np.int32)

    def _near(self, lat: float, lon: float, radius: float) -> NDArray[np.int64]:
        """Points inside a box that surely holds the circle."""
        angle = radius / EARTH
        high = np.degrees(angle) * 1.0001 + 1e-9
        if abs(lat) + high >= 89.9:
            return np.arange(len(self._pointed))
        wide = np.degrees(np.arcsin(min(1.0, np.sin(angle) / np.cos(np.radians(lat))))) * 1.0001 + 1e-9
        if abs(lon) + wide >= 180:
            return np.arange(len(self._pointed))
        return self._points.query(shapely.box(lon - wide, lat - high, lon + wide, lat + high))

    def _metres(self, lat: float, lon: float, points: NDArray[np.int64]) -> NDArray[np.float64]:
        return haversine(lat, lon, self._lat[points], self._lon[points])


def haversine(lat: float, lon: float, lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres along the great circle from one point to many; all in degrees."""
    phi, phis = np.radians(lat), np.radians(lats)
    half = np.sin((phis - phi) / 2) ** 2 + np.cos(phi) * np.cos(phis) * np.sin(np.radians(lons - lon) / 2) ** 2
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))), dtype=np.float64)


def surface(polygon: Polygon) -> BaseGeometry:
    """A CAP polygon as a geometry in (longitude, latitude), as it is: whether a point lies in it is clear (even-odd) even where the
    ring crosses itself."""
    corners = np.asarray(polygon, dtype=float)[:, ::-1]
    return shapely.MultiPoint(corners) if len(corners) < 4 else shapely.Polygon(corners)


def mended(shape: BaseGeometry) -> BaseGeometry:
    """The same surface without crossings, so that boundaries can be cut by it."""
    return shape if shape.is_valid else make_valid(shape)


def tangled(shape: BaseGeometry) -> bool:
    """Does a ring of many corners cross itself? It may do so millions of times: mending it could take minutes and gigabytes, so
    leaves with a boundary are then in or out by one point of theirs."""
    return bool(shapely.get_num_coordinates(shape) > MENDABLE) and not shape.is_valid


def ring(circle: Circle) -> BaseGeometry:
    """A circle as a polygon whose corners lie at its radius, in (longitude, latitude)."""
    turn = np.linspace(0.0, 2 * np.pi, CORNERS, endpoint=False)
    phi, angle = np.radians(circle.lat), circle.radius / EARTH
    lat = np.arcsin(np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(turn))
    east = np.arctan2(np.sin(turn) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * np.sin(lat))
    return shapely.Polygon(np.column_stack([circle.lon + np.degrees(east), np.degrees(lat)]))
