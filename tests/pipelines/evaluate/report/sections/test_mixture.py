from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluate.analysis.mixture import drawn, rates, shares
from pipelines.evaluate.mixtures.tables import COMPARED, MIXTURES, USED, Compared, Mixture, Used, write
from pipelines.evaluate.report.sections.keeping import keeping
from pipelines.evaluate.report.sections.mixture import mixture

SIZES = np.array([600.0, 300.0, 100.0])
NAMES = ("books", "news", "science")


def found_with(kept):
    """More science finds more."""
    of = shares(np.atleast_2d(kept), SIZES)
    return 0.2 + 0.5 * np.sqrt(of[:, 2])


@pytest.fixture(scope="module")
def mixed(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(0)
    tried = rates(drawn(SIZES, 60, rng), SIZES, 100)
    best = np.array([0.05, 0.05, 0.55])
    roles = {
        **{"natural": np.full(3, 0.1), "predicted best": best, "best drawn": tried[0], "whole": np.ones(3)},
        **{f"without {name}": (np.arange(3) != at).astype(float) for at, name in enumerate(NAMES)},
    }
    rows, compared = [], []
    for role, kept in [*(("drawn", one) for one in tried), *roles.items()]:
        value = float(found_with(kept)[0]) if kept.any() else 0.0
        budget = round(float(kept @ SIZES))
        sizes = tuple(int(one) for one in SIZES)
        rows.append(
            Mixture(
                "trivia", "success", 5, role, value, 40, 1, budget, "a", NAMES, sizes, tuple(kept.tolist())
            )
        )
        if role != "drawn":
            compared += [
                Compared("trivia", role, seed, f"q{at}", at, float(at < 100 * value))
                for seed in (1, 2)
                for at in range(100)
            ]
    write(folder / MIXTURES, rows)
    write(folder / COMPARED, compared)
    write(
        folder / USED, [Used("trivia", f"q{at}", 1, NAMES[at % 2], "d1", 0, at % 2 == 0) for at in range(10)]
    )
    return replace(searched, folder=folder)


def test_the_predicted_best_is_compared_with_the_natural_mixture(mixed):
    section = mixture(mixed)
    first, second = section.claims
    assert "of 60 mixtures of 100 passages the predicted best is science 55.0%" in first
    assert "it brings +" in first
    assert "rank correlation of 0.9" in second
    of, against = section.tables
    assert [row[0] for row in of.rows] == list(NAMES)
    assert of.rows[0][2:4] == ("60.0%", "30.0%")
    assert [row[0] for row in against.rows] == ["natural", "predicted best", "best drawn"]
    assert against.rows[0][2] == "–"
    (note,) = section.notes
    assert note.startswith("trivia: in 60 of 4,800 pairs of a question and a mixture")


def test_without_mixtures_it_names_the_command(searched):
    assert "`ralm eval mixtures`" in mixture(searched).absent
    assert "`ralm eval mixtures`" in keeping(searched).absent


def test_what_is_lost_without_each_domain_is_named_and_what_is_not(mixed):
    section = keeping(mixed)
    assert section.claims[0].startswith("trivia: leaving out costs: science −")
    (table,) = [table for table in section.tables if "without each domain" in table.caption]
    assert [row[0] for row in table.rows][:2] == ["nothing", "science"]
    assert "success@5" in table.caption
    assert "science −" in section.figures[0].alt


def test_domains_that_right_passages_came_from_are_counted(mixed):
    tables = keeping(mixed).tables
    used = next(table for table in tables if "where the whole store's passages came from" in table.caption)
    assert used.rows == (("books", "5", "5", "–"), ("news", "5", "0", "–"))
    often = next(table for table in tables if "right most often" in table.caption)
    assert often.rows == (("books", "d1", "0", "5"),)


def test_with_a_reader_right_answers_are_counted_too(study, mixed):
    tables = keeping(replace(study, folder=mixed.folder)).tables
    used = next(table for table in tables if "came from" in table.caption)
    assert "answers by reader exact match of lm-" in used.caption
    assert used.rows[0][3].isdigit()
