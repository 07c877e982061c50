"""Hosts on this machine: each a network namespace with a libvirt of its own, as on a machine of its own."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import kowabunga as sdk
from cloud import key_in, wait_for
from roles import Roles

#: Directories that each host's libvirt has for itself.
OWN = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}


def run(*command, **named):
    """Runs what must work, and gives its output."""
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, **named)
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


class Wire:
    """A bridge that joins hosts, and a certificate authority that they trust."""

    def __init__(self, home: Path):
        self.home = home
        self.name = f"fhw{secrets.token_hex(4)}"
        self.address = "198.18.60.254"

    def __enter__(self):
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", f"{self.address}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        key, certificate = self.home / "ca.key", self.home / "ca.pem"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hosts"
        run(*make.split(), "-keyout", key, "-out", certificate)
        return self

    def __exit__(self, *_):
        run("ip", "link", "delete", self.name)

    def certify(self, name, address):
        """Files with a key and a certificate for an address, for servers and clients."""
        key, request, certificate = (self.home / f"{name}.{end}" for end in ("key", "csr", "pem"))
        make = f"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}"
        run(*make.split(), "-keyout", key, "-out", request)
        extensions = self.home / f"{name}.extensions"
        extensions.write_text(f"subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth\n")
        sign = ["openssl", "x509", "-req", "-days", "2", "-CAcreateserial", "-CA", self.home / "ca.pem"]
        run(*sign, "-CAkey", self.home / "ca.key", "-in", request, "-out", certificate, "-extfile", extensions)
        return key, certificate


class Host:
    """A host: its namespaces, its libvirt, and directories that only it sees."""

    def __init__(self, wire: Wire, name, address, shared: Path, world=None):
        self.wire, self.name, self.address, self.shared, self.world = wire, name, address, shared, world
        self.home = wire.home / name
        self.space = f"{wire.name}{name}"
        self.uplink = f"{wire.name[:10]}{name[:4]}"
        self.keeper = None
        self.processes = []
        self.stations = []
        self.cables = []

    def __enter__(self):
        for directory in OWN:
            (self.home / directory).mkdir(parents=True)
        (self.home / "own").mkdir()
        self.configure()
        run("ip", "netns", "add", self.space)
        run("ip", "link", "add", self.uplink, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        self.cables.append(self.uplink)
        run("ip", "link", "set", self.uplink, "master", self.wire.name, "up")
        self.inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in "eth0", "lo":
            self.inside("ip", "link", "set", link, "up")
        if self.world:
            outside = f"{self.world.name[:10]}{self.name[:4]}"
            run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth1", "netns", self.space)
            self.cables.append(outside)
            run("ip", "link", "set", outside, "master", self.world.name, "up")
        try:
            self.keeper = self.keep()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def configure(self):
        """Writes what libvirt reads: it takes machines over TLS alone."""
        key, certificate = self.wire.certify(self.name, self.address)
        authority = self.wire.home / "ca.pem"
        pki = self.home / "pki"
        (pki / "libvirt/private").mkdir(parents=True)
        for directory in "CA", "qemu":
            (pki / directory).mkdir()
        shutil.copy(authority, pki / "CA/cacert.pem")
        shutil.copy(authority, pki / "qemu/ca-cert.pem")
        for role in "server", "client":
            shutil.copy(certificate, pki / f"libvirt/{role}cert.pem")
            shutil.copy(key, pki / f"libvirt/private/{role}key.pem")
            shutil.copy(certificate, pki / f"qemu/{role}-cert.pem")
            shutil.copy(key, pki / f"qemu/{role}-key.pem")
        daemon = {"listen_tls": 1, "listen_tcp": 0, "listen_addr": self.address, "auth_unix_rw": "none"}
        daemon["host_uuid"] = str(uuid.uuid4())
        # One cgroup tree for all hosts of this machine would have their guests' names collide.
        guests = {"user": "root", "group": "root", "default_tls_x509_verify": 1, "migration_address": self.address}
        for file, settings in (("libvirtd.conf", daemon), ("qemu.conf", guests), ("virtlogd.conf", {"log_level": 3})):
            lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in settings.items()]
            if file == "qemu.conf":
                lines.append("cgroup_controllers = []")
            (self.home / "etc" / file).write_text("\n".join(lines) + "\n")

    def keep(self):
        """A process that holds the namespaces; what is run on the host joins it."""
        binds = [f"mount --bind {self.home / own} {place}" for own, place in OWN.items()]
        script = [
            "set -e",
            "mount --make-rprivate /",
            f"hostname {self.name}",
            f"mkdir -p /etc/pki /run/libvirt {' '.join(OWN.values())} {self.shared}",
            "mount -t tmpfs tmpfs /run/libvirt",
            *binds,
            f"mount --bind {self.home / 'pki'} /etc/pki",
            f"mount --bind {self.home / 'own'} {self.shared}",
            "echo ready",
            "exec sleep infinity",
        ]
        command = ["ip", "netns", "exec", self.space, "unshare", "--mount", "--uts", "bash", "-c", "\n".join(script)]
        keeper = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert keeper.stdout.readline() == "ready\n"
        return keeper

    def inside(self, *command, **named):
        """Runs in the host's network alone."""
        return run("ip", "netns", "exec", self.space, *command, **named)

    def prefix(self):
        """What a command starts with that is to run on the host."""
        return ["nsenter", "--target", str(self.keeper.pid), "--mount", "--net", "--uts"]

    def run(self, *command, **named):
        """Runs on the host what must work."""
        return run(*self.prefix(), *command, **named)

    def spawn(self, *command, log):
        """Starts a process on the host."""
        with open(self.home / log, "ab") as output:
            command = [*self.prefix(), *map(str, command)]
            process = subprocess.Popen(command, stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def start(self):
        """Starts libvirt, and returns when it answers."""
        self.run("virtlogd", "-d", "-p", self.home / "virtlogd.pid")
        self.run("libvirtd", "-d", "--listen", "-p", self.home / "libvirtd.pid")

        def answers():
            probe = [*self.prefix(), "virsh", "-c", "qemu:///system", "uri"]
            return subprocess.run(probe, capture_output=True).returncode == 0

        wait_for(f"the libvirt of {self.name} answers", answers)

    def pids(self):
        """Every process of the host but the one that holds it. Guests have mounts of their own, gateways networks."""
        spaces = {kind: os.readlink(f"/proc/{self.keeper.pid}/ns/{kind}") for kind in ("net", "mnt")}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                own = any(os.readlink(entry / "ns" / kind) == space for kind, space in spaces.items())
            except OSError:
                continue
            if own and int(entry.name) != self.keeper.pid:
                found.append(int(entry.name))
        return found

    def named(self, name):
        """The processes of the host with a name."""
        return [pid for pid in self.pids() if comm(pid).startswith(name)]

    def plug(self, bridge, address):
        """A station on a bridge of the host, such as another machine would be; gives what its commands start with."""
        station = f"{self.space}s"
        run("ip", "netns", "add", station)
        self.stations.append(station)
        run("ip", "link", "add", "port", "netns", self.space, "type", "veth", "peer", "name", "eth0", "netns", station)
        self.inside("ip", "link", "set", "port", "master", bridge, "up")
        run("ip", "-n", station, "address", "add", address, "dev", "eth0")
        run("ip", "-n", station, "link", "set", "eth0", "up")
        return ["ip", "netns", "exec", station]

    def kill(self, *names):
        """Kills the processes of these names, as a power cut would."""
        for pid in (pid for name in names for pid in self.named(name)):
            os.kill(pid, signal.SIGKILL)
        wait_for("they are gone", lambda: not any(self.named(name) for name in names))

    def virsh(self, *arguments):
        """What the host's libvirt tells."""
        return self.run("virsh", "--quiet", "-c", "qemu:///system", *arguments)

    def __exit__(self, *_):
        """Ends all that runs on the host, and takes the host away."""
        for pid in self.pids() if self.keeper else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.wait()
        if self.keeper:
            self.keeper.kill()
            self.keeper.wait()
        # A kernel may keep a namespace for a while; its cables go now.
        for end in self.cables:
            run("ip", "link", "delete", end)
        for space in [*self.stations, self.space]:
            run("ip", "netns", "delete", space)


def comm(pid):
    """The name of a process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class Pings:
    """Asks an address twenty times a second whether it is there."""

    def __init__(self, station, address):
        command = ["ping", "-n", "-D", "-O", "-i", "0.05", address]
        self.process = subprocess.Popen(
            [*station, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def stop(self, after=1):
        """Ends it after some seconds; gives the longest silence in seconds."""
        time.sleep(after)
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate()
        times = [float(line[1 : line.index("]")]) for line in output.splitlines() if "bytes from" in line]
        assert len(times) > 20, output[-1_000:]
        return max(after - before for before, after in zip(times, times[1:]))


class Cloud:
    """A controller, and hosts that share no storage. With a world, they have an uplink to it."""

    def __init__(self, home: Path, names, world=False):
        self.home, self.names, self.world = home, names, world
        self.hosts, self.agents = {}, []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            self.wire = self.stack.enter_context(Wire(self.home))
            self.outside = self.stack.enter_context(World()) if self.world else None
            for number, name in enumerate(self.names, 1):
                host = Host(self.wire, name, f"198.18.60.{number}", self.home / "pool", self.outside)
                self.hosts[name] = self.stack.enter_context(host)
            self.key = self.home / "guest"
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
            bootstrap = {"user": "admin", "pubkey": self.key.with_suffix(".pub").read_text().strip()}
            self.roles = Roles(self.home, self.wire.address, host_gateways=False, bootstrap=bootstrap)
            self.stack.callback(self.roles.stop)
            self.roles.start_controller()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def register(self, operator, name, kind, state):
        """Registers an agent; gives its id, and the start of its node's configuration."""
        agent = operator.create_agent(agent=sdk.Agent(name=name, type=kind)).id
        operator.set_agent_api_token(agent_id=agent)
        state.mkdir()
        key = self.roles.write(f"{name}.key", key_in(self.roles.mails(None)[-1]))
        configuration = {"agent": agent, "controller": self.roles.url, "key_file": str(key), "state": str(state)}
        return agent, configuration

    def join_edge(self, operator, region, host):
        """Registers an edge of a region on a host; gives what its node is started with."""
        name = f"edge-{host.name}"
        # The servers run as a user of their own, who must pass to their files.
        directory = Path(tempfile.mkdtemp(prefix="freehold-edge-", dir="/var/tmp"))
        directory.chmod(0o755)
        self.stack.callback(shutil.rmtree, directory, ignore_errors=True)
        agent, configuration = self.register(operator, name, "Kiwi", directory / "state")
        configuration |= {"role": "Kiwi", "address": host.address}
        configuration["edge"] = {"listen": [host.address], "allow_from": ["198.18.0.0/15"]}
        operator.create_region_kiwi(region_id=region, kiwi=sdk.Kiwi(name=name, agents=[agent]))
        return [self.roles.binary, "node", "--config", self.roles.write(f"{name}.json", configuration)]

    def join(self, operator, zone, host):
        """Registers a host in a zone, and starts its node."""
        agent, configuration = self.register(operator, host.name, "Kaktus", host.home / "state")
        configuration |= {
            "address": host.address,
            "migration_uri": f"qemu+tls://{host.address}/system",
            "image_directories": [str(self.home)],
            **({"uplink": "eth1"} if self.outside else {}),
        }
        configuration = self.roles.write(f"{host.name}.json", configuration)
        host.spawn(self.roles.binary, "node", "--config", configuration, log="node.log")
        self.agents.append(agent)
        kaktus = operator.create_zone_kaktus(zone_id=zone, kaktus=sdk.Kaktus(name=host.name, agents=[agent])).id
        wait_for(f"{host.name} is connected", lambda: operator.read_kaktus_caps(kaktus_id=kaktus).memory, 30)
        return kaktus

    def make_image(self, operator, region):
        """A tiny image that every host fetches, each for its own part of the pool."""
        file = self.home / "tiny.qcow2"
        run(self.roles.binary, "image", "build", "tiny", "--out", file)
        pool = sdk.StoragePool(name="local", pool=f"dir:{self.home / 'pool'}/freehold", agents=self.agents)
        pool = operator.create_region_storage_pool(region_id=region, storage_pool=pool).id
        image = sdk.Template(name="tiny", os="linux", source=f"file://{file}")
        return operator.create_storage_pool_template(pool_id=pool, template=image).id


class World:
    """What lies outside of the cloud: a bridge that the uplinks of hosts end in, with an address of the outside."""

    def __init__(self):
        self.name = f"fhx{secrets.token_hex(4)}"
        self.address = "198.18.61.1"

    def __enter__(self):
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", f"{self.address}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        return self

    def __exit__(self, *_):
        run("ip", "link", "delete", self.name)
