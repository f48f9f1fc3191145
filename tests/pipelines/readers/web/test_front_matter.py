import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.web.front_matter import split

YAML = """---
title: "1984"
author: George Orwell
year: 1949
price: 1.50
code: 007
lang: no
read: 1:30
date: 2019-06-01
draft: true
tags: [dystopia, novel, 3]
list:
  - a
  - b
nested: {a: 1}
empty:
none: ~
---

# Part one

It was a bright cold day.
"""


def test_yaml_in_front_of_markdown_is_metadata_as_it_is_written():
    metadata, text = split(YAML)
    assert text == "# Part one\n\nIt was a bright cold day.\n"
    assert metadata == {
        "title": "1984",
        "author": "George Orwell",
        "year": 1949,
        "price": 1.5,
        "code": "007",
        "lang": "no",
        "read": "1:30",
        "date": "2019-06-01",
        "draft": True,
        "tags": "dystopia, novel, 3",
        "list": "a, b",
    }


def test_toml_is_read_between_plus_signs():
    text = (
        '+++\ntitle = "A"\ndate = 2019-06-01\ndraft = false\nn = 3.50\ntags = ["a", "b"]\n[x]\ny = 1\n+++\nB'
    )
    assert split(text) == (
        {"title": "A", "date": "2019-06-01", "draft": False, "n": 3.5, "tags": "a, b"},
        "B",
    )


@pytest.mark.parametrize(
    "text", ["---\ntitle: A\n...\nB", "---\r\ntitle: A\r\n---\r\n\r\nB", "--- \ntitle: A\n--- \nB"]
)
def test_blocks_end_in_several_ways(text):
    assert split(text) == ({"title": "A"}, "B")


def test_an_empty_block_is_no_text():
    assert split("---\n---\nB") == ({}, "B")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A heading\n",
        "---\n",
        "---\ntitle: A\n",
        "----\ntitle: A\n----\nB",
        " ---\ntitle: A\n---\nB",
        "---\nA paragraph between two lines.\n---\nB",
        "---\n# A heading\n---\nB",
        "---\n- a\n- list\n---\nB",
        "---\ntitle: [broken\n---\nB",
        "---\ntitle: a: b\n---\nB",
        "---\ntitle: \x07\n---\nB",
        "---\n" + "[" * 3000 + "\n---\nB",
        "---\ntitle: A\n" + "# long\n" * 20_000 + "---\nB",
        "+++\ntitle = broken\n+++\nB",
        "+++\n# nothing\n+++\nB",
        "+++\na = " + "[" * 3000 + "\n+++\nB",
        "+++\ntitle = 'A'\n---\nB",
    ],
)
def test_what_is_no_such_block_stays_text(text):
    assert split(text) == ({}, text)


@given(st.text(max_size=60), st.sampled_from(["---", "+++"]), st.text(max_size=60))
def test_whatever_stands_in_a_block_nothing_is_raised(block, fence, rest):
    text = f"{fence}\n{block}\n{fence}\n{rest}"
    metadata, kept = split(text)
    assert text.endswith(kept)
    assert not metadata or kept != text


keys = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


@given(st.dictionaries(keys, printable | st.integers(-(10**9), 10**9), min_size=1))
def test_what_a_library_writes_comes_back(values):
    text = f"---\n{yaml.safe_dump(values, allow_unicode=True)}---\nB"
    assert split(text) == (values, "B")


@given(st.text(max_size=200).filter(lambda text: not text.startswith(("---", "+++"))))
def test_markdown_without_it_is_the_same(text):
    assert split(text) == ({}, text)
