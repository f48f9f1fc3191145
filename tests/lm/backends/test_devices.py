import pytest
import torch

from base.errors import RalmError
from lm.backends import devices
from lm.backends.devices import Offload, best_dtype, file_bytes, placement, settled


def test_a_gpu_is_taken_if_there_is_one():
    assert settled("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert settled("cpu").type == "cpu"
    with pytest.raises(RalmError, match="There is no cuda:99 for the reader: this machine has"):
        settled("cuda:99")


def test_what_fits_lies_in_one_place_and_what_does_not_is_spread(monkeypatch):
    monkeypatch.setattr(devices, "available_memory", lambda: 1000)
    cpu = torch.device("cpu")
    assert placement(cpu, 800) == {"device_map": {"": cpu}}
    assert placement(cpu, 801) == {"device_map": "auto", "max_memory": {"cpu": 800}}
    assert placement(cpu, None) == {"device_map": {"": cpu}}
    monkeypatch.setattr(devices, "available_memory", lambda: None)
    assert placement(cpu, 801) == {"device_map": {"": cpu}}


def test_a_gpu_that_is_too_small_is_joined_by_others_and_by_memory(monkeypatch):
    monkeypatch.setattr(devices, "available_memory", lambda: 1000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (500, 700))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    one = torch.device("cuda:1")
    assert placement(one, 400) == {"device_map": {"": one}}
    assert placement(one, 401)["max_memory"] == {1: 400, "cpu": 800}
    assert placement(torch.device("cuda"), None)["max_memory"] == {0: 400, 1: 400, "cpu": 800}


def test_files_tell_the_most_that_weights_take(tmp_path):
    (tmp_path / "model-1.safetensors").write_bytes(b"x" * 10)
    (tmp_path / "model-2.safetensors").write_bytes(b"x" * 6)
    (tmp_path / "tokenizer.json").write_bytes(b"x" * 100)
    assert file_bytes(str(tmp_path), torch.bfloat16) == 16
    assert file_bytes(str(tmp_path), torch.float32) == 32
    assert file_bytes("org/name", torch.float32) is None


def test_an_offload_goes_with_its_model(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, offload = torch.nn.Linear(1, 1), Offload()
    offload.belongs_to(model)
    assert list(tmp_path.iterdir())
    del offload
    assert list(tmp_path.iterdir())
    del model
    assert not list(tmp_path.iterdir())
    # Of a model that could not be loaded nothing stays.
    unwanted = Offload()
    assert list(tmp_path.iterdir())
    del unwanted
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
def test_a_gpu_computes_in_16_bits():
    assert best_dtype("cuda") in (torch.bfloat16, torch.float16)
