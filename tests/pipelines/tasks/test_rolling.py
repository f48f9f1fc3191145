import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from pipelines.tasks.rolling import Rolling
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.lm.models import tiny_model

TEXT = "In the town of Dunmarrow, where people make blue glass, " * 4 + "there was once a bridge."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=1000)
    found = TransformersReader(ReaderChoice(str(folder), "none"))
    found._model.float()
    return found


def test_without_passages_a_text_that_fits_is_scored_as_a_whole(store, tiny):
    rolling = Rolling(LocalRetriever.open(store), Search(1), tiny)
    assert (rolling.pace.window, rolling.pace.stride) == (1000, 64)
    (found,) = rolling.totals([TEXT], passages=False)
    (whole,) = tiny.loglikelihood_rolling([TEXT])
    assert found.nats == pytest.approx(whole.total, abs=1e-3)
    assert found.strides == found.bare == -(-len(whole.tokens) // 64)


def test_passages_stand_before_all_strides_but_the_first(store, tiny, monkeypatch):
    retriever = LocalRetriever.open(store)
    rows, score = [], TransformersReader.score

    def kept(self, some):
        rows.extend(some)
        return score(self, some)

    monkeypatch.setattr(TransformersReader, "score", kept)
    rolling = Rolling(retriever, Search(1, method=Method("bm25")), tiny)
    (found,) = rolling.totals([TEXT], passages=True)
    assert (found.bare, found.strides) == (1, len(rows))
    assert [row.passages for row in rows] == [0] + [1] * (len(rows) - 1)
    assert "Dunmarrow: " in tiny.text_of(rows[1].context)


def test_a_reader_that_keeps_its_tokens_to_itself_is_refused(store, tiny):
    class Far:
        name, context_tokens = "far", 1000

    with pytest.raises(RalmError, match="far does not give its tokens"):
        Rolling(LocalRetriever.open(store), Search(1), Far())
