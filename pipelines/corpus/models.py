"""The models of a build's filters: known by what they hold and their names, not by where they lie.

Decisions: docs/decisions/filters.md.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from base.errors import RalmError
from pipelines.config import BuildConfig
from pipelines.filters.chain import AnyRule
from pipelines.filters.fasttext import Language, ModelRule, Quality, content_of

_Asking = Language | Quality


def pinned(config: BuildConfig) -> BuildConfig:
    """The configuration with the content of every model, which workers compare before they ask it.

    Raises RalmError for a model that cannot be read, or is another one than the configuration says.
    """
    return _changed(config, _pin)


def anonymous(config: BuildConfig) -> BuildConfig:
    """The configuration as a manifest keeps it: of models the content and the file's name."""
    return _changed(
        config,
        lambda rule: rule.model_copy(update={"model": Path(rule.model).name}) if rule.model else rule,
    )


def located(config: BuildConfig, given: Sequence[Path]) -> BuildConfig:
    """A store's configuration with its models where they lie now.

    That is among those given, told by their content, or under their names in the current folder. Raises
    RalmError naming a model that is in neither.
    """
    contents = {content_of(path): path for path in given}
    return _changed(config, lambda rule: _locate(rule, contents))


def _pin(rule: _Asking) -> _Asking:
    if rule.model is None:
        return rule
    # Workers of a cluster run in folders of their own.
    path = Path(rule.model).absolute()
    found = content_of(path)
    if rule.model_sha256 not in (None, found):
        raise RalmError(
            f"{path} is another fastText model than the filter {rule.name!r} says (its content differs): "
            "give the one with model_sha256, or leave that out."
        )
    return rule.model_copy(update={"model": str(path), "model_sha256": found})


def _locate(rule: _Asking, contents: dict[str, Path]) -> _Asking:
    if rule.model is None or rule.model_sha256 is None:
        return rule  # Early stores say where a model lay, not what it held.
    here = Path(rule.model)
    if rule.model_sha256 in contents:
        here = contents[rule.model_sha256]
    elif not here.is_file() or content_of(here) != rule.model_sha256:
        raise RalmError(
            f"The store was filtered by the fastText model {here.name} (SHA-256 "
            f"{rule.model_sha256[:16]}...), which is not here: say where it lies with --model."
        )
    return rule.model_copy(update={"model": str(here)})


def _changed(config: BuildConfig, change: Callable[[_Asking], _Asking]) -> BuildConfig:
    def rules(found: tuple[AnyRule, ...]) -> tuple[AnyRule, ...]:
        return tuple(change(rule) if isinstance(rule, ModelRule) else rule for rule in found)

    sources = tuple(
        source if source.filters is None else source.model_copy(update={"filters": rules(source.filters)})
        for source in config.sources
    )
    return config.model_copy(update={"filters": rules(config.filters), "sources": sources})
