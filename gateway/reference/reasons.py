"""Why a row of reference data cannot be used: stable codes with a Chinese and an English sentence.

The readers use them; docs/reference-data.md lists them.
"""

from __future__ import annotations

REASONS: dict[str, tuple[str, str]] = {
    "missing": ("此列不能为空", "this cell must not be empty"),
    "scientific": (
        "被Excel改成了科学计数法,位数已丢失:请把该列设为文本格式后重新填写",
        "Excel turned this into scientific notation and digits are lost: format the column as text and enter it again",
    ),
    "excel_error": ("Excel公式出错的单元格", "a formula that failed in Excel"),
    "control_character": ("含有控制字符", "holds control characters"),
    "not_a_code": (
        "不是区划代码(2、4、6、9、12、14或15位数字)",
        "not a division code (2, 4, 6, 9, 12, 14 or 15 digits)",
    ),
    "bad_level": ("不认识的级别", "not a level (province, city, county, town, village, group)"),
    "level_order": ("级别不低于上级区划的级别", "not below the level of its parent"),
    "twice": ("重复:文件中前面已有同一条", "stands in the file twice; the first one is above"),
    "parent_unknown": ("上级区划不存在", "no such parent"),
    "parent_circle": ("上级关系成环", "the parents go round in a circle"),
    "negative": ("不能为负数", "must not be negative"),
    "not_whole": ("不是整数", "not a whole number"),
    "not_positive": ("必须大于0", "must be more than 0"),
    "too_large": ("数字过大", "the number is too large"),
    "not_degrees": ("不是经纬度(十进制度)", "not decimal degrees"),
    "out_of_range": ("超出经纬度范围(是否把经度和纬度填反了?)", "out of range (latitude and longitude swapped?)"),
    "half_a_point": ("经度和纬度必须同时填写", "latitude and longitude must come together"),
    "not_a_goal": (
        "目标应为0-10000的基点(9200)或百分数(92%)",
        "a goal is basis points up to 10000 (9200) or percent (92%)",
    ),
    "not_a_date": ("不是日期(2026-07-01)", "not a date (2026-07-01)"),
    "dates_swapped": ("失效日期早于生效日期", "the last day lies before the first"),
    "not_a_language": ("不是语种标记(如zh-CN)", "not a language tag (such as zh-CN)"),
    "datum_unknown": ("不认识的坐标系(wgs84或gcj02)", "not a datum we know (wgs84 or gcj02)"),
    "too_many_cells": ("单元格比标题多(逗号未加引号?)", "more cells than headings (a comma without quotes?)"),
    "region_unknown": ("区划不存在", "no such region"),
    "channel_unknown": ("渠道未配置", "no such channel is configured"),
}
