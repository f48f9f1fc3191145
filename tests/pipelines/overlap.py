"""Cutting and embedding at a time, as a GPU has it, where there is none.

What is embedded early is embedded on a CPU, so that its bytes can be compared; who carries it out is whoever
would own the GPU. Both are decided in the process that drives a build, so workers need not know.
"""

from collections.abc import Callable

from pipelines.config import BuildConfig
from pipelines.execution.task import Task
from pipelines.indexing.embed_early import EarlyEmbedStage


def overlap(put: Callable[[type, str, object], None], owned: bool = True) -> None:
    """Have builds of this process embed splits as they are cut; `put` is `setattr`, or a test's own.

    `owned`: embedding is for the GPU's owner alone, as on a GPU; else any worker does it.
    """
    put(BuildConfig, "embeds_early", property(lambda config: not config.drops_passages))
    if owned:
        put(Task, "on_gpu", property(lambda task: task.stage.name == EarlyEmbedStage.name))
