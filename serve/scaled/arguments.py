"""What a config of Ray Serve says under `args`: named and meant as the options of `ralm serve`.

Decisions: docs/decisions/scaling-out.md.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from base.amounts import parse_bytes
from lm.backends.reader_choice import ReaderChoice
from lm.backends.weights import DEFAULT_READER
from serve.admission.keys import asked_for
from serve.answering.limits import Limits
from serve.scaled.front import Served
from serve.settings import ServiceSettings


class Arguments(BaseModel):
    """Stores, a reader, and who may ask how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stores: tuple[str, ...] = Field(min_length=1)
    reader: str = DEFAULT_READER
    quantization: str | None = None
    adapter: str | None = None
    encoder: str | None = None
    query_encoder: str | None = None
    searchers: int = Field(1, ge=1)
    partial: bool = False
    batches: int = Field(8, ge=1)
    keys: Path | None = None
    rate: int | None = Field(None, ge=1)
    max_body: str = "2MiB"
    max_seconds: float = Field(600.0, gt=0)
    max_k: int | None = Field(None, ge=1)
    max_queries: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    cors_origin: tuple[str, ...] = ()
    log: Path | None = None
    log_prompts: bool = False

    def served(self) -> Served:
        """What is served. Raises RalmError for what cannot be. RALM_API_KEY is read, too."""
        given = os.environ.get("RALM_API_KEY")
        settings = ServiceSettings(
            keys=asked_for((given or "").split(), self.keys, given is not None),
            per_minute=self.rate,
            body=parse_bytes(self.max_body),
            seconds=self.max_seconds,
            origins=self.cors_origin,
            log=self.log,
            prompts=self.log_prompts,
            limits=Limits(self.max_k, self.max_queries, self.max_tokens),
            batches=self.batches,
        )
        choice = ReaderChoice(self.reader, self.quantization, self.adapter)
        return Served(
            self.stores,
            choice,
            settings,
            self.encoder,
            self.query_encoder,
            self.searchers,
            self.partial,
        )
