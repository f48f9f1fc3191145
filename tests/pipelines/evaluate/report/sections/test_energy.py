from dataclasses import replace

import pytest

from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.sections.energy import energy


def test_joules_carbon_and_water_stand_beside_the_metric(study):
    section = energy(study)
    assert "PUE 1.58 (Uptime Institute" in section.intro
    table = next(table for table in section.tables if table.folded and table.caption.startswith("trivia"))
    joules, carbon, water = (float(one) for one in table.rows[0][1:4])
    assert carbon == pytest.approx(joules / 3.6e6 * 1.58 * 475 * 1000, rel=0.01)
    assert water == pytest.approx(joules / 3.6e6 * (0.55 + 1.58 * 3.142) * 1000, rel=0.01)
    (claim,) = [claim for claim in section.claims if claim.startswith("trivia")]
    assert "times what lm-135M, nf4, LM alone takes" in claim


def test_factors_of_the_studys_file_are_taken(study):
    given = replace(study, about=About.of({"factors": {"carbon": 20}}))
    assert "20 g a kWh (study.yaml)" in energy(given).intro


def test_without_joules_it_says_why(searched):
    assert energy(searched).absent == "No joules are in the tables, as nothing was metered."
