"""The tool `file_search`: which stores are searched, for how many passages, and under what conditions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from lm.prompts import Message
from lm.reader import Sampling
from serve.answering.inquiry import Inquiry
from serve.schemas.fields import Body, Unicode
from serve.schemas.retrieval import RetrievalOptions
from serve.schemas.stores.vector_stores import MAX_RESULTS, RankingOptions, checked_filters, where_of


class ToolChoiceModel(Body):
    """The tool by its name."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["file_search"]


ToolChoice = Literal["auto", "required", "none"] | ToolChoiceModel


class FileSearchTool(Body):
    """The one tool that there is: passages are found, and put before the reader."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["file_search"]
    vector_store_ids: list[Unicode] = Field(min_length=1, max_length=100)
    max_num_results: int | None = Field(None, ge=1, le=MAX_RESULTS)
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions | None = None

    _filters = field_validator("filters")(checked_filters)


def to_inquiry(
    question: str,
    history: Sequence[Message],
    sampling: Sampling,
    tool: FileSearchTool | None,
    options: RetrievalOptions | None,
) -> Inquiry:
    """A question that is answered from what the tool finds, or without it: the reader as it is.

    Raises RalmError for what is no search.
    """
    if tool is None:
        how = RetrievalOptions(off=True).to_conditioning()
        return Inquiry(question, how, sampling, history, bare=True)
    options = options or RetrievalOptions()
    how, search = options.to_conditioning(), options.to_search()
    if tool.max_num_results is not None:
        how = replace(how, passages=tool.max_num_results)
    ranking = tool.ranking_options or RankingOptions()
    if ranking.hybrid_search is not None:
        search = replace(search, method=ranking.method)
    view = replace(search.view, where=(*search.view.where, *where_of(tool.filters)))
    return Inquiry(
        question,
        how,
        sampling,
        history,
        replace(search, view=view),
        options.query,
        stores=tuple(tool.vector_store_ids),
        least_score=ranking.score_threshold,
        markers=bool(options.markers),
    )
