"""What a config of Ray Serve says: as the command's options are, and as the files in deploy/ have it."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from base.errors import RalmError
from pipelines.commands.serve import Admission
from serve.admission.keys import add_key
from serve.scaled.arguments import Arguments
from serve.scaled.front import Served

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_defaults_are_those_of_the_command(monkeypatch):
    monkeypatch.delenv("RALM_API_KEY", raising=False)
    usual = Admission().settings()
    assert Arguments(stores=("a",), batches=1).served() == Served(("a",), settings=usual)
    assert Arguments(stores=("a",)).served().settings == replace(usual, batches=8)


def test_keys_are_those_of_the_file_and_of_the_environment(tmp_path, monkeypatch):
    add_key(tmp_path / "keys.jsonl", "ann")
    monkeypatch.setenv("RALM_API_KEY", "one two")
    served = Arguments(stores=("a",), keys=tmp_path / "keys.jsonl").served()
    assert [key.name for key in served.settings.keys] == ["api-key-1", "api-key-2", "ann"]
    monkeypatch.setenv("RALM_API_KEY", "")
    with pytest.raises(RalmError, match="Keys are asked for and there is none"):
        Arguments(stores=("a",)).served()


@pytest.mark.parametrize(
    "wrong", [{}, {"stores": []}, {"stores": ["a"], "replicas": 3}, {"stores": ["a"], "rate": 0}]
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises(ValidationError):
        Arguments.model_validate(wrong)


def configs():
    cluster, _ = yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())
    return yaml.safe_load((DEPLOY / "ray-serve.yaml").read_text()), cluster


def test_the_configs_are_ray_serves_and_their_arguments_ours():
    from ray._common.utils import import_attr
    from ray.serve.schema import ServeDeploySchema

    plain, cluster = configs()
    assert yaml.safe_load(cluster["spec"]["serveConfigV2"]) == plain
    (application,) = ServeDeploySchema.model_validate(plain).applications
    assert callable(import_attr(application.import_path))
    arguments = Arguments.model_validate(application.args)
    assert arguments.keys is not None  # It listens on all addresses.
    groups = [f"searcher-{number}" for number in range(arguments.searchers)]
    named = [one.name for one in application.deployments]
    assert named == ["front", "encoder", *groups, "reader"]


def test_what_a_pod_mounts_is_what_is_served():
    plain, cluster = configs()
    arguments = Arguments.model_validate(plain["applications"][0]["args"])
    spec = cluster["spec"]["rayClusterConfig"]
    workers = [group["template"] for group in spec["workerGroupSpecs"]]
    for template in (spec["headGroupSpec"]["template"], *workers):
        (container,) = template["spec"]["containers"]
        mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert {*arguments.stores, str(arguments.keys.parent)} <= set(mounted)
        assert set(mounted.values()) == {one["name"] for one in template["spec"]["volumes"]}
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert ports["serve"] == plain["http_options"]["port"]
        assert template["spec"]["securityContext"]["runAsUser"] > 0


def test_the_replicas_that_begin_have_room_on_the_nodes_that_begin():
    plain, cluster = configs()
    deployments = plain["applications"][0]["deployments"]
    (workers,) = cluster["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    cpus = int(container["resources"]["limits"]["cpu"])
    each = [
        one["ray_actor_options"]["num_cpus"]
        for one in deployments
        for _ in range(one.get("num_replicas") or one["autoscaling_config"]["min_replicas"])
    ]
    nodes = [cpus] * workers["minReplicas"]
    for wanted in sorted(each, reverse=True):
        nodes[nodes.index(max(nodes))] -= wanted
    assert min(nodes) >= 0
