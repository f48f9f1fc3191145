"""How a service is run: one value, made of the command line and handed on whole. Knows no HTTP."""

from dataclasses import dataclass, field, fields
from pathlib import Path

from base.errors import RalmError
from serve.admission.keys import Key, require_names
from serve.answering.limits import Limits


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Who may ask (`keys`; none: everybody), how much, and what is logged.

    `per_minute` holds for each key that names no rate of its own, and without keys for each address. `body`
    [bytes] and `body_seconds` limit what is sent, `seconds` what is done for one request. `origins`: pages of
    which browsers may ask. `log` is a file; None: standard error. `prompts`: it shows what was asked.
    `limits`: what one request may ask for. `batches` of searches are under way at once: more than one where
    others search.
    """

    keys: tuple[Key, ...] = ()
    per_minute: int | None = None
    body: int = 2 << 20
    body_seconds: float = 30.0
    seconds: float = 600.0
    origins: tuple[str, ...] = ()
    log: Path | None = None
    prompts: bool = False
    limits: Limits = field(default_factory=Limits)
    batches: int = 1

    def __post_init__(self) -> None:
        """Raises RalmError for what no service can be run with."""
        require_names(self.keys)
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
                raise RalmError(f"{one.name} of a service must be above 0, not {value:g}.")
        if odd := next((one for one in self.origins if one != "*" and "://" not in one), None):
            raise RalmError(f"{odd!r} is no origin: write it as https://example.org, without a path.")


# A service without keys: for one machine, and for tests.
OPEN_TO_ALL = ServiceSettings()
