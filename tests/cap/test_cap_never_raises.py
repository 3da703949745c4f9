"""Whatever bytes come, `parse` answers with findings; what it accepts after damage is still whole."""

from cap_messages import cap, national
from hypothesis import given
from hypothesis import strategies as st

from gateway.cap import as_cap, as_json, http_status, parse, verdict

GOOD = [cap().encode(), national().encode(), cap().encode("utf-16"), cap().replace("UTF-8", "GBK").encode("gbk")]
MARKUP = [
    b"<",
    b">",
    b"</",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"&",
    b"&#",
    b"<!DOCTYPE a[",
    b"<?",
    b"\x00",
    b"\xff",
    b'"',
]
TOKENS = st.one_of(
    st.sampled_from(MARKUP), st.binary(max_size=6), st.sampled_from(["，".encode(), b"1e999", b"nan", b"\xed\xa0\x80"])
)


def check(raw: bytes) -> None:
    parsed = parse(raw)
    assert (parsed.alert is None) == bool(parsed.errors)
    assert (http_status(parsed.findings) is None) == (parsed.alert is not None)
    verdict("f", parsed, strict=True)
    if parsed.alert:
        as_json(parsed.alert)
        assert parse(as_cap(parsed.alert)).alert is not None


@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 8), TOKENS), max_size=4))
def test_random_damage(raw: bytes, damages: list[tuple[int, int, bytes]]) -> None:
    for at, length, token in damages:
        raw = raw[:at] + token + raw[at + length :]
    check(raw)


@given(st.binary(max_size=300))
def test_random_bytes(raw: bytes) -> None:
    check(raw)


@given(
    st.text(max_size=40),
    st.sampled_from(["sent", "references", "polygon", "circle", "expires", "value", "description"]),
)
def test_random_texts_in_any_element(text: str, name: str) -> None:
    clean = "".join(sign for sign in text if sign.isprintable()).replace("&", "&amp;").replace("<", "&lt;")
    good = cap(extra="<references>a,b,2026-07-22T14:30:00+08:00</references>", msgType="Update")
    good = good.replace("</areaDesc>", "</areaDesc><circle>1,2 3</circle>")
    start, _, rest = good.partition(f"<{name}>")
    _, end, after = rest.partition(f"</{name}>")
    check(f"{start}<{name}>{clean}{end}{after}".encode())
