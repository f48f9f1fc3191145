import json

import pytest

from base.errors import RalmError
from base.foreign import Refused
from lm.backends.stored import require_loadable, stored_format


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({}, None),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
        ({"compression_config": {"config_groups": {}, "format": "x"}}, "compressed-tensors"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
        ({"quantization_config": {"quant_method": "of tomorrow"}}, "of tomorrow"),
    ],
)
def test_a_format_is_found_in_the_configuration(tmp_path, config, method):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    assert stored_format(str(tmp_path)) == method


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises((Refused, OSError)):
        stored_format(str(tmp_path))


def test_what_runs_on_gpus_alone_is_refused_on_a_cpu(monkeypatch):
    monkeypatch.setattr("lm.backends.stored.find_spec", lambda _: True)
    with pytest.raises(RalmError, match="x are stored as spqr, which has kernels on GPUs alone"):
        require_loadable("x", "spqr", None, cpu=True)
    for written in (None, "stored"):
        require_loadable("x", "spqr", written, cpu=False)
        require_loadable("x", "of tomorrow", written, cpu=True)
