"""The production set-up, as far as it can be checked without a container runtime."""

import re
import shutil
import subprocess

import pytest

from cli.places import ROOT
from cli.up.temporal import SEARCH_ATTRIBUTES
from settings import Settings

TEXT = (ROOT / "docker-compose.yml").read_text()
DOCKER = shutil.which("docker")
GIVEN = {"POSTGRES_PASSWORD": "p", "DUMONT_SECRET_KEYS": "k" * 32, "DUMONT_API_URL": "u", "DUMONT_GATEWAY_URL": "u"}


def has_compose() -> bool:
    """Whether `docker compose` is here; it reads the file without a running daemon."""
    return DOCKER is not None and subprocess.run([DOCKER, "compose", "version"], capture_output=True).returncode == 0


def test_images_are_pinned() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = re.findall(r"^\s+image: (\S+)$", TEXT, re.MULTILINE) + re.findall(
        r"^FROM (\S+)$", dockerfile, re.MULTILINE
    )
    assert len(images) >= 6
    assert all(re.search(r":\d+\.\d+", image) for image in images), images


def test_every_variable_of_ours_is_a_setting() -> None:
    named = {name.lower() for name in re.findall(r"DUMONT_([A-Z_]+)", TEXT)}
    assert named
    assert named <= set(Settings.model_fields), named - set(Settings.model_fields)


def test_the_namespace_has_the_search_attributes_of_a_local_installation() -> None:
    assert all(attribute.split("=")[0] in TEXT for attribute in SEARCH_ATTRIBUTES)


def test_the_image_takes_no_secrets_along() -> None:
    assert {".env", ".dumont", ".git"} <= set((ROOT / ".dockerignore").read_text().split())


@pytest.mark.skipif(not has_compose(), reason="no docker compose")
def test_docker_compose_reads_it() -> None:
    command = [DOCKER or "docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    read = subprocess.run(command, env=GIVEN, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
