"""What work took, in words: seconds, joules and, of embedding, how fast it was.

Decisions: docs/decisions/energy.md.
"""

from collections.abc import Mapping

from base.amounts import duration, energy
from pipelines.execution.metering.measured import Measured, total


def worked(measured: Measured) -> tuple[str, str]:
    """Seconds and joules for people; of a store from before joules were measured, seconds alone."""
    seconds = duration(measured.seconds) if measured.tasks else ""
    return seconds, energy(measured.joules) if measured.sources else ""


def speed(measured: Measured) -> str:
    """How fast tasks embedded, by their own seconds: of several at a time it is the speed of one of them.

    Empty for tasks that embed nothing, and of stores from before it was measured.
    """
    if not measured.flops or not measured.seconds:
        return ""
    unit, per = ("TFLOP/s", 1e12) if measured.flops >= 1e12 * measured.seconds else ("GFLOP/s", 1e9)
    tokens, flops = (count / measured.seconds for count in (measured.tokens, measured.flops / per))
    found = f"{tokens:,.0f} tokens/s, {flops:,.1f} {unit} of each worker"
    return (
        found if measured.mfu is None else f"{found}, MFU {measured.mfu:.1%} of {', '.join(measured.devices)}"
    )


def notes(shown: Mapping[str, Measured], generations: Measured) -> list[str]:
    """How fast the stages shown embedded, what told their joules, and what all generations took, if more."""
    found = [f"{name}: {fast}." for name, one in shown.items() if (fast := speed(one))]
    stages = total(shown.values())
    if stages.sources:
        found.append(
            f"Energy by {', '.join(stages.sources)} (docs/decisions/energy.md says what each counts)."
        )
    if generations.tasks > stages.tasks:
        seconds, joules = worked(generations)
        found.append(f"All generations together: {seconds} of work, {joules or 'energy not measured'}.")
    return found
