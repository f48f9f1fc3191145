import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search"], 'Give a store and a query in quotes, ralm search STORE "QUERY"'),
        (["search", "my-store"], 'or a service and a query, ralm search --url URL "QUERY".'),
        (["ask", "--url", "http://localhost"], 'ralm ask STORE "QUESTION"'),
        (["ask", "my-store", "who", "built", "it?"], 'put it in quotes, "who built it?".'),
        (["ask", "--url", "http://localhost", "who", "built", "it?"], 'put it in quotes, "who built it?".'),
        (["ask", "--url", "http://localhost", "my-store", "who?"], "no store: leave my-store out, or write"),
    ],
)
def test_a_store_and_one_text_or_a_service_and_one_text(ralm, arguments, sentence):
    code, out, err = ralm(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("search", ["--also", "other"]),
        ("search", ["--encoder", "other"]),
        ("search", ["--query-encoder", "other"]),
        ("search", ["--device", "cpu"]),
        ("search", ["--index-in", "disk"]),
        ("search", ["--cross-encoder", "other"]),
        ("ask", ["--also", "other"]),
        ("ask", ["--reader", "other"]),
        ("ask", ["--quantization", "int8"]),
        ("ask", ["--adapter", "other"]),
        ("ask", ["--reader-device", "cpu"]),
        ("ask", ["--allow-pickle"]),
        ("ask", ["--encoder", "other"]),
        ("ask", ["--shots", "other"]),
    ],
)
def test_what_a_service_has_chosen_is_no_option_of_a_question_to_it(ralm, command, options):
    """Also not at its default: nothing that is given is ignored."""
    code, _, err = ralm(command, "--url", "http://localhost", "who?", *options)
    assert (code, err.count("\n")) == (2, 1)
    # A file of examples that is not there is told of first.
    assert f"{options[0]} is for a store that is opened here" in err
