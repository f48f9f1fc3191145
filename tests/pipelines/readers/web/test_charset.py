import codecs
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.web.charset import decoded

# A label as pages state it, and the codec in Python that reads what the WHATWG's standard means by it.
CHARSETS = {
    "utf-8": "utf-8",
    "UTF8": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "GB_2312-80": "gb18030",
    "gb18030": "gb18030",
    "Shift_JIS": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "EUC-JP": "euc_jp",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "EUC-KR": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "iso-8859-2": "iso8859_2",
    "iso-8859-15": "iso8859_15",
    "iso-8859-8-i": "iso8859_8",
    "macintosh": "mac_roman",
    "ibm866": "cp866",
    "utf-16": "utf-16-le",
    "utf-16be": "utf-16-be",
    "hz-gb-2312": "hz",
    "iso-2022-kr": "iso2022_kr",
}
# Of one byte a character: as above, but control characters where Python has none.
WINDOWS = {
    "windows-1250": "cp1250",
    "cp1251": "cp1251",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "ISO_8859-1:1987": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "windows-1257": "cp1257",
    "tis-620": "cp874",
    "iso-8859-11": "cp874",
}
TEXTS = {
    "utf-8": "Le vieux pont de pierre sur la rivière fut bâti au printemps 1787.",
    "gbk": "河上的老石桥是一七八七年春天由邻近山谷的石匠建造的。",
    "Shift_JIS": "川にかかる古い石橋は一七八七年の春に隣の谷の石工によって造られた。",
    "EUC-JP": "川にかかる古い石橋は一七八七年の春に隣の谷の石工によって造られた。",
    "EUC-KR": "강 위의 오래된 돌다리는 1787년 봄에 이웃 골짜기의 석공들이 지었다. 뷁",
    "big5": "河上的老石橋是一七八七年春天由鄰近山谷的石匠建造的。",
    "koi8-r": "Старый каменный мост построили весной 1787 года каменщики.",
}


# How the rows of NEC and IBM begin in EUC-JP, which Python lacks.
ROWS = bytes((0xAD, 0xF9, 0xFA, 0xFB, 0xFC))


def of(label, page):
    return page.translate(None, ROWS) if label.lower().endswith("euc-jp") else page


# Where a character begins that takes several bytes, and what it may be.
SHAPES = {
    "gb18030": rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|[\x81-\xfe][^0-9]",
    "big5hkscs": rb"[\x81-\xfe].",
    "cp949": rb"[\x81-\xfe].",
    "cp932": rb"[\x81-\x9f\xe0-\xfc].",
    "euc_jp": rb"\x8f[\xa1-\xfe].|[\x8e\x8f\xa1-\xfe].",
}
# What Python reads as something else.
EXCEPT = {name: {} for name in SHAPES} | {
    "gb18030": {b"\x80": "€"},
    "cp932": dict.fromkeys((b"\xa0", b"\xfd", b"\xfe", b"\xff"), "\ufffd"),
}


def one_by_one(page, codec):
    """The standard's decoders of several bytes a character, spelled out: what is none leaves ASCII."""
    found, shape = "", re.compile(SHAPES[codec] + b"|.", re.DOTALL)
    while page:
        piece = shape.match(page)[0]
        character = EXCEPT[codec].get(piece) or piece.decode(codec, "replace")
        page = page[len(piece) :]
        if character[0] == "\ufffd":
            character = "\ufffd"
            page = (piece[-1:] if len(piece) in (2, 3) and piece[-1] < 0x80 else b"") + page
        found += character
    return found


def expected(page, label):
    if CHARSETS.get(label) in SHAPES:
        return one_by_one(page, CHARSETS[label])
    if label not in WINDOWS:
        return page.decode(CHARSETS[label], "replace")
    characters = [bytes((byte,)).decode(WINDOWS[label], "replace") for byte in page]
    return "".join(
        chr(byte) if one == "\ufffd" and 0x80 <= byte < 0xA0 else one
        for byte, one in zip(page, characters, strict=True)
    )


def stated(label, page=b""):
    return decoded(page, f"text/html; charset={label}")


@given(st.sampled_from([*CHARSETS, *WINDOWS]), st.binary())
def test_any_bytes_are_characters_of_the_charset_that_the_server_states(label, page):
    """Law: never an error, never a guess; a byte order mark alone counts before the header."""
    page = of(label, page)
    if not page.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        assert stated(label, page) == expected(page, label)


@given(st.sampled_from([*CHARSETS, *WINDOWS]), st.binary())
def test_any_bytes_are_characters_of_the_charset_that_the_page_states(label, rest):
    page = f'<!doctype html><meta charset="{label}">'.encode() + of(label, rest)
    # What can be read as ASCII is not UTF-16.
    read_as = "utf-8" if label.startswith("utf-16") else label
    assert decoded(page) == expected(page, read_as)


PAIRED = ["gbk", "gb18030", "big5", "Shift_JIS", "EUC-KR", "EUC-JP"]
BYTES = st.integers(0x80, 0xFF) | st.sampled_from(b"<p0A~\x40\x7f\n")


@settings(max_examples=500)
@given(st.sampled_from(PAIRED), st.lists(BYTES, max_size=12).map(bytes))
def test_bytes_in_pairs_are_read_as_the_standard_says(label, page):
    page = of(label, page)
    if not page.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
        assert stated(label, page) == expected(page, label)


@pytest.mark.parametrize("label", PAIRED)
def test_a_lead_byte_takes_no_ascii_along(label):
    for lead in range(0x80, 0x100):
        for trail in range(0x80):
            pair = bytes((lead, trail))
            read = stated(label, pair + b"<p>")
            assert read.endswith("<p>")
            if "\ufffd" in read:
                assert read == "\ufffd" + chr(trail) + "<p>"


@pytest.mark.parametrize(
    ("label", "pair"), [("EUC-KR", b"\xc9\xa1"), ("big5", b"\xa3\xfe"), ("gbk", b"\xfd\xff")]
)
def test_a_pair_that_is_no_character_shifts_none_behind_it(label, pair):
    text = TEXTS[label]
    coded = text.encode({"gbk": "gb18030", "EUC-KR": "cp949"}.get(label, label))
    assert stated(label, coded + pair + coded) == f"{text}\ufffd{text}"


def test_the_euro_of_gbk_is_one_byte():
    assert stated("gbk", b"5 \x80<p>") == stated("gb2312", b"5 \x80<p>") == "5 €<p>"


@pytest.mark.parametrize("label", TEXTS)
@pytest.mark.parametrize("bad", [b"\xc3 ", b"\xff ", b"\x80 ", b"\xfe\xff "])
def test_a_bad_byte_costs_itself_alone(label, bad):
    text = TEXTS[label]
    coded = text.encode({"gbk": "gb18030", "EUC-KR": "cp949"}.get(label, label))
    for page in (
        stated(label, coded + bad + coded),
        decoded(f"<meta charset={label}>".encode() + coded + bad),
    ):
        assert text in page
    assert stated(label, coded + bad + coded).endswith(text)


def test_latin_1_is_windows_1252():
    assert stated("ISO-8859-1", b"\x93masons\x94, don\x92t pay 5 \x80") == "“masons”, don’t pay 5 €"
    assert stated("ISO-8859-1", b"\x81\x8d\x8f\x90\x9d") == "\x81\x8d\x8f\x90\x9d"


def test_the_characters_of_nec_and_ibm_are_read_in_every_japanese_charset():
    text = "①第一章 ㈱石橋 ㎡ 髙 﨑"
    rows = {
        "①": b"\xad\xa1",
        "㈱": b"\xad\xea",
        "㎡": b"\xad\xd6",
        "髙": b"\xfc\xe2",
        "﨑": b"\xf9\xf5",
    }
    assert stated("shift_jis", text.encode("cp932")) == text
    assert stated("euc-jp", b"".join(rows.get(one) or one.encode("euc_jp") for one in text)) == text


@pytest.mark.parametrize(
    "head",
    [
        "<meta charset=koi8-r>",
        "<META CharSet='KOI8-R' />",
        '<meta charset = "koi8-r">',
        '<meta/charset="koi8-r"/>',
        '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">',
        "<meta content='text/html;charset = \"koi8-r\"' http-equiv=content-type>",
        '<!-- <meta charset="utf-8"> --><meta charset="koi8-r">',
        '<a title="<meta charset=utf-8>"><meta charset="koi8-r">',
        '<meta name="x" content="text/html; charset=utf-8"><meta charset="koi8-r">',
        '<meta charset="none-such"><meta charset="koi8-r">',
        '<!-->< meta charset="utf-8"><?php <meta charset=utf-8?><meta charset="koi8-r">',
        '<?xml version="1.0" encoding="koi8-r"?><html>',
        '<?xml version="1.0" encoding="utf-8"?><meta charset="koi8-r">',
        "<script>" + "x" * 3000 + '</script><meta charset="koi8-r">',
        "<p title=it's><meta charset=koi8-r>",
    ],
)
def test_a_page_states_its_charset_as_browsers_find_it(head):
    text = TEXTS["koi8-r"]
    assert decoded(head.encode() + text.encode("koi8-r")).endswith(text)


@pytest.mark.parametrize(
    "head",
    [
        "<!-- <meta charset=koi8-r>",
        "<metas charset=koi8-r>",
        "<meta content='charset=koi8-r'>",
        "<meta charset>",
        "<",
    ],
)
def test_what_is_no_statement_is_none(head):
    assert decoded(f"{head}é".encode()).endswith("é")


def test_the_header_counts_before_the_page_and_a_byte_order_mark_before_both():
    page = '<meta charset="koi8-r">é'
    assert stated("utf-8", page.encode()) == page
    assert decoded(codecs.BOM_UTF8 + page.encode(), "text/html; charset=koi8-r") == page
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        assert decoded(mark + page.encode(codec), "text/html; charset=koi8-r") == page


@pytest.mark.parametrize(
    "label", ["none-such", "", "undefined", "punycode", "base64", "utf-8\0", "iso-2022-cn", "é"]
)
def test_an_unknown_charset_is_as_none(label):
    assert stated(label, TEXTS["utf-8"].encode()) == TEXTS["utf-8"]


@pytest.mark.parametrize("label", TEXTS)
def test_without_a_charset_a_page_is_utf_8_all_but_a_bad_byte(label):
    text = TEXTS[label].encode()
    assert decoded(text) == TEXTS[label]
    assert decoded(text + b"\xc3 ") == TEXTS[label] + "\ufffd "
    # In any other charset it is not taken for UTF-8 with bad bytes.
    if label != "utf-8":
        assert decoded(TEXTS[label].encode(CHARSETS[label])).count("\ufffd") == 0


def test_a_page_of_tags_without_end_takes_no_time():
    for page in (b"<a'" * 30_000, b"<meta " * 20_000, b"<!--" * 20_000, b'<a b="' * 20_000, b"<a  " * 30_000):
        assert decoded(page + b"\xff")
