"""From GCJ-02, the datum that Chinese map services shift their coordinates to, back to WGS 84. Called by the readers.

The formulas are those in general use; their error is about a metre, the shift itself 300 to 600 metres.
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt

_AXIS, _FLATNESS = 6_378_245.0, 0.00669342162296594323


def wgs84(lat: float, lon: float) -> tuple[float, float]:
    """The WGS 84 point that GCJ-02 shows as (lat, lon). Outside China the two are the same."""
    if not (0.8293 <= lat <= 55.8271 and 72.004 <= lon <= 137.8347):
        return lat, lon
    true_lat, true_lon = lat, lon
    for _ in range(3):
        shift_lat, shift_lon = _shift(true_lat, true_lon)
        true_lat, true_lon = lat - shift_lat, lon - shift_lon
    return round(true_lat, 7), round(true_lon, 7)


def _shift(lat: float, lon: float) -> tuple[float, float]:
    """How far GCJ-02 moves a WGS 84 point, in degrees."""
    x, y = lon - 105.0, lat - 35.0
    wave = 20.0 * (sin(6.0 * x * pi) + sin(2.0 * x * pi))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x))
    north += (wave + 20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x))
    east += (wave + 20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    radians = lat / 180.0 * pi
    magic = 1.0 - _FLATNESS * sin(radians) ** 2
    per_lat = _AXIS * (1.0 - _FLATNESS) / (magic * sqrt(magic)) * pi / 180.0
    return north / per_lat, east / (_AXIS / sqrt(magic) * cos(radians) * pi / 180.0)
