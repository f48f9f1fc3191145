import pytest

from pipelines.evaluate.analysis.footprint import Factors, footprint


def test_a_kwh_of_computing():
    took = footprint(3.6e6)
    of = Factors()
    assert took.co2_g == pytest.approx(of.pue * of.carbon)
    assert took.water_ml == pytest.approx(1000 * (of.water_on_site + of.pue * of.water_of_electricity))
    assert footprint(0).water_ml == 0


def test_every_factor_names_its_source():
    assert all(getattr(Factors(), name).source for name in Factors.__dataclass_fields__)
