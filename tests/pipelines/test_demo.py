from dataclasses import replace
from functools import partial

import pytest

from lm.backends.reader_choice import ReaderChoice
from pipelines import demo
from pipelines.demo import distributions, standard_library
from serve.answering.inquiry import ONE_PARAGRAPH, Inquiry


@pytest.fixture(scope="module")
def sources():
    """All documents of the standard library, and of what is installed."""
    return list(standard_library()), list(distributions())


def test_the_standard_library_is_documents_of_some_length(sources):
    found = {d.id: d for d in sources[0]}
    assert len(found) > 2000
    assert found["textwrap.dedent"].text.startswith("textwrap.dedent(text)\n\nRemove any common leading")
    assert all(len(d.text) >= 80 for d in found.values())
    assert not any(name.startswith(("test.", "idlelib", "unittest.test")) for name in found)


def test_installed_distributions_are_documents_once_each(sources):
    found = [d.id for d in sources[1]]
    assert "ray" in found
    assert len(found) == len(set(found))


def test_the_demo_builds_asks_and_says_how_to_go_on(tmp_path, monkeypatch, capsys, reader, sources):
    """The whole demo over the first documents of each source, its answers cut short."""
    few = {"textwrap.dedent", "bisect.insort_right", "glob.iglob"}
    documents = [d for d in sources[0] if d.id in few]
    packages = [d for d in sources[1] if d.id == "xxhash"]
    monkeypatch.setattr(demo, "standard_library", lambda: iter(documents))
    monkeypatch.setattr(demo, "distributions", lambda: iter(packages))
    monkeypatch.setattr(demo.console, "width", 160)
    short = partial(Inquiry, sampling=replace(ONE_PARAGRAPH, max_tokens=8))
    monkeypatch.setattr(demo, "Inquiry", short)
    monkeypatch.setattr(demo, "open_reader", {ReaderChoice(): reader}.__getitem__)
    demo.run(tmp_path / "store", "local")
    out = capsys.readouterr().out
    assert out.count("Without the datastore:") == 3
    assert "ralm search" in out
    assert "ralm serve" in out
