from types import SimpleNamespace

import pytest

from base.errors import RalmError
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Step
from pipelines.evaluate.perplexity.totals import Total, require_token_reader


def test_strides_add_up():
    total = Total()
    total.add(Step(tuple(range(10)), 0, 4), NOTHING, -8.0)
    total.add(Step(tuple(range(10)), 4, 10), Front((1, 2, 3), 2), -3.0)
    assert total == Total(nats=-11.0, tokens=10, strides=2, bare=1, passage_tokens=3)


def test_a_reader_without_tokens_is_refused():
    with pytest.raises(RalmError, match="far away does not give its tokens"):
        require_token_reader(SimpleNamespace(name="far away"))  # type: ignore[arg-type]
