"""The bytes of an HTML page as characters, as browsers read them.

The charset is that of a byte order mark, else of the HTTP header, of a <meta>, of an XML declaration. Labels
mean what the WHATWG's Encoding Standard says: `iso-8859-1` is windows-1252, `gbk` gb18030. What is no
character there becomes U+FFFD, so that one bad byte costs one character; of a pair of bytes that is none, a
second one of ASCII stays. Where no charset is stated, or none
that is known, it is guessed.

Decisions: docs/decisions/readers-and-damage.md.
"""

import codecs
import re
from functools import cache

import webencodings

from base.foreign import Refused, ask

# Browsers look at the first 1,024 bytes, and read the page anew when a <meta> comes later.
_SEARCHED = 1 << 16
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16le", codecs.BOM_UTF16_BE: "utf-16be"}
# Charsets of two bytes a character, and the codecs that know most of what the standard has there.
_PAIRS = {
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
}
# No browser decodes these any more, which is about scripts.
_OTHERS = {
    "hz-gb-2312": "hz",
    "iso-2022-kr": "iso2022_kr",
    "csiso2022kr": "iso2022_kr",
}
# What a <meta> can only mean, since it could be read.
_IN_META = {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}
_CHARSET = re.compile(
    rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*"
    rb"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\t\n\f\r ;\"'][^\t\n\f\r ;]*))",
    re.IGNORECASE,
)
_XML = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"'](?P<bare>[^\"'>]+)[\"']")
_META = re.compile(rb"<meta(?=[\t\n\f\r /])", re.IGNORECASE)
_TAG = re.compile(rb"</?[a-zA-Z][^\t\n\f\r >]*")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*"
    rb"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\t\n\f\r >\"'][^\t\n\f\r >]*))?)?"
)
_RESUMED = "ralm.resumed"
_FOUR = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]")
# What cp932 makes of bytes that are nothing in Shift_JIS: A0, FD, FE, FF.
_NOT_SHIFT_JIS = re.compile("[\uf8f0-\uf8f3]")
# A page is UTF-8 with a few bad bytes if so many characters of several bytes are good for each bad one: in
# other charsets a byte begins such a character by chance.
_GOOD_FOR_BAD = 2


def decoded(page: bytes, stated: str = "") -> str:
    """The characters of a page; `stated` is the Content-Type of its HTTP header, if it has any.

    Raises Refused if a guess is needed and fails.
    """
    for mark, charset in _MARKS.items():
        if page.startswith(mark):
            return _decode(page[len(mark) :], charset)
    header = _CHARSET.search(stated.encode(errors="replace"))
    beginning = page[:_SEARCHED]
    found = _known(header) or _of_meta(beginning) or _of_xml(beginning)
    return _decode(page, found) if found else _guessed(page)


def _decode(page: bytes, charset: str) -> str:
    if charset in _OTHERS:
        return page.decode(_OTHERS[charset], "replace")
    if charset.startswith("windows-"):
        return codecs.charmap_decode(page, "strict", _table(charset))[0]
    if charset in _PAIRS:
        found = page.decode(_PAIRS[charset], _RESUMED)
        return _NOT_SHIFT_JIS.sub("\ufffd", found) if charset == "shift_jis" else found
    characters: str = webencodings.lookup(charset).codec_info.decode(page, "replace")[0]
    return characters


def _resumed(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that are no character to Python's codec, and where reading goes on."""
    assert isinstance(error, UnicodeDecodeError)
    page, at = error.object, error.start
    if error.encoding == "gb18030" and page[at] == 0x80:
        return "€", at + 1
    if error.encoding == "euc_jp" and (found := _of_nec(page[at : at + 2])):
        return found, at + 2
    return "\ufffd", at + _passed(error.encoding, page[at : at + 4])


def _passed(codec: str, bad: bytes) -> int:
    """How many bytes one U+FFFD stands for: a lead byte takes what follows along, unless that is ASCII.

    So a lost byte shifts no pair behind the next one, and a bad one takes no `<` with it.
    """
    lead = bad[0]
    if codec == "gb18030" and _FOUR.match(bad):
        return 4
    if codec == "euc_jp" and lead not in (0x8E, 0x8F) and lead <= 0xA0:
        return 1
    if not 0x81 <= lead <= 0xFE or bad[1:2] < b"\x80":
        return 1
    # The standard reads three bytes here.
    third = codec == "euc_jp" and lead == 0x8F and 0xA1 <= bad[1] <= 0xFE and bad[2:3] >= b"\x80"
    return 3 if third else 2


def _of_nec(pair: bytes) -> str:
    """What Python's EUC-JP lacks and pages are full of: the rows of NEC and IBM, as ①. Its cp932 has them."""
    row, cell = (byte - 0xA0 for byte in pair.ljust(2, b"\0"))
    if not (0 < row <= 94 and 0 < cell <= 94):
        return ""
    lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell >= 64)
    found = bytes((lead, trail)).decode("cp932", "replace")
    return "" if "\ufffd" in found else found


codecs.register_error(_RESUMED, _resumed)


@cache
def _table(charset: str) -> str:
    """The characters of the 256 bytes: control characters where Python has none, as the standard says."""
    codec = webencodings.lookup(charset).codec_info
    found = [codec.decode(bytes((byte,)), "replace")[0] for byte in range(256)]
    return "".join(
        chr(byte) if character == "\ufffd" and 0x80 <= byte < 0xA0 else character
        for byte, character in enumerate(found)
    )


def _known(found: re.Match[bytes] | None) -> str | None:
    """The name in the standard of the charset whose label was found; None if it cannot be decoded."""
    if found is None:
        return None
    label = _value(found).decode("latin-1").strip("\t\n\f\r ").lower()
    if label in _OTHERS:
        return label
    encoding = webencodings.lookup(label)
    if encoding is None:
        encoding = webencodings.lookup(_canonical(label))
    return None if encoding is None or encoding.name == "replacement" else encoding.name


def _canonical(label: str) -> str:
    """How Python calls a charset that the standard does not know by this name, as `latin-1`; else ""."""
    try:
        return ask(codecs.lookup, label).name
    except Refused:
        return ""


def _value(found: re.Match[bytes]) -> bytes:
    return next((value for name, value in found.groupdict().items() if name != "name" and value), b"")


def _of_xml(page: bytes) -> str | None:
    label = _known(_XML.match(page))
    return _IN_META.get(label, label) if label else None


def _of_meta(page: bytes) -> str | None:
    """The charset of the first <meta> that states a known one, found as the HTML standard's prescan does."""
    at = 0
    while (at := page.find(b"<", at)) >= 0:
        if page.startswith(b"<!--", at):
            at = _behind(page, b"-->", at + 2)
        elif meta := _META.match(page, at):
            attributes, at = _attributes(page, meta.end())
            if label := _of_attributes(attributes):
                return _IN_META.get(label, label)
        elif tag := _TAG.match(page, at):
            _, at = _attributes(page, tag.end())
        elif page[at + 1 : at + 2] in (b"!", b"/", b"?"):
            at = _behind(page, b">", at)
        else:
            at += 1
    return None


def _behind(page: bytes, mark: bytes, at: int) -> int:
    found = page.find(mark, at)
    return len(page) if found < 0 else found + len(mark)


def _attributes(page: bytes, at: int) -> tuple[dict[bytes, re.Match[bytes]], int]:
    """The attributes of a tag by their names in small letters, and where they end."""
    found: dict[bytes, re.Match[bytes]] = {}
    while one := _ATTRIBUTE.match(page, at):
        found.setdefault(one["name"].lower(), one)
        at = one.end()
    return found, at


def _of_attributes(found: dict[bytes, re.Match[bytes]]) -> str | None:
    """The charset that a <meta> states, by an attribute of this name or in the place of an HTTP header."""
    if b"charset" in found:
        return _known(found[b"charset"])
    pragma, content = found.get(b"http-equiv"), found.get(b"content")
    if pragma is None or content is None or _value(pragma).lower() != b"content-type":
        return None
    return _known(_CHARSET.search(_value(content)))


def _guessed(page: bytes) -> str:
    """A page that states no charset: UTF-8, with some bad bytes, too, or what is most likely."""
    from trafilatura.utils import detect_encoding

    found = page.decode(errors="replace")
    bad = found.count("\ufffd")
    if not bad or len(found) - len(found.encode("ascii", "ignore")) - bad >= _GOOD_FOR_BAD * bad:
        return found
    for guess in ask(detect_encoding, page):
        try:
            return page.decode(guess)
        except (LookupError, UnicodeDecodeError):
            continue
    return found
