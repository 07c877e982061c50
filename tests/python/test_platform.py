"""Platform files, as a shell works with them."""

import json
import os
import subprocess

import jsonschema
import pytest
import yaml

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7oNpZ1lT4sYJr8vWqf0uXkE3mC5bD9aHhG2cK6oP1Q test"
EXAMPLES = ["one-node", "three-nodes", "kowabunga-region", "openstack-lab"]


def platform(*arguments, directory=None, **variables):
    environment = {"PATH": os.environ["PATH"], "FREEHOLD_SSH_KEY": KEY, **variables}
    command = [os.environ["FREEHOLD"], "platform", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_and_valid(name, tmp_path):
    out = tmp_path / "new" / name
    written = platform("init", "--example", name, "--out", out)
    assert (written.returncode, written.stdout) == (0, ""), written.stderr
    assert (out / "platform.yaml").exists()
    assert "secrets.yaml" in (out / ".gitignore").read_text().splitlines()
    valid = platform("validate", out)
    assert (valid.returncode, valid.stdout) == (0, ""), valid.stderr
    assert valid.stderr.startswith("The platform ") and "warning" not in valid.stderr
    # A key that nobody has holds the place of the operator's.
    warned = platform("validate", out, FREEHOLD_SSH_KEY="")
    assert warned.returncode == 0 and "holds the place of yours" in warned.stderr


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "machines.yaml").write_text("mine")
    refused = platform("init", "--example", "three-nodes", "--out", tmp_path)
    assert refused.returncode == 5
    assert "already holds machines.yaml" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["machines.yaml"]
    assert (tmp_path / "machines.yaml").read_text() == "mine"


def test_faults_are_told_to_people_and_programs(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: x\nmachines:\n  a: { ssh: { host: a, prot: 22 } }\n  b: { number: none }\n")
    told = platform("validate", broken)
    assert (told.returncode, told.stdout) == (2, "")
    assert "did you mean `port`?" in told.stderr
    assert told.stderr.endswith("error: the platform has 2 errors\n")
    told = platform("validate", "--json", broken)
    assert (told.returncode, told.stderr) == (2, "")
    verdict = json.loads(told.stdout)
    assert (verdict["valid"], verdict["errors"], verdict["warnings"]) == (False, 2, 0)
    places = [(fault["file"], fault["line"], fault["column"]) for fault in verdict["faults"]]
    assert places == [(str(broken), 3, 24), (str(broken), 4, 16)]


def test_what_cannot_be_read_is_named(tmp_path):
    missing = platform("validate", tmp_path / "none.yaml")
    assert missing.returncode == 2 and "none.yaml cannot be read" in missing.stderr
    (tmp_path / "x.sops.yaml").write_text("a: ENC[]\nsops: {}\n")
    encrypted = platform("validate", tmp_path)
    assert encrypted.returncode == 2 and "x.sops.yaml cannot be decrypted" in encrypted.stderr


def test_an_encrypted_file_is_read_with_its_key_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir()

    def secrets(*arguments):
        command = [os.environ["FREEHOLD"], "secrets", *map(str, arguments)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    (tmp_path / "a.yaml").write_text("name: x\nmachines: { m: { ssh: { host: h } } }\n")
    (tmp_path / "late.sops.yaml").write_text("domain: hidden.example.org\n")
    secrets("init")
    secrets("encrypt", "late.sops.yaml")
    assert "hidden" not in (tmp_path / "late.sops.yaml").read_text()
    files = [tmp_path / "a.yaml", tmp_path / "late.sops.yaml"]
    opened = platform("validate", *files, HOME=str(home))
    assert opened.returncode == 0, opened.stderr
    closed = platform("validate", *files, HOME=str(tmp_path))
    assert closed.returncode == 2 and "late.sops.yaml cannot be decrypted" in closed.stderr
    assert "age1" in closed.stderr and "hidden" not in closed.stderr


def test_values_are_explained(tmp_path):
    (tmp_path / "a.yaml").write_text("name: x\ndomain: ${DOMAIN}\nmachines: { m: { ssh: { host: h } } }\n")
    (tmp_path / "b.yaml").write_text("profiles: { lab: { domain: lab.example.org } }\n")
    (tmp_path / "variables").write_text("DOMAIN=one.example.org\n")
    arguments = ["domain", "--file", tmp_path, "--env-file", tmp_path / "variables"]
    told = platform("explain", *arguments)
    assert told.returncode == 0, told.stderr
    assert "domain = one.example.org\n" in told.stdout
    chosen = json.loads(platform("explain", *arguments, "--profile", "lab", "--json").stdout)
    assert chosen["values"][0]["layer"] == "profile `lab`"
    assert chosen["values"][0]["replaced"][0]["place"].endswith("a.yaml:2:9")
    unknown = platform("explain", "domian", "-f", tmp_path)
    assert unknown.returncode == 3 and "did you mean `domain`?" in unknown.stderr


def test_keys_are_explained_without_a_platform(tmp_path):
    told = platform("explain", "services.etcd.client_port", directory=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert "default: 2379\n" in told.stdout


def test_the_schema_is_printed():
    schema = json.loads(platform("schema").stdout)
    assert schema["title"] == "Platform"
    jsonschema.Draft202012Validator.check_schema(schema)
    # A file may be a part of a platform.
    assert "required" not in schema


@pytest.mark.parametrize("name", EXAMPLES)
def test_editors_agree_with_the_examples(name, tmp_path):
    validator = jsonschema.Draft202012Validator(json.loads(platform("schema").stdout))
    platform("init", "--example", name, "--out", tmp_path)
    for path in tmp_path.glob("*.yaml"):
        faults = [fault.message for fault in validator.iter_errors(yaml.safe_load(path.read_text()))]
        assert faults == [], path.name
    assert list(validator.iter_errors({"machine": {}})) and list(validator.iter_errors({"machines": []}))
