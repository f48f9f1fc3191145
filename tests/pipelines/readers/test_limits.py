from pipelines.readers.limits import more_than, too_large


def test_what_is_too_large_is_said_with_its_size_and_the_setting():
    assert too_large("the file", 5013, 4096) == "the file has 5,013 bytes and max_record_bytes allows 4,096"
    assert too_large("its id", 9, 8, "other") == "its id has 9 bytes and other allows 8"
    assert (
        more_than("the page has", 4096)
        == "the page has more than the 4,096 bytes that max_record_bytes allows"
    )
