import pytest

from pipelines.commands.serve import Admission
from serve.admission.keys import Keys


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["serve", "{store}", "--partial"], "give --searchers too"),
        (["serve", "{store}", "--port", "99999"], "choose --port"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)


def test_a_key_that_was_made_opens_a_service(ralm, tmp_path):
    path = tmp_path / "keys.jsonl"
    code, out, _ = ralm("key", "ann", path, "--per-minute", 30)
    assert code == 0
    settings = Admission(keys=path, api_key=["mine"], max_body="1MiB").settings()
    keys = Keys(settings.keys)
    assert (keys.find(out.strip()).name, keys.find(out.strip()).per_minute) == ("ann", 30)
    assert keys.find("mine").name == "api-key-1"
    assert settings.body == 1 << 20
    code, _, err = ralm("key", "ann", path)
    assert (code, "Two keys are called 'ann'" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--api-key", "two words"], "printable ASCII"),
        (["--keys", "none.jsonl"], "none.jsonl cannot be read"),
        (["--max-body", "much"], "'much' is not a size"),
        (["--max-seconds", "0"], "seconds of a service must be above 0"),
        (["--cors-origin", "example.org"], "is no origin"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_loaded(refusal, options, sentence):
    assert sentence in refusal("serve", "{store}", *options)


@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_a_file_of_no_keys_lets_nobody_in(tmp_path, content, refusal):
    path = tmp_path / "keys.jsonl"
    path.write_text(content)
    assert "Keys are asked for and there is none" in refusal("serve", "{store}", "--keys", str(path))
    assert Admission(keys=path, api_key=["mine"], max_body="1MiB").settings().keys


def test_a_blank_variable_lets_nobody_in(monkeypatch, refusal):
    monkeypatch.setenv("RALM_API_KEY", " ")
    assert "Keys are asked for and there is none" in refusal("serve", "{store}")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "cuda"], "take no --device"),
        (["--reader", "http://"], "http://"),
        (["--port", "99999"], "choose --port"),
    ],
)
def test_what_ray_serve_cannot_do_is_refused_before_ray_is_started(refusal, options, sentence):
    assert sentence in refusal("serve", "{store}", "--ray", *options)
