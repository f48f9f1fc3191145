import json

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice


def said(choice):
    with pytest.raises(RalmError) as caught:
        choice.require()
    return str(caught.value)


def test_devices_are_a_cpu_a_gpu_or_whichever_there_is():
    for device in ("auto", "cpu", "cuda", "cuda:0", "cuda:11"):
        ReaderChoice(device=device).require()
    assert "valid are auto, cpu, cuda and cuda:1; did you mean cuda" in said(ReaderChoice(device="cuda1"))
    assert "Unknown device 'gpu'" in said(ReaderChoice(device="gpu"))


def test_what_has_kernels_on_gpus_alone_is_refused_on_a_cpu():
    for name in ("fp8", "int4"):
        assert f"The quantization {name} has kernels on GPUs alone" in said(
            ReaderChoice(quantization=name, device="cpu")
        )


def test_a_folder_is_looked_at_before_anything_is_loaded(tmp_path):
    model = tmp_path / "lm"
    model.mkdir()
    assert "no config.json" in said(ReaderChoice(str(model)))
    (model / "adapter_config.json").write_text("{}")
    assert "holds an adapter: give it as --adapter" in said(ReaderChoice(str(model)))
    (model / "config.json").write_text("{}")
    assert "holds no weights" in said(ReaderChoice(str(model)))
    (model / "pytorch_model.bin").write_bytes(b"")
    assert "are pickles (pytorch_model.bin), which may run code" in said(ReaderChoice(str(model)))
    ReaderChoice(str(model), allow_pickle=True).require()
    (model / "model.safetensors").write_bytes(b"")
    ReaderChoice(str(model)).require()


def test_an_adapter_is_looked_at_too(tmp_path):
    assert "holds no adapter: it has no adapter_config.json and is no folder" in said(
        ReaderChoice(adapter=str(tmp_path / "none"))
    )
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert said(ReaderChoice(adapter=str(tmp_path))).endswith("it has no adapter_config.json.")
    (tmp_path / "adapter_config.json").write_text(json.dumps({}))
    ReaderChoice(adapter=str(tmp_path)).require()
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    assert "are a pickle, which may run code" in said(ReaderChoice(adapter=str(tmp_path)))
    ReaderChoice(adapter=str(tmp_path), allow_pickle=True).require()
