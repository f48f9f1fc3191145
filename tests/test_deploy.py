"""What stands in deploy/: it parses, and the commands in it are ralm's. No image is built here."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from pipelines.commands.serve import Admission
from serve.admission.access import is_open
from tests.documents.commands import require_options

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
UNIT = (DEPLOY / "ralm.service").read_text()


def instruction(name):
    """The last one of a Dockerfile, which is the one that counts."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


def composed():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["ralm"]


def unit():
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(UNIT)
    return parser["Service"]


def kuberay():
    return list(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text()))


def pods():
    """Templates of Ray's head and workers."""
    cluster = kuberay()[0]["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def shown():
    """Each command that is run, by the file that has it."""
    (entry,) = json.loads(instruction("ENTRYPOINT"))
    gpu = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]["ralm"]
    program, *words = shlex.split(unit()["ExecStart"])
    return {
        "Dockerfile": (entry, *json.loads(instruction("CMD"))),
        "compose.yaml": (entry, *composed()["command"]),
        "compose.gpu.yaml": (entry, *gpu["command"]),
        "ralm.service": (Path(program).name, *words),
    }


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "compose.gpu.yaml", "ralm.service"])
def test_each_command_is_one_of_ralms(file):
    words = shown()[file]
    assert words[:2] == ("ralm", "serve")
    require_options(words)


def test_the_image_is_built_of_what_is_installed_and_of_nothing_else():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    packages = {name.partition(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]}
    assert kept == packages | {"pyproject.toml", "LICENSE", PROJECT["project"]["readme"]}
    assert all((ROOT / name).exists() for name in kept)


def test_the_image_installs_what_make_installs():
    makefile = (ROOT / "Makefile").read_text()
    for what in re.findall(r"torch==[\d.]+", DOCKERFILE) + re.findall(r"--no-deps (.+)$", DOCKERFILE, re.M):
        assert what in makefile
    assert {"cpu", "gpu", "s3"} <= set(PROJECT["project"]["optional-dependencies"])
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    python = re.search(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.M)[1]
    assert [int(part) for part in python.split(".")] >= [int(part) for part in least.split(".")]


def test_the_image_for_ray_has_what_the_extra_has_and_is_the_one_that_kuberay_runs():
    text = (DEPLOY / "Dockerfile.ray").read_text()
    (wanted,) = PROJECT["project"]["optional-dependencies"]["scale"]
    assert f'RUN pip install "{wanted}"' in text
    assert f"USER {instruction('USER')}\n" in text
    cluster = kuberay()[0]["spec"]["rayClusterConfig"]
    containers = [container for pod in pods() for container in pod["spec"]["containers"]]
    assert all(f"-t {container['image']} ." in text for container in containers)
    version = tuple(map(int, cluster["rayVersion"].split(".")[:2]))
    assert version == tuple(map(int, re.search(r">=([\d.]+)", wanted)[1].split(".")))


def test_on_kubernetes_all_may_ask_the_service_and_none_but_ray_and_its_operator_ray():
    service, policy = kuberay()
    assert policy["kind"] == "NetworkPolicy"
    chosen = policy["spec"]["podSelector"]["matchLabels"]
    assert all(chosen.items() <= pod["metadata"]["labels"].items() for pod in pods())
    to_all, to_some = policy["spec"]["ingress"]
    port = yaml.safe_load(service["spec"]["serveConfigV2"])["http_options"]["port"]
    assert to_all == {"ports": [{"port": port}]}
    own, operator = (one["podSelector"]["matchLabels"] for one in to_some["from"])
    assert own == chosen
    assert operator == {"app.kubernetes.io/name": "kuberay-operator"}
    named = {port["name"] for pod in pods() for one in pod["spec"]["containers"] for port in one["ports"]}
    assert named == {"gcs-server", "dashboard", "serve"}  # No client's: it runs whatever it is sent.


def test_the_image_runs_as_nobody_of_note_and_is_asked_without_a_key():
    assert int(instruction("USER")) > 0
    (path,) = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", instruction("HEALTHCHECK"))
    assert is_open(path)
    assert (instruction("EXPOSE"), " ".join(shown()["Dockerfile"][-2:])) == ("8000", "--port 8000")


def test_a_container_is_asked_with_a_key_from_its_own_machine():
    service = composed()
    # The same variable that the command reads.
    (key,) = Admission.__annotations__["api_key"].__metadata__
    assert service["environment"][key.envvar].startswith(f"${{{key.envvar}:?")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    given = set(service["build"]["args"])
    assert given <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.M))
    mounted = {one.rsplit(":ro", 1)[0].rsplit(":", 1)[1] for one in service["volumes"]}
    assert mounted == {"/store", instruction("VOLUME")}


def test_a_unit_may_do_no_more_than_serve():
    found = unit()
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "DynamicUser": "yes",
        "CapabilityBoundingSet": "",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert found["EnvironmentFile"]
    assert "--api-key" not in found["ExecStart"]


def test_the_linters_that_are_here_find_nothing(tmp_path):
    """Of systemd: it wants the program to be there. Of Dockerfiles, if hadolint is installed."""
    if shutil.which("systemd-analyze"):
        there = tmp_path / "ralm.service"
        there.write_text(UNIT.replace("/opt/ralm/bin/ralm", shutil.which("true")))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(there)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    if shutil.which("hadolint"):
        subprocess.run(["hadolint", str(DEPLOY / "Dockerfile")], check=True)
