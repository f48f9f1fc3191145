"""How passages reach the LM: what is chosen (`Conditioning`), and the prompts that come of it (`condition`).

`kinds.py` has the ways, one class each. Knows text and token counts; knows neither where passages come from
nor what reads them.
"""

from lm.conditioning.fitting import condition
from lm.conditioning.kinds import Conditioned
from lm.conditioning.packing import Block, pack
from lm.conditioning.settings import DEFAULT_BUDGET, DEFAULT_PASSAGES, Conditioning
from lm.conditioning.sources import Chunk, Request, Source
from lm.conditioning.wording import ALONE, GROUNDED, WITH_PASSAGES, conversation

__all__ = [
    "ALONE",
    "DEFAULT_BUDGET",
    "DEFAULT_PASSAGES",
    "GROUNDED",
    "WITH_PASSAGES",
    "Block",
    "Chunk",
    "Conditioned",
    "Conditioning",
    "Request",
    "Source",
    "condition",
    "conversation",
    "pack",
]
