"""What a shell sees of the binary itself, without a cloud."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_reader_that_has_seen_enough_is_no_failure(shell):
    reader, writer = os.pipe()
    os.close(reader)
    command = [os.environ["FREEHOLD"], "completions", shell]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")
