"""The Kubernetes files: valid for every version named here, agreeing with each other and with the service.

kustomize puts them together; without it or kubectl each file is checked by itself. KEDA's kinds are no part
of Kubernetes, and nothing here has their schema: what they refer to is checked.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import sqlalchemy as sa
import yaml
from fastapi.routing import APIRoute

from service.api import system_routes as system
from service.records import database
from service.records.jobs import ACTIVE, JobState
from service.running.working import LAST_RESORT
from service.settings import Settings
from tests.docker.named import DOCKER, check_command, check_environment, targets

FOLDER = DOCKER / "kubernetes"
FILES = [path for path in sorted(FOLDER.rglob("*.yaml")) if path.name != "kustomization.yaml"]
BUILDS = ["base", "example"]
VERSIONS = ["1.31", "1.34", kubernetes_validate.latest_version()]
SECRET = re.findall(r"--from-literal=(\w+)=", (FOLDER / "base" / "kustomization.yaml").read_text("utf-8"))

Resource = dict[str, Any]


def rendered(build: str) -> list[Resource]:
    kustomize, kubectl = shutil.which("kustomize"), shutil.which("kubectl")
    if not kustomize and not kubectl:
        pytest.skip("There is neither kustomize nor kubectl here; each file is checked by itself.")
    command = [kustomize, "build"] if kustomize else [str(kubectl), "kustomize"]
    done = subprocess.run([*command, FOLDER / build], stdout=subprocess.PIPE, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(resources: list[Resource], kind: str) -> list[Resource]:
    return [resource for resource in resources if resource["kind"] == kind]


def pods(resources: list[Resource]) -> list[Resource]:
    return [deployment["spec"]["template"] for deployment in of_kind(resources, "Deployment")]


def containers(resources: list[Resource]) -> Iterator[Resource]:
    for pod in pods(resources):
        yield from pod["spec"]["containers"]


@pytest.fixture(params=BUILDS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    return rendered(request.param)


def check(resource: Resource, version: str) -> None:
    if not resource["apiVersion"].startswith("keda.sh/"):
        kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", VERSIONS)
def test_file_is_what_kubernetes_allows(path: Path, version: str) -> None:
    for resource in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        check(resource, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_build_is_what_kubernetes_allows(resources: list[Resource], version: str) -> None:
    for resource in resources:
        check(resource, version)


def test_a_wrong_field_would_be_found(resources: list[Resource]) -> None:
    pods(resources)[0]["spec"]["terminationGracePeriod"] = 20
    with pytest.raises(kubernetes_validate.ValidationError):
        check(of_kind(resources, "Deployment")[0], VERSIONS[-1])


def test_selectors_find_what_they_are_for(resources: list[Resource]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(resources)]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"] for deployment in of_kind(resources, "Deployment")
    ]
    assert selectors == labels
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        specs = [resource["spec"] for resource in of_kind(resources, kind)]
        found = [spec.get("selector", spec.get("podSelector"))["matchLabels"] for spec in specs]
        assert sorted(found, key=str) == sorted(labels, key=str)
    (service,) = of_kind(resources, "Service")
    assert [
        label["app.kubernetes.io/component"] for label in labels if label == service["spec"]["selector"]
    ] == ["api"]


def test_settings_are_real(resources: list[Resource], monkeypatch: pytest.MonkeyPatch) -> None:
    (settings,) = of_kind(resources, "ConfigMap")
    secret = {name: "postgresql://u:p@h/n" if name == "TURNWISE_DATABASE_URL" else "s" for name in SECRET}
    assert secret.keys() == {"TURNWISE_DATABASE_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    made = check_environment(settings["data"] | secret, monkeypatch)
    assert made.storage_url
    assert made.keys_required
    for container in containers(resources):
        names = [source.popitem()[1]["name"] for source in container["envFrom"]]
        assert names == [settings["metadata"]["name"], "turnwise"]


def test_no_variable_of_a_service_is_taken_for_a_setting(resources: list[Resource]) -> None:
    assert not any(pod["spec"]["enableServiceLinks"] for pod in pods(resources))


def test_images_are_targets(resources: list[Resource]) -> None:
    images = {container["image"] for container in containers(resources)}
    assert {image.rpartition(":")[2] for image in images} <= targets()
    assert {image.rpartition(":")[0].rpartition("/")[2] for image in images} == {"turnwise"}


def test_commands_are_ours(resources: list[Resource]) -> None:
    for container in containers(resources):
        check_command(container["args"])


def test_probes_ask_what_is_there(resources: list[Resource]) -> None:
    probes = [c[name] for c in containers(resources) for name in c if name.endswith("Probe")]
    asked = [probe["httpGet"] for probe in probes if "httpGet" in probe]
    paths = {route.path for route in system.router.routes if isinstance(route, APIRoute)}
    assert {ask["path"] for ask in asked} == {"/health/live", "/health/ready"} <= paths
    (api,) = [container for container in containers(resources) if "ports" in container]
    assert api["ports"] == [{"name": "http", "containerPort": Settings.model_fields["port"].default}]
    assert {ask["port"] for ask in asked} == {"http"}
    commands = [probe["exec"]["command"] for probe in probes if "exec" in probe]
    assert commands
    for program, *arguments in commands:
        assert program == "turnwise"
        check_command(arguments)


def test_has_time_to_leave(resources: list[Resource]) -> None:
    for pod in pods(resources):
        waits = [
            c["lifecycle"]["preStop"]["exec"]["command"][1]
            for c in pod["spec"]["containers"]
            if "lifecycle" in c
        ]
        assert pod["spec"]["terminationGracePeriodSeconds"] > LAST_RESORT + sum(map(int, waits))


def test_may_do_no_more_than_it_must(resources: list[Resource]) -> None:
    for pod in pods(resources):
        user = pod["spec"]["securityContext"]
        assert user["runAsNonRoot"]
        assert user["runAsUser"] == user["fsGroup"] == 10001
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    for container in containers(resources):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()


# --------------------------------------------------------------------------- what the example adds


def test_queue_scales_the_workers() -> None:
    resources = rendered("example")
    (scaled,), (access,) = of_kind(resources, "ScaledObject"), of_kind(resources, "TriggerAuthentication")
    (trigger,) = scaled["spec"]["triggers"]
    workers = [
        deployment
        for deployment in of_kind(resources, "Deployment")
        if deployment["metadata"]["name"] == scaled["spec"]["scaleTargetRef"]["name"]
    ]
    assert [worker["spec"].get("replicas") for worker in workers] == [None]
    assert trigger["authenticationRef"]["name"] == access["metadata"]["name"]
    assert [(each["name"], each["key"]) for each in access["spec"]["secretTargetRef"]] == [
        ("turnwise", SECRET[0])
    ]
    assert trigger["metadata"]["targetQueryValue"] == str(Settings.model_fields["concurrency"].default)


def test_query_counts_the_jobs_that_have_not_ended() -> None:
    text = (FOLDER / "components" / "autoscaling" / "queue.yaml").read_text(encoding="utf-8")
    scaled = next(yaml.safe_load_all(text))
    engine = sa.create_engine("sqlite://")
    database.metadata.create_all(engine)
    row = {"fingerprint": "", "owner": "", "created": 0.0, "revision": 0, "notify": False}
    with engine.begin() as connection:
        for state in JobState:
            connection.execute(sa.insert(database.jobs).values(id=state.value, state=state.value, **row))
        query = sa.text(scaled["spec"]["triggers"][0]["metadata"]["query"])
        assert connection.execute(query).scalar_one() == len(ACTIVE)
    engine.dispose()


def test_graphics_card_is_for_workers() -> None:
    api, worker = sorted(containers(rendered("example")), key=lambda container: str(container["name"]))
    assert (api["name"], api["image"]) == ("api", "registry.example.org/turnwise:embedded")
    assert (worker["name"], worker["image"]) == ("worker", "registry.example.org/turnwise:gpu")
    assert "nvidia.com/gpu" not in api["resources"]["limits"]
    assert worker["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
