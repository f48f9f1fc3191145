import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from base.errors import RalmError
from lm.backends import devices, stored
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Message, Prompt
from lm.reader import Continuation, Sampling
from tests.lm.models import WIDE, random_adapter, tiny_model

ASKED = Prompt(text="The people of Dunmarrow make")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model, as wide as the blocks of 64 that share a scale. Not to be changed."""
    return tiny_model(tmp_path_factory.mktemp("readers") / "tiny", WIDE)


@pytest.fixture
def own(folder, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(folder, tmp_path / "own")


def opened(folder, quantization=None, **how):
    return TransformersReader(ReaderChoice(str(folder), quantization, **({"device": "cpu"} | how)))


def logs(reader):
    """Log-probabilities of a continuation: what quantization changes."""
    (found,) = reader.loglikelihood([Continuation(ASKED, " blue glass, and sell it in the market.")])
    return torch.tensor(found.tokens)


def linear_bits(reader):
    """Bits that a weight of the layers' linear maps takes, constants included."""
    from lm.backends.memory import measured_bytes

    maps = [module for name, module in reader._model.named_modules() if name.endswith("_proj")]
    weights = sum(one.in_features * one.out_features for one in maps)
    return 8 * measured_bytes(torch.nn.ModuleList(maps)) / weights


# A scale for each row of 64 weights weighs more than in a model of use.
@pytest.mark.parametrize(
    ("quantization", "bits", "off"),
    [
        ("int8", 8.6, 0.5),
        ("llm-int8:4.0", 8.9, 0.5),
        ("nf4", 4.6, 3),
        ("nf4-double", 4.6, 3),
        ("fp4", 4.6, 4),
    ],
)
def test_a_quantized_reader_says_nearly_the_same_in_fewer_bits(folder, quantization, bits, off):
    plain, found = opened(folder, "none"), opened(folder, quantization)
    assert found.quantization == quantization
    assert 0 < (logs(found) - logs(plain)).abs().mean() < off
    assert bits - 0.5 <= linear_bits(found) <= bits
    assert found._model.lm_head.weight.dtype == plain._model.lm_head.weight.dtype


@pytest.mark.gpu
@pytest.mark.parametrize("quantization", ["int8", "llm-int8", "nf4-double", "fp8", "int4"])
def test_a_gpu_has_kernels_for_each(folder, quantization):
    plain, found = opened(folder, "none", device="cuda"), opened(folder, quantization, device="cuda")
    assert found._model.device.type == "cuda"
    assert 0 < (logs(found) - logs(plain)).abs().mean() < 3


def test_what_is_not_quantized_is_not_stored_so(folder):
    with pytest.raises(RalmError, match="tiny are not stored quantized: leave --quantization out"):
        opened(folder, "stored")


def test_a_gpu_that_is_not_there_is_a_sentence(folder):
    count = torch.cuda.device_count()
    with pytest.raises(RalmError, match=f"There is no cuda:{count} for the reader: this machine has"):
        opened(folder, "none", device=f"cuda:{count}")


def test_a_reader_without_a_padding_token_reads_batches_as_one_by_one(own):
    settings = json.loads((own / "tokenizer_config.json").read_text())
    (own / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": None, "pad_token": None}))
    reader = opened(own, "none")
    asked = [ASKED, Prompt(text="Who built the old bridge? Ansel")]
    together = reader.generate(asked, Sampling(6))
    assert [one.text for one in together] == [reader.generate([one], Sampling(6))[0].text for one in asked]


def test_a_reader_without_a_chat_template_says_so(own):
    (own / "chat_template.jinja").unlink()
    with pytest.raises(RalmError, match="has no chat template, so it takes no conversation: choose"):
        opened(own, "none").generate([Prompt.of([Message("user", "Hello")])], Sampling(1))


def test_damage_is_a_sentence(own):
    weights = own / "model.safetensors"
    data = weights.read_bytes()
    for damaged in (b"\xff" * 100, data[: len(data) // 2], b""):
        weights.write_bytes(damaged)
        with pytest.raises(RalmError, match=r"own cannot be loaded from its folder \(.*damaged, not whole"):
            opened(own, "none")
    (own / "config.json").write_text("{")
    with pytest.raises(RalmError, match="config"):
        opened(own, "none")
    (own / "config.json").write_text(json.dumps({"model_type": "no such kind"}))
    with pytest.raises(RalmError, match="cannot be loaded"):
        opened(own, "none")


def test_pickles_are_loaded_when_they_are_allowed(own, folder):
    torch.save(load_file(own / "model.safetensors"), own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    with pytest.raises(RalmError, match="pickles"):
        opened(own, "none")
    assert torch.equal(logs(opened(own, "none", allow_pickle=True)), logs(opened(folder, "none")))


@pytest.mark.parametrize("memory", [250_000, 1_000])
def test_what_does_not_fit_into_memory_is_read_from_disk(folder, monkeypatch, memory):
    whole = opened(folder, "none")
    monkeypatch.setattr(devices, "available_memory", lambda: memory)
    spread = opened(folder, "none", device="cpu")
    assert "disk" in spread._model.hf_device_map.values()
    assert torch.equal(logs(spread), logs(whole))
    assert spread.measured_bytes == whole.measured_bytes
    asked = [ASKED, Prompt(text="Who built the old bridge?")]
    assert spread.generate(asked, Sampling(4)) == whole.generate(asked, Sampling(4))


@pytest.mark.parametrize("quantization", ["int8", "llm-int8", "nf4-double"])
def test_what_was_saved_quantized_is_read_as_it_is(folder, tmp_path, quantization):
    first = opened(folder, quantization)
    first._model.save_pretrained(tmp_path)
    first._tokenizer.save_pretrained(tmp_path)
    method = "torchao" if quantization == "int8" else "bitsandbytes"
    for written in (None, "stored"):
        again = opened(tmp_path, written)
        assert again.quantization == f"stored:{method}"
        torch.testing.assert_close(logs(again), logs(first), atol=0.02, rtol=0)
        assert again.measured_bytes == pytest.approx(first.measured_bytes, rel=0.02)
    with pytest.raises(RalmError, match=rf"quantized already \({method}\): leave --quantization out"):
        opened(tmp_path, "nf4")


def test_compressed_tensors_are_read_and_measured_as_they_are_held(folder, tmp_path):
    compress(folder, tmp_path)
    found, plain = opened(tmp_path), opened(folder, "none")
    assert found.quantization == "stored:compressed-tensors"
    assert 0 < (logs(found) - logs(plain)).abs().mean() < 0.5
    # The package widens what it packed: the bytes are those of 16 bits and more, not those of the file.
    assert found.measured_bytes >= plain.measured_bytes
    before = found.measured_bytes
    found.generate([ASKED], Sampling(2))
    from lm.backends.memory import measured_bytes

    assert measured_bytes(found._model) == before


def test_an_adapter_is_attached_to_compressed_tensors(folder, tmp_path):
    kept = tmp_path / folder.name
    compress(folder, kept)
    found = opened(kept, adapter=str(random_adapter(folder, tmp_path / "adapter")))
    alone, behind = (
        found.loglikelihood([Continuation(Prompt(text=ASKED.text, passages=n), " blue")]) for n in (0, 1)
    )
    assert alone != behind
    assert alone == opened(kept).loglikelihood([Continuation(ASKED, " blue")])


def compress(folder, target):
    """Write a model with 8-bit rows as vLLM's tools do."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = QuantizationArgs(num_bits=8, type="int", strategy="channel", symmetric=True)
    scheme = QuantizationScheme(targets=["Linear"], weights=rows)
    config = QuantizationConfig(
        config_groups={"all": scheme},
        ignore=["lm_head"],
        format="pack-quantized",
        quantization_status="frozen",
    )
    apply_quantization_config(model, config)
    for module in model.modules():
        if hasattr(module, "weight_scale"):
            module.weight_scale.data = module.weight.detach().abs().amax(dim=1, keepdim=True) / 127
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(target)
    compressor.update_config(target)
    copy_tokenizer(folder, target)


def copy_tokenizer(folder, target):
    for path in folder.iterdir():
        if path.name not in {"config.json", "model.safetensors"}:
            shutil.copy(path, target)


def test_fp8_blocks_are_widened_on_a_cpu(folder, own):
    weights = load_file(own / "model.safetensors")
    blocks = {}
    for name, weight in weights.items():
        if name.endswith("_proj.weight"):
            scale = weight.abs().max() / 448  # One block holds all of so small a matrix.
            blocks[name] = (weight / scale).to(torch.float8_e4m3fn)
            blocks[f"{name}_scale_inv"] = scale.reshape(1, 1)
    save_file(weights | blocks, own / "model.safetensors", {"format": "pt"})
    config = json.loads((own / "config.json").read_text())
    quantized = {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": ["lm_head"],
    }
    (own / "config.json").write_text(json.dumps(config | {"quantization_config": quantized}))
    found = opened(own, device="cpu")
    assert found.quantization == "stored:fp8"
    assert 0 < (logs(found) - logs(opened(folder, "none"))).abs().mean() < 1


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("gptq", "run `pip install optimum gptqmodel` to load them"),
        ("awq", "run `pip install gptqmodel` to load them"),
        ("compressed-tensors", "run `pip install compressed-tensors` to load them"),
        ("spqr", r"run `pip install spqr_quant\[gpu\]` to load them"),
    ],
)
def test_what_a_format_needs_is_named(own, monkeypatch, method, said):
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": method}}))
    monkeypatch.setattr(stored, "find_spec", lambda _: None)
    with pytest.raises(RalmError, match=f"own are stored as {method}: {said}"):
        opened(own)
    with pytest.raises(RalmError, match=rf"quantized already \({method}\)"):
        opened(own, "int8")
