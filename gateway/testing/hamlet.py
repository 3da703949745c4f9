"""A hamlet of four villages for end-to-end tests: regions, a named area and a directory small enough to reckon by hand.

`gateway.testing.town` writes these files into a test's folder. Phone numbers begin with 100: no such number exists.
"""

from __future__ import annotations

from pathlib import Path

QINGYUAN, TIEXI_SHENYANG, TIEXI_ANSHAN = "210423", "210106", "210303"
NANSHAN, BEIHE, CANGSHI = "210423100201", "210423100202", "210423101201"
JIANNONG, YONGLE = "210106001017", "210303001001"

REGIONS = f"""\
code,name,level,parent,population,lat,lon
210000,辽宁省,province,,,41.3,122.6
210100,沈阳市,city,210000,,,
210106,铁西区,county,210100,,41.80,123.35
210106001,昆明湖街道,town,210106,,,
{JIANNONG},建农社区,village,210106001,8,41.80,123.35
210300,鞍山市,city,210000,,,
210303,铁西区,county,210300,,41.12,122.97
210303001,永乐街道,town,210303,,,
{YONGLE},永乐社区,village,210303001,6,41.12,122.97
210400,抚顺市,city,210000,,,
210423,清原满族自治县,county,210400,,42.10,124.90
210423100,清原镇,town,210423,,,
{NANSHAN},南山村,village,210423100,10,42.10,124.90
{BEIHE},北河村,village,210423100,20,42.14,124.98
210423101,红透山镇,town,210423,,,
{CANGSHI},苍石村,village,210423101,5,41.90,124.60
"""

AREAS = f"""\
id,name,kind,members,owner,valid_to
HUNHE,浑河上游,流域,{BEIHE};{CANGSHI},,
OWN,水库下游,危险区,{NANSHAN},water,
"""

HEADING = "endpoint,channel,address,region,recipient,covers,audiences,language\n"


def phone(number: int) -> str:
    """The phone number of resident `number`."""
    return f"1000000{number:04}"


def directory(platform: str) -> str:
    """Who lives there. Residents 1-6 in Nanshan (6 is on the drill list), 7-10 in Beihe, 21-23 in Shenyang's Tiexi (22 reads
    English), 31 in Anshan's; a loudspeaker each in Nanshan and Beihe (this one on the drill list); WeChat of 7 and 8; a pager of
    resident 1; the county's broadcasting platform at the URL `platform`. Cangshi has nobody and nothing but the broadcast."""
    homes = {**dict.fromkeys(range(1, 7), NANSHAN), **dict.fromkeys(range(7, 11), BEIHE)}
    homes |= {**dict.fromkeys(range(21, 24), JIANNONG), 31: YONGLE}
    rows = [
        f"sms-{number},sms,{phone(number)},{home},r-{number},1,{'drill' if number == 6 else ''},{'en' if number == 22 else ''}"
        for number, home in homes.items()
    ]
    rows += [
        f"spk-1,speakers,spk-1,{NANSHAN},,8,,",
        f"spk-2,speakers,spk-2,{BEIHE},,12,drill,",
        f"wx-7,wechat,o-7,{BEIHE},r-7,1,,",
        f"wx-8,wechat,o-8,{BEIHE},r-8,1,,",
        f"pgr-1,pager,pager-1,{NANSHAN},r-1,1,,",
        f"brd-1,broadcast,{platform},{QINGYUAN},,35,,",
    ]
    return HEADING + "\n".join(rows) + "\n"


def settle(folder: Path, platform: str) -> dict[str, object]:
    """Write the files into `folder`; returns the settings that name them."""
    texts = {"regions": REGIONS, "areas": AREAS, "directory": directory(platform)}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return {name: {"files": [str(folder / f"{name}.csv")]} for name in texts}
