"""A cloud under test: the built binary with a home of its own, its port, its end."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

#: How long anything may take that does not boot a machine, in seconds.
PATIENCE = 60


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, patience=PATIENCE):
    """Waits until the condition gives something true, and gives it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {patience} s: {what}")


def greeting(address, port):
    """What a server says first, as far as there is one."""
    try:
        with socket.create_connection((address, port), timeout=2) as stream:
            return stream.recv(64).decode(errors="replace")
    except OSError:
        return ""


def key_in(text):
    """The key or password that a mail hands over."""
    return re.search(r"^    (\S{16,})$", text, re.MULTILINE).group(1)


def has_ended(process):
    """Whether a process is gone, or waits only for whoever started it to notice."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Api:
    """What is asked outside the SDK; whoever is one has a `url` and a `master_key`."""

    def request(self, method, path, key=None):
        """A request outside the SDK; gives status and text."""
        headers = {"X-API-Key": key or self.master_key}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, method, path):
        """What a request that must work answers."""
        status, text = self.request(method, path)
        assert status == 200, f"{method} {path}: {status} {text}"
        return json.loads(text)

    def description(self):
        """The API's description of itself."""
        return self.json("GET", "/api/v1/openapi.json")

    def mails(self, to):
        """Texts of the outbox for an address, oldest first."""
        mails = self.json("GET", "/api/v1/outbox")
        return [mail["text"] for mail in mails if mail.get("to") == to]

    def follow(self, link):
        """Opens a mailed link and presses its button, as a person does; gives the page that comes."""
        path = re.sub(r"^https?://[^/]+", "", link)
        status, page = self.request("GET", path)
        assert status == 200 and "<form" in page, f"{status} {page}"
        status, page = self.request("POST", path)
        assert status == 200, f"{status} {page}"
        return page


class Cloud(Api):
    """`freehold up` in the background, plain HTTP on loopback."""

    def __init__(self, home: Path, *arguments: str, patience=PATIENCE):
        self.home = home
        self.binary = os.environ["FREEHOLD"]
        self.patience = patience
        self.arguments = ["--listen", f"127.0.0.1:{free_port()}", "--tls", "off", *arguments]
        self.start()

    def start(self):
        """Starts it, and returns when it is ready."""
        command = [self.binary, "up", "--home", str(self.home), "--detach", *self.arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=self.patience)
        assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
        credentials = json.loads((self.home / "credentials.json").read_text())
        self.url = credentials["url"]
        self.master_key = credentials["master_key"]

    def kill(self):
        """Ends it as a power cut would, controller and node alike."""
        process = int((self.home / "lock").read_text())
        os.kill(process, signal.SIGKILL)
        wait_for("the process is gone", lambda: has_ended(process))

    def stop(self):
        """Ends it in order."""
        command = [self.binary, "down", "--home", str(self.home)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
