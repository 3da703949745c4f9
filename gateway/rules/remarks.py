"""What targeting and enrolling may remark about an alert: stable codes, their weight, and a sentence in Chinese and English.

Called by those two rooms; docs/reference-data.md lists the codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.model.alert import Finding, Weight

_SHOWN = 5
_W, _I = Weight.WARNING, Weight.INFO

SENTENCES: dict[str, tuple[Weight, str, str]] = {
    "region_prefix_used": (
        _W,
        "我方区划没有这些代码,已按所属上级区域发布",
        "codes we do not know were widened to the region that holds them",
    ),
    "region_unknown": (_W, "没有这些区划代码,未作为目标", "no region of ours has these codes; they target nothing"),
    "region_expired": (_W, "区划已停用,未作为目标", "regions out of force; they target nothing"),
    "geocode_malformed": (
        _W,
        "不是区划代码(应为2、4、6、9、12、14或15位数字)",
        "not division codes (2, 4, 6, 9, 12, 14 or 15 digits)",
    ),
    "geocode_scheme_unknown": (_I, "不认识的地理编码体系,未使用", "geocodes of schemes we do not read were left out"),
    "named_area_unknown": (
        _W,
        "没有这个专用区域(或已停用),未作为目标",
        "no such named area, or out of force; it targets nothing",
    ),
    "named_area_used": (_I, "按发布单位自有清单中的名称确定区域", "targeted by a name on the source's own list"),
    "region_located_by_ancestor": (
        _I,
        "这些区域没有坐标,按上级区域的坐标判断",
        "leaves without a point were placed at the nearest region upward that has one",
    ),
    "point_matched_nearest": (
        _I,
        "半径为0的点,取最近的区域",
        "a point (radius 0) was taken to lie in the nearest leaf",
    ),
    "shape_outside_regions": (
        _W,
        "图形范围内没有我方区域",
        "the polygons and circles hold none of our regions",
    ),
    "area_target_lost": (_W, "区域中有无法读取的目标", "the area held a target that could not be read"),
    "area_unresolved": (
        _W,
        "区域无法对应到行政区划,须由人确认(绝不按名称猜测)",
        "the area matches no region of ours; a person has to decide, names are never guessed",
    ),
    "language_missing": (
        _W,
        "缺少这些语种的文本,已改用其他语种发送",
        "no text in these languages; those recipients get another language, never silence",
    ),
    "recipients_unplaced": (
        _W,
        "只登记到上级区域的受众无法判断是否在目标内,未发送",
        "recipients registered above the villages, in regions only partly targeted, were left out",
    ),
    "directory_region_unknown": (
        _W,
        "终端登记的区划不存在,未发送",
        "endpoints registered in regions we do not have were left out",
    ),
    "channel_unknown": (_I, "终端的渠道未配置,未发送", "endpoints of channels that are not configured were left out"),
}
"""Every finding of targeting and enrolling."""


@dataclass(slots=True)
class Remarks:
    """The values that gave rise to each finding of one area: ten thousand unknown codes are one finding."""

    by_code: dict[str, list[str]] = field(default_factory=dict)

    def add(self, code: str, value: str) -> None:
        """Note one value under a code of `SENTENCES`."""
        self.by_code.setdefault(code, []).append(value)

    def findings(self, xpath: str) -> tuple[Finding, ...]:
        """One finding for each code."""
        return tuple(remark(code, xpath, values) for code, values in self.by_code.items())


def remark(code: str, xpath: str, values: Sequence[str] = ()) -> Finding:
    """One finding for all values: the first few, and how many there are."""
    weight, zh, en = SENTENCES[code]
    shown = [value for value in values[:_SHOWN] if value]
    more = f" …({len(values)})" if len(values) > _SHOWN else ""
    said = f": {', '.join(shown)}{more}" if shown else ""
    return Finding(code, weight, xpath, None, f"{zh}{said} / {en}")
