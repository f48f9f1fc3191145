import pytest

from retriever.encoding.usage import AS_STATED, Usage, known


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("intfloat/e5-base-v2", Usage("query: ", "passage: ")),
        ("intfloat/multilingual-e5-large", Usage("query: ", "passage: ")),
        ("BAAI/bge-small-en-v1.5", Usage("Represent this sentence for searching relevant passages: ")),
        ("facebook/contriever-msmarco", Usage(pooling="mean", similarity="dot")),
        ("facebook/dragon-plus-context-encoder", Usage(pooling="cls", similarity="dot")),
        ("intfloat/multilingual-e5-large-instruct", AS_STATED),  # Its prompts name the task.
        ("BAAI/bge-m3", AS_STATED),
        ("thenlper/gte-base", AS_STATED),
        ("/models/e5-base-v2", AS_STATED),  # A folder may be called anything.
        ("somebody/contriever", AS_STATED),
    ],
)
def test_models_are_known_by_their_full_names_alone(name, usage):
    assert known(name) == usage


def test_a_usage_is_json_and_back():
    assert Usage(**Usage("q", None, "cls", "dot").to_json()) == Usage("q", None, "cls", "dot")
