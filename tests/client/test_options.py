from client.options import AskOptions, Finding, Retrieval, SearchOptions, Turn, View
from client.options import Decontamination as Drops
from serve.schemas.chat import ChatRequest
from serve.schemas.generation.messages import ChatMessage
from serve.schemas.retrieval import RetrievalOptions
from serve.schemas.searching import DecontaminationModel, SearchFields, SearchRequest, ViewModel


def names(kind):
    return set(kind.__annotations__)


def test_options_are_fields_of_the_api():
    """All of how passages are found; of a chat those that its other fields do not need."""
    assert names(View) == set(ViewModel.model_fields)
    assert names(Drops) == set(DecontaminationModel.model_fields)
    assert names(Finding) == set(SearchFields.model_fields)
    assert names(SearchOptions) <= set(SearchRequest.model_fields)
    assert names(Finding) < names(Retrieval) <= set(RetrievalOptions.model_fields)
    assert names(AskOptions) <= set(ChatRequest.model_fields)
    assert names(Turn) <= set(ChatMessage.model_fields)
