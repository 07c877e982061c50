"""The API's description of itself, judged by tools of others: is it valid, and does the server keep to it?"""

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

#: What must hold of every answer, whatever was asked.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


@pytest.fixture(scope="module")
def cloud(start):
    """A cloud that may be taken apart."""
    return start("--simulated", "1", "--no-demo")


def test_the_description_is_valid(cloud):
    description = cloud.description()
    validate(description)


def test_the_server_keeps_to_it(cloud):
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{cloud.url}/api/v1/openapi.json",
        f"--header=X-API-Key: {cloud.master_key}",
        "--header=Prefer: wait=0",
        f"--checks={','.join(CHECKS)}",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=5",
        "--seed=58",
        "--generation-database=none",
        "--request-timeout=20",
        "--max-time=90",
        "--no-color",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    assert cloud.request("GET", "/api/v1/region")[0] == 200
