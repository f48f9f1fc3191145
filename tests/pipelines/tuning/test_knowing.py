from lm.conditioning import Source
from lm.tuning.example import ABSTENTION, Example
from pipelines.execution.progress import Silent
from pipelines.tuning.knowing import with_what_is_known

RIVER = (Source("", "A river flows."),)
FRANCE = "What is the capital of France?"


def test_what_the_reader_knows_alone_it_is_to_keep(reader):
    known = Example(FRANCE, RIVER, ABSTENTION, "foreign, unanswered", ("Paris",))
    unknown = Example(FRANCE, RIVER, ABSTENTION, "foreign, unanswered", ("Lisbon",))
    near = Example(FRANCE, RIVER, ABSTENTION, "near, unanswered")
    first, *others = with_what_is_known([known, unknown, near], reader, Silent())
    assert (first.answer, first.kind) == ("Paris", "foreign, known")
    assert others == [unknown, near]
