"""The roles as processes of their own, configured by files, as in a real cloud."""

import json
import os
import signal
import subprocess

import urllib3
from cloud import Api, free_port, wait_for


class Roles(Api):
    """`freehold controller` and `freehold node` as processes."""

    def __init__(self, home, address="127.0.0.1", **configuration):
        self.home = home
        self.binary = os.environ["FREEHOLD"]
        self.listen = f"{address}:{free_port()}"
        self.url = f"http://{self.listen}"
        self.processes = []
        self.controller = None
        self.configuration = self.write(
            "controller.json",
            {
                "listen": self.listen,
                "public_url": self.url,
                "store": str(home / "store.sqlite"),
                "secrets": str(home / "secrets.json"),
                "bootstrap": {"user": "admin", "pubkey": "ssh-ed25519 AAAA test"},
                "host_gateways": True,
                **configuration,
            },
        )

    @property
    def master_key(self):
        """The key that the controller made for itself."""
        return json.loads((self.home / "secrets.json").read_text())["master_key"]

    def write(self, name, document):
        """Writes a file that only we can read, and gives its path."""
        path = self.home / name
        path.write_text(json.dumps(document) if isinstance(document, dict) else document)
        path.chmod(0o600)
        return path

    def spawn(self, *arguments):
        """Starts a role."""
        log = open(self.home / f"{arguments[0]}.log", "ab")
        process = subprocess.Popen([self.binary, *map(str, arguments)], stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_controller(self):
        """Starts the controller, and returns when it answers."""
        self.controller = self.spawn("controller", "--config", self.configuration)
        http = urllib3.PoolManager()

        def is_up():
            assert self.controller.poll() is None, (self.home / "controller.log").read_text()[-4_000:]
            try:
                return http.request("GET", f"{self.url}/api/v1/openapi.json", retries=False).status < 500
            except urllib3.exceptions.HTTPError:
                return False

        wait_for("the controller answers", is_up)

    def kill_controller(self):
        """Kills it, as a power cut would."""
        self.controller.send_signal(signal.SIGKILL)
        self.controller.wait()

    def start_node(self, name, agent, key):
        """Starts a node on a simulated host."""
        state = self.home / name
        state.mkdir()
        configuration = {
            "agent": agent,
            "controller": self.url,
            "key_file": str(self.write(f"{name}.key", key)),
            "state": str(state),
        }
        self.spawn("node", "--simulated", "--config", self.write(f"{name}.json", configuration))

    def stop(self):
        """Ends all."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait()
