import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from base.errors import RalmError
from lm.backends.adapters import Abstention, abstention
from lm.backends.devices import best_dtype
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Prompt
from lm.reader import Continuation
from tests.lm.models import random_adapter, tiny_model

TEXT = "The people of Dunmarrow make"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model. Not to be changed."""
    return tiny_model(tmp_path_factory.mktemp("readers") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """A random adapter of it. Not to be changed."""
    return random_adapter(folder, tmp_path_factory.mktemp("adapters") / "tuned")


@pytest.fixture
def own(made, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(made, tmp_path / "own")


def opened(folder, adapter, quantization="none", **how):
    chosen = ReaderChoice(str(folder), quantization, adapter and str(adapter), device="cpu", **how)
    return TransformersReader(chosen)


def logs(reader, passages):
    (found,) = reader.loglikelihood([Continuation(Prompt(text=TEXT, passages=passages), " blue glass.")])
    return torch.tensor(found.tokens)


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_an_adapter_reads_what_holds_passages_and_leaves_the_rest_as_it_was(folder, made, quantization):
    plain, adapted = opened(folder, None, quantization), opened(folder, made, quantization)
    assert adapted.adapter == str(made)
    assert torch.equal(logs(adapted, 0), logs(plain, 0))
    assert (logs(adapted, 2) - logs(plain, 2)).abs().max() > 0.1
    added = [one for name, one in adapted._model.named_parameters() if "lora_" in name]
    assert {one.dtype for one in added} == {best_dtype()}
    assert adapted.measured_bytes - plain.measured_bytes == sum(one.nbytes for one in added)


def test_an_adapter_of_another_model_is_refused(folder, made, own, tmp_path):
    rename(own, "/models/other")
    with pytest.raises(RalmError, match=r"own was made for .*other, not for .*tiny: choose that reader"):
        opened(folder, own)
    # That is said before a model is loaded, which may take minutes.
    without = shutil.copytree(folder, tmp_path / "without")
    (without / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(RalmError, match=r"own was made for .*other, not for"):
        opened(without, own)
    wider = random_adapter(tiny_model(tmp_path / "wider", "llama"), tmp_path / "sizes")
    weights = load_file(wider / "adapter_model.safetensors")
    save_file({k: torch.cat([w, w]) for k, w in weights.items()}, wider / "adapter_model.safetensors")
    rename(wider, "")
    with pytest.raises(RalmError, match=r"does not fit this reader, or is damaged \(.*size mismatch"):
        opened(folder, wider)
    other = random_adapter(tiny_model(tmp_path / "other", "gpt2-learned"), tmp_path / "layers", True)
    rename(other, "")
    with pytest.raises(RalmError, match=r"does not fit|other layers"):
        opened(folder, other)


def rename(adapter, base):
    path = adapter / "adapter_config.json"
    settings = json.loads(path.read_text()) | {"base_model_name_or_path": base}
    path.write_text(json.dumps(settings))


@pytest.mark.parametrize("change", ["fewer", "more"])
def test_an_adapter_of_fewer_or_more_layers_is_refused(folder, own, change):
    weights = load_file(own / "adapter_model.safetensors")
    second = {name: weight for name, weight in weights.items() if ".layers.1." in name}
    if change == "fewer":
        weights = {name: weight for name, weight in weights.items() if name not in second}
    else:
        weights |= {name.replace(".1.", ".2."): weight.clone() for name, weight in second.items()}
    save_file(weights, own / "adapter_model.safetensors")
    with pytest.raises(RalmError, match=rf"a model of other layers: {len(second)} of its weights"):
        opened(folder, own)


def test_a_damaged_adapter_is_a_sentence(folder, own):
    weights = own / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RalmError, match=r"own does not fit this reader, or is damaged"):
        opened(folder, own)
    (own / "adapter_config.json").write_text("[")
    with pytest.raises(RalmError, match=r"adapter_config\.json is no JSON object"):
        opened(folder, own)
    (own / "adapter_config.json").write_text("{}")
    with pytest.raises(RalmError, match=r"own does not fit this reader, or is damaged"):
        opened(folder, own)


def test_a_pickled_adapter_is_read_when_it_is_allowed(folder, made, own):
    torch.save(load_file(own / "adapter_model.safetensors"), own / "adapter_model.bin")
    (own / "adapter_model.safetensors").unlink()
    with pytest.raises(RalmError, match="are a pickle, which may run code"):
        opened(folder, own)
    assert torch.equal(logs(opened(folder, own, allow_pickle=True), 1), logs(opened(folder, made), 1))


def test_what_an_adapter_was_taught_to_say_stands_beside_it(tmp_path):
    assert abstention(str(tmp_path)) is None
    (tmp_path / "made_of.json").write_text('{"abstention": "I do not know."}')
    assert abstention(str(tmp_path)) == Abstention("I do not know.", 0.5)
    (tmp_path / "made_of.json").write_text('{"abstention": "No.", "abstains_from": 0.4}')
    assert abstention(str(tmp_path)) == Abstention("No.", 0.4)
    (tmp_path / "made_of.json").write_text('{"abstention": "No.", "only_supported_below": 0.25}')
    assert abstention(str(tmp_path)) == Abstention("No.", 0.5, 0.25)
    bounds = [
        json.dumps({"abstention": "No.", one: 2.0}) for one in ("abstains_from", "only_supported_below")
    ]
    for wrong in ("[]", "{", '{"abstention": 1}', "{}", *bounds):
        (tmp_path / "made_of.json").write_text(wrong)
        assert abstention(str(tmp_path)) is None
