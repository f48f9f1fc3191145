import pytest

from pipelines.readers.wiki.wikitext import plain_text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Bold''' and ''italic'' and '''''both'''''.", "Bold and italic and both."),
        ("A [[river]], a [[bank (geography)|bank]] and [[bridge]]s.", "A river, a bank and bridges."),
        ("[http://example.org A site], [http://example.org] and https://example.org.", "A site, and ."),
        ("Text{{cite web|url=x}}<ref>A [[note]].</ref><ref name=a /> on.", "Text on."),
        ("Seen<!-- not seen --> here.", "Seen here."),
        ("[[File:A.jpg|thumb|A [[caption]].]]Text.", "Text."),
        ("[[Datei:A.jpg|mini|Eine [[Stadt]].]]Text.\n[[Kategorie:Stadt]]", "Text."),
        ("[[Category:Towns]]\n[[de:Stadt]]\n[[zh-yue:城]]\nText.", "Text."),
        (
            "See [[:Category:Towns]] and [[Star Trek: First Contact]].",
            "See Category:Towns and Star Trek: First Contact.",
        ),
        ("{| class=x\n|-\n| cell\n|}\nText.", "Text."),
        ("== History ==\nLong ago.\n\n\n\n=== Later ===\nNow.", "History\n\nLong ago.\n\nLater\n\nNow."),
        ("* one\n* two\n# three", "one\ntwo\nthree"),
        ("x<sup>2</sup> <math>\\frac a b</math>and one<br>two", "x2 and one\ntwo"),
        ("Caf&eacute; &amp; bar&nbsp;1 &#8212; &#1114112; &#xD800;", "Café & bar 1 — &#1114112; &#xD800;"),
        ("Rome ({{lang|it|Roma}}; {{IPA|x}}) is a city.", "Rome is a city."),
        ("__NOTOC__\n{{Infobox\n| a = b\n}}\n\nText.", "Text."),
        ("", ""),
        ("[[broken {{text <ref>", "[[broken {{text <ref>"),
    ],
)
def test_what_is_seen_on_the_page_is_kept(wikitext, text):
    assert plain_text(wikitext, ("datei", "kategorie")) == text
