import unicodedata

import pytest

from pipelines.readers.records import Skipped
from pipelines.readers.wiki.redirects import is_redirect
from tests.pipelines.readers.reading import END, HEAD, page, read


@pytest.mark.parametrize(
    "wikitext",
    [
        "#REDIRECT [[Bridge]]",
        "#redirect[[Bridge]]",
        "#Redirect: [[Bridge#Arches|arches]]\n[[Category:Towns]]",
        "\n  #REDIRECT :[[Bridge]]",
        ":#REDIRECT [[Bridge]]",
        "# REDIRECT [[Bridge]]",
        "<!-- moved -->\n<!---->#REDIRECT [[Bridge]]",
        "\u200e\ufeff#REDIRECT [[Bridge]]",
        "#WEITERLEITUNG [[Brücke]]",
        "#REDIRECTION [[Pont]]",
        "#REDIRECCIÓN [[Puente]]",
        unicodedata.normalize("NFD", "#redirección [[Puente]]"),
        "#перенаправление [[Мост]]",
        "#ПЕРЕНАПРАВЛЕННЯ [[Міст]]",
        "#RINVIA [[Ponte]]",
        "#PATRZ [[Most]]",
        "#OMDIRIGERING [[Bro]]",
        "#DOORVERWIJZING [[Brug]]",
        "#転送 [[橋]]",
        "＃リダイレクト [[橋]]",
        "#重定向 [[桥]]",
        "#넘겨주기 [[다리]]",
        "#تحويل [[جسر]]",
        "#تغییر مسیر [[پل]]",
        "#הפניה [[גשר]]",
    ],
)
def test_a_page_that_names_another_is_a_redirect(wikitext):
    assert is_redirect(wikitext)


@pytest.mark.parametrize(
    "wikitext",
    ["", "Bridge", "#REDIRECT", "#REDIRECT to the [[Bridge]]", "# [[One]]\n# [[Two]]", "#First [[one]]",
     "The word #REDIRECT [[X]] is wikitext.", "#redirects [[X]]",
     "<!-- #REDIRECT [[X]] -->", "<!-- #REDIRECT [[X]]", "<!-- --> Text --> #REDIRECT [[X]]"],
)  # fmt: skip
def test_any_other_page_is_none(wikitext):
    assert not is_redirect(wikitext)


def test_a_redirect_without_a_tag_is_counted(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(HEAD + page(1, "#REDIRECT [[Two]]") + page(2, "Some text.") + END)
    redirect, article = read(path, kind="mediawiki")
    assert redirect == Skipped("redirect")
    assert article.text == "Some text."
