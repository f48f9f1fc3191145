from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluate.analysis.panels import BITS_PER_BYTE, panels
from tests.pipelines.evaluate.simulated import Simulated

STUDY = Simulated(
    parameters=(135_000_000, 360_000_000), fractions=(0.01, 0.1, 1.0), questions=40, documents=5
)


@pytest.fixture(scope="module")
def tables():
    return STUDY.tables()


def of(tables, metric):
    return next(panel for panel in panels(tables) if panel.metric == metric)


def test_seeds_of_a_share_are_one_spot_and_their_mean(tables):
    panel = of(tables, "reader exact match")
    assert [[panel.spots[at].seeds for at in spots] for spots in panel.lines.values()] == [[3, 3, 1]] * 2
    at = next(at for at, spot in enumerate(panel.spots) if spot.cell.fraction == 0.1)
    name = panel.spots[at].cell.reader
    values = [
        one.value
        for one in tables.results
        if one.cell.fraction == 0.1 and one.cell.reader == name and one.metric == "reader exact match"
    ]
    assert panel.means[at] == pytest.approx(np.mean(values))
    assert panel.score(at).low < panel.means[at] < panel.score(at).high


def test_a_line_has_its_own_lm_alone(tables):
    panel = of(tables, "reader exact match")
    assert len(panel.lines) == 2
    for line, spots in panel.lines.items():
        alone = panel.spots[panel.alone(line)]
        assert alone.alone
        assert alone.cell.reader == line.reader
        assert panel.sizes(spots).tolist() == [1e6, 1e7, 1e8]
    assert of(tables, "success").alone(next(iter(of(tables, "success").lines))) is None


def test_bits_per_byte_are_those_of_all_bytes_together(tables):
    panel = of(tables, BITS_PER_BYTE)
    assert not panel.higher
    assert panel.kind == "perplexity"
    at = next(at for at, spot in enumerate(panel.spots) if spot.cell.fraction == 1)
    cell = panel.spots[at].cell.id
    sums = {
        one.metric: one.values.sum() for one in tables.questions if one.task == "texts" and one.cell == cell
    }
    assert panel.means[at] == pytest.approx(sums["nats"] / np.log(2) / sums["bytes"])


def test_questions_that_some_point_lacks_are_left_out_everywhere(tables):
    first = next(one for one in tables.questions if one.metric == "reader exact match")
    cut = replace(first, questions=first.questions[1:], values=first.values[1:], clusters=first.clusters[1:])
    fewer = replace(tables, questions=tuple(cut if one is first else one for one in tables.questions))
    assert of(fewer, "reader exact match").questions == 39


def test_shares_stay_shares_and_certainty_has_its_doubt(tables):
    sure = [
        replace(one, values=np.full(len(one.values), float(one.cell in whole)))
        for whole in [{one.cell.id for one in tables.results if one.cell.fraction == 1}]
        for one in tables.questions
        if one.metric == "reader exact match"
    ]
    panel = of(tables.merged([], sure), "reader exact match")
    spots = next(iter(panel.lines.values()))
    assert panel.draws.min() == 0
    assert panel.draws.max() == 1
    gain = panel.gain(spots[-1], spots[0])
    assert gain.value == 1
    assert 0.5 < gain.low < gain.high
    assert panel.score(spots[0]).high > 0.05
    assert panel.score(spots[-1]).low < 0.95
