import re

import pytest
import yaml

from base.errors import RalmError
from pipelines.evaluate.mixtures.tables import COMPARED, MIXTURES, Compared, Mixture, write
from pipelines.evaluate.report import write_report
from pipelines.evaluate.tables import Tables
from tests.pipelines.evaluate.simulated import Simulated

STUDY = Simulated(fractions=(0.001, 0.01, 0.1, 1.0), seeds=2, questions=40, retrieval=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("study")
    STUDY.tables().write(found)
    (found / "study.yaml").write_text(yaml.safe_dump({"title": "Of <bridges>", "notes": ["one | two"]}))
    return found


@pytest.fixture(scope="module")
def written(folder):
    return {path: path.read_bytes() for path in write_report(folder)}


def text(written, name):
    return next(content for path, content in written.items() if path.name == name).decode()


def test_the_same_tables_give_the_same_bytes(folder, written):
    assert {path: path.read_bytes() for path in write_report(folder)} == written


def test_the_page_stands_alone_and_escapes_what_it_is_given(written):
    page = text(written, "report.html")
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)|src=", page)
    assert set(re.findall(r'https?://[^"\s<]+', page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "Of &lt;bridges&gt;" in page
    assert "<bridges>" not in page
    assert page.count("<svg") == sum(path.suffix == ".svg" for path in written)


def test_every_drawing_is_there_as_svg_and_png_and_the_markdown_shows_it(written):
    drawings = {path.name for path in written if path.parent.name == "plots"}
    assert {name.removesuffix(".png") for name in drawings if name.endswith(".png")} == {
        name.removesuffix(".svg") for name in drawings if name.endswith(".svg")
    }
    shown = set(re.findall(r"\(plots/([^)]+)\)", text(written, "report.md")))
    assert shown == {name for name in drawings if name.endswith(".svg")}
    assert "one \\| two" in text(written, "report.md")


def test_each_section_is_there_or_says_why_not(written):
    page = text(written, "report.md")
    parts = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    for part in parts:
        assert "|" in part or "Not made: " in part, part[:80]
    assert "training_tokens" in next(part for part in parts if part.startswith("Compute-optimal"))


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(RalmError, match=r"There is no results\.parquet"):
        write_report(tmp_path)


def test_a_file_that_says_nothing_sensible_is_refused(tmp_path):
    STUDY.tables().write(tmp_path)
    (tmp_path / "study.yaml").write_text("training_tokens: {a: many}")
    with pytest.raises(RalmError, match=r"study\.yaml cannot be read as a study"):
        write_report(tmp_path)


def test_drawings_of_an_earlier_report_go_and_files_of_the_users_own_stay(tmp_path):
    (tmp_path / "plots").mkdir()
    for name in ("curve-old.svg", "curve-old.png", "mine.png"):
        (tmp_path / "plots" / name).write_text("drawn")
    (tmp_path / "report.md").write_text("![old](plots/curve-old.svg)")
    Tables("0" * 16).write(tmp_path)
    written = write_report(tmp_path)
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["mine.png"]
    assert {path.name for path in written} == {"report.md", "report.html"}
    assert "Not made: No share of a store was searched." in (tmp_path / "report.md").read_text()


def test_a_file_in_place_of_the_folder_of_plots_is_refused(tmp_path):
    STUDY.tables().write(tmp_path)
    (tmp_path / "plots").write_text("mine")
    with pytest.raises(RalmError, match="plots is a file: move it"):
        write_report(tmp_path)


def test_mixtures_alone_have_a_report_too(tmp_path):
    rows = [
        Mixture("web", "success", 5, role, value, 20, 0, 50, "abc", ("a", "b"), (60, 40), kept)
        for role, value, kept in [
            *(("drawn", 0.3 + at / 100, (at / 60, (50 - at) / 40)) for at in range(10, 40)),
            *(
                ("natural", 0.5, (0.5, 0.5)),
                ("predicted best", 0.6, (0.2, 0.95)),
                ("best drawn", 0.6, (0.2, 0.9)),
            ),
            *(("whole", 0.7, (1.0, 1.0)), ("without a", 0.6, (0.0, 1.0)), ("without b", 0.2, (1.0, 0.0))),
        ]
    ]
    write(tmp_path / MIXTURES, rows)
    compared = [
        Compared("web", one.role, 1, f"q{at}", at, float(at < 20 * one.value))
        for one in rows[30:]
        for at in range(20)
    ]
    write(tmp_path / COMPARED, compared)
    write_report(tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "of 30 mixtures of 50 passages the predicted best is b" in page
    assert "Mixtures of web: manifest abc." in page
