"""Joules to carbon dioxide and water.

CO2 = energy x PUE x grams a kWh. Water = energy x (litres a kWh at the site + PUE x litres a kWh where
electricity is made) (Morrison et al. 2025, "Holistically Evaluating the Environmental Impact of Creating
Language Models", arXiv 2503.05804; Li et al. 2023, arXiv 2304.03271). Machines' making is not in it.

Decisions: docs/decisions/analysis.md.
"""

from dataclasses import dataclass

from pipelines.plan.figure import Figure
from pipelines.plan.rates import Rates

_JOULES_A_KWH = 3.6e6


@dataclass(frozen=True)
class Factors:
    """What a kWh of computing takes, each with its source. PUE and carbon are a plan's."""

    pue: Figure = Rates.pue
    carbon: Figure = Rates.carbon
    water_on_site: Figure = Figure(
        0.55, "l a kWh", "Microsoft's US sites, by Li et al. 2023 (arXiv 2304.03271)"
    )
    water_of_electricity: Figure = Figure(
        3.142, "l a kWh", "US electricity, by Li et al. 2023 (arXiv 2304.03271)"
    )


@dataclass(frozen=True)
class Footprint:
    """What one question takes: joules, grams of CO2, millilitres of water."""

    joules: float
    co2_g: float
    water_ml: float


def footprint(joules: float, factors: Factors = Factors()) -> Footprint:
    """What joules of computing come to."""
    kwh = joules / _JOULES_A_KWH
    litres = kwh * (factors.water_on_site + factors.pue * factors.water_of_electricity)
    return Footprint(joules, kwh * factors.pue * factors.carbon, 1000 * litres)
