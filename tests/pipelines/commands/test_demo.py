def test_an_unknown_executor_is_one_sentence(refusal):
    assert "valid are auto, ray and local" in refusal("demo", "-o", "{tmp}/s", "--executor", "spark")
