import json
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.reference.geojson import read_boundaries

SQUARE = {"type": "Polygon", "coordinates": [[[123, 41], [124, 41], [124, 42], [123, 42], [123, 41]]]}


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "b.geojson"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_features_name_their_region_in_several_ways(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "properties": {"code": "210106"}, "geometry": SQUARE},
        {"type": "Feature", "properties": {"adcode": 210423}, "geometry": SQUARE},
        {"type": "Feature", "id": "210323", "properties": None, "geometry": SQUARE},
    ]
    boundaries = read_boundaries(written(tmp_path, {"type": "FeatureCollection", "features": features}))
    assert sorted(boundaries) == ["210106", "210323", "210423"]
    assert boundaries["210106"].bounds == (123.0, 41.0, 124.0, 42.0)


def test_geometries_may_stand_by_code_and_are_shifted_from_gcj02(tmp_path: Path) -> None:
    path = written(tmp_path, {"210106": SQUARE})
    assert read_boundaries(path)["210106"].area == 1.0
    west = read_boundaries(path, datum="gcj02")["210106"].bounds[0]
    assert 0.002 < 123 - west < 0.01


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "not GeoJSON"),
        ({"x": SQUARE}, "no division code"),
        ({"210106": {"type": "Point", "coordinates": [1, 2]}}, "no Polygon"),
        ({"210106": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}}, "not a geometry"),
        ({"210106": {"type": "Polygon", "coordinates": []}}, "empty"),
        (
            {"210106": {"type": "Polygon", "coordinates": [[[41, 123], [42, 123], [42, 124], [41, 123]]]}},
            "beyond the globe",
        ),
    ],
)
def test_what_is_no_boundary_is_refused(tmp_path: Path, document: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_boundaries(written(tmp_path, document))


def test_what_is_no_file_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_boundaries(tmp_path / "none")
    (tmp_path / "x").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="not JSON"):
        read_boundaries(tmp_path / "x")
