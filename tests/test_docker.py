"""Images and compose file, by the rules that hold without a Docker engine."""

import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from feature_repo.contracts.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
ROLES = {"spark", "train", "serve", "airflow"}
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
VERSIONED = re.compile(r":[\w.-]*\d[\w.-]*$")
REQUIRED = re.compile(r"\$\{\w+:\?[^}]+\}")


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """(INSTRUCTION, arguments) in order, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def arguments(dockerfile: Path, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(dockerfile) if word == instruction]


def environments() -> dict[str, dict[str, str]]:
    return {name: service.get("environment", {}) for name, service in SERVICES.items()}


def test_every_role_has_an_image():
    assert {f.name.removesuffix(".Dockerfile") for f in DOCKERFILES} == ROLES | {"base"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda f: f.name)
def test_an_image_starts_from_a_pinned_one(dockerfile):
    base = arguments(dockerfile, "FROM")[0]
    if base == "${BASE}":
        base = arguments(dockerfile, "ARG")[0].removeprefix("BASE=")

    assert VERSIONED.search(base), base


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda f: f.name)
def test_an_image_runs_as_a_user_who_is_not_root(dockerfile):
    assert arguments(dockerfile, "USER")[-1] == "10001"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda f: f.name)
def test_what_an_image_copies_exists_and_is_let_through(dockerfile):
    ignored = set((ROOT / ".dockerignore").read_text().split())
    for copied in arguments(dockerfile, "COPY"):
        for source in copied.split()[:-1]:
            assert (ROOT / source).exists() and source.split("/")[0] not in ignored, source


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda f: f.name)
def test_an_image_installs_only_what_is_pinned(dockerfile):
    torch = re.search(r"^TORCH=(.+)$", (ROOT / "scripts" / "setup.sh").read_text(), flags=re.M)[1]
    for run in arguments(dockerfile, "RUN"):
        for install in re.findall(r"pip install [^&]+", run):
            assert torch in install or "--require-hashes" in install or "--editable ." in install, install


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_has_a_health_check_and_runs_without_a_shell(role):
    dockerfile = DOCKER / f"{role}.Dockerfile"

    assert '["' in arguments(dockerfile, "HEALTHCHECK")[0]
    assert all(command.startswith("[") for command in arguments(dockerfile, "CMD"))


def compose_is_here() -> bool:
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not compose_is_here(), reason="the docker client of this machine has no compose")
def test_the_docker_client_accepts_the_compose_file():
    names = set(re.findall(r"\$\{(\w+):\?", (DOCKER / "compose.yaml").read_text()))
    command = ["docker", "compose", "--file", str(DOCKER / "compose.yaml"), "config", "--quiet"]

    checked = subprocess.run(command, env=os.environ | dict.fromkeys(names, "/given"), capture_output=True, text=True)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_compose_has_every_part_of_the_system():
    assert set(SERVICES) == {
        *("spark-master", "spark-worker", "etcd", "minio", "milvus", "redis", "postgres", "train", "serving"),
        *("airflow-migrate", "airflow-api", "airflow-scheduler", "airflow-dag-processor"),
    }
    assert SERVICES["spark-worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_and_restarted_unless_it_ends_by_itself(name):
    service = SERVICES[name]
    if service["restart"] == "no":
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_and_what_it_builds_exists(name):
    service = SERVICES[name]

    assert VERSIONED.search(service["image"])
    if build := service.get("build"):
        assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_services_that_say_when_they_are_ready(name):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other]["restart"] == "no"
        assert wait == {"condition": "service_completed_successfully" if ends else "service_healthy"}


def test_every_setting_that_compose_gives_is_a_setting():
    known = {PREFIX + f.name.upper() for f in fields(Settings)}
    given = {name for environment in environments().values() for name in environment if name.startswith(PREFIX)}

    assert given and given <= known


def test_no_secret_is_written_down_and_none_has_a_default():
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$|SQL_ALCHEMY_CONN|AUTH$|FOUND_REDIS")
    found = [(n, v) for e in environments().values() for n, v in e.items() if secret.search(n)]

    assert len(found) > 5
    assert [(name, value) for name, value in found if not REQUIRED.search(value)] == []


def test_ports_are_published_on_the_loopback_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_no_two_services_publish_one_port():
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(ports) == len(set(ports))


def test_every_volume_is_used_and_every_used_one_is_declared():
    mounted = [
        mount.split(":")[0] for s in SERVICES.values() for mount in s.get("volumes", []) if mount[0] not in "./$"
    ]

    assert set(mounted) == set(COMPOSE["volumes"])
