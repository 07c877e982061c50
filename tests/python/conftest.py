"""Fixtures of all suites."""

import pytest
from cloud import Cloud


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts clouds, and ends them after the module's last test."""
    clouds = []

    def start(*arguments, **named):
        clouds.append(Cloud(tmp_path_factory.mktemp("home"), *arguments, **named))
        return clouds[-1]

    yield start
    for cloud in clouds:
        cloud.stop()
