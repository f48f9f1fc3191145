from pipelines.execution.differences import differences


def test_all_that_differs_is_named_as_it_is_written():
    config = {"limit": None, "lexical": True, "filters": [{"name": "c4"}, {"name": "length", "min_chars": 3}]}
    first = {"config": config, "dtype": "float32", "encoder_sha256": "a", "splits": [1]}
    first |= {"usage": {"pooling": "mean", "query_prompt": ""}}
    assert differences(first, first) == []
    filters = [{"name": "c4"}, {"name": "length", "min_chars": 4, "max_chars": 9}]
    config = {"limit": 5, "lexical": False, "filters": filters, "near_duplicates": {}, "pooling": "cls"}
    now = first | {"config": config, "splits": [], "usage": {"pooling": "cls", "query_prompt": "query: "}}
    assert set(differences(first, now)) == {
        "limit was not set, now 5",
        "lexical was true, now false",
        "filters.1.min_chars was 3, now 4",
        "filters.1.max_chars was not set, now 9",
        "near_duplicates was not set, now {}",
        "pooling was not set, now cls",
        "query_prompt was '', now 'query: '",
        "the source files or their sizes have changed",
    }
    other = first | {"encoder_sha256": "b", "usage": {"pooling": "cls", "query_prompt": ""}}
    assert differences(first, other) == ["the weights of `encoder` have changed"]


def test_files_that_are_not_read_are_called_by_no_name_of_ours():
    assert differences({"ignored": ["a.png"]}, {"ignored": []}) == [
        "the files of kinds that ralm does not read have changed"
    ]
