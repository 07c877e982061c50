"""Two projects in three zones, on hosts with a network each: who reaches whom, and what is seen on the wire."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
from types import SimpleNamespace

import kowabunga as sdk
import pytest
from client import Client
from cloud import greeting, wait_for
from hosts import Cloud, Pings

MIB, GIB = 1 << 20, 1 << 30
#: How long guests may take to boot without hardware acceleration, in seconds.
BOOT = 180
#: The longest that an address may be away when the host that holds it dies, in seconds. It takes less than one where
#: nothing else runs; this is not a measurement.
AWAY = 5

#: Prints the frames that pass an interface, as hexadecimal.
CAPTURE = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind((sys.argv[1], 0))
print("ready", flush=True)
while True:
    print(s.recv(2048).hex(), flush=True)
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """Three hosts, one for each zone, and a world outside."""
    with Cloud(tmp_path_factory.mktemp("hosts"), ["one", "two", "three"], world=True) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def story(cloud):
    """Projects red and blue: two guests of red in two zones, one of blue beside the first."""
    roles = cloud.roles
    operator = Client(roles.url, key=roles.master_key, wait=BOOT)
    story = SimpleNamespace(cloud=cloud, operator=operator, world=cloud.outside.address, zones={}, kaktus={})
    story.hasty = Client(roles.url, key=roles.master_key)
    story.region = operator.create_region(region=sdk.Region(name="lab", domain="lab.example.org")).id
    for name, host in cloud.hosts.items():
        story.zones[name] = operator.create_region_zone(region_id=story.region, zone=sdk.Zone(name=f"zone-{name}")).id
        story.kaktus[name] = cloud.join(operator, story.zones[name], host)
    image = cloud.make_image(operator, story.region)
    network(story, "public", False, "198.18.61")
    for number, name in enumerate(("red", "blue"), 70):
        network(story, name, True, f"10.87.{number}")
    story.projects, story.gateways, story.guests = {}, {}, {}
    for name in "red", "blue":
        project = sdk.Project(name=name, domain=f"{name}.example.org", teams=[], regions=[story.region])
        story.projects[name] = operator.create_project(project=project, subnet_size=24).id
        place = {"project_id": story.projects[name], "region_id": story.region}
        story.gateways[name] = operator.create_project_region_kawaii(**place, kawaii=sdk.Kawaii())
    for project, name, host in ("red", "red-1", "one"), ("red", "red-2", "two"), ("blue", "blue-1", "one"):
        compute = sdk.Kompute(name=name, memory=192 * MIB, vcpus=1, disk=GIB, uefi=False)
        made = story.hasty.create_project_zone_kompute(
            project_id=story.projects[project], zone_id=story.zones[host], kompute=compute, template_id=image
        )
        story.guests[name] = SimpleNamespace(id=made.id, address=made.ip, project=project, host=host)
    # Shells come through the gateway, one port for each guest.
    for project in "red", "blue":
        forward(story, project)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: wait_for(f"{name} takes commands", lambda: says(story, name, "true"), BOOT), story.guests))
    return story


def network(story, name, private, prefix):
    """A network with a range of addresses."""
    wish = sdk.VNet(name=name, vlan=0, interface=f"fhb{story.cloud.wire.name[3:9]}{name[0]}", private=private)
    made = story.operator.create_region_v_net(region_id=story.region, v_net=wish).id
    gateways = [sdk.IpRange(first=f"{prefix}.2", last=f"{prefix}.29")]
    wish = sdk.Subnet(name=name, cidr=f"{prefix}.0/24", gateway=f"{prefix}.1", gw_pool=gateways)
    story.operator.create_v_net_subnet(vnet_id=made, subnet=wish)


def forward(story, project, **more):
    """Leads ports of the gateway to the guests of a project: their shells, and what more is said."""
    guests = [guest for guest in story.guests.values() if guest.project == project]
    shells = [sdk.KawaiiDNatRule(destination=guest.address, ports="22") for guest in guests[:1]]
    rules = shells + more.pop("dnat", [])
    change = sdk.KawaiiUpdate(dnat=rules, **more)
    story.operator.update_kawaii(kawaii_id=story.gateways[project].id, kawaii_update=change)


def public_addresses(story, project):
    """The public addresses of a project's gateway, one for each zone."""
    return story.operator.read_kawaii(kawaii_id=story.gateways[project].id).netip.public


def public(story, project):
    return public_addresses(story, project)[0]


def ssh(story, name, command):
    """A command line that runs something in a guest; those that no port leads to are reached through the first."""
    guest = story.guests[name]
    options = ["-q", "-i", story.cloud.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "ConnectTimeout=5", "-o", "BatchMode=yes"]
    first = next(other for other in story.guests.values() if other.project == guest.project)
    entry = public(story, guest.project)
    if guest is not first:
        jump = " ".join(map(str, ["ssh", *options, "-W", "%h:%p", f"admin@{entry}"]))
        options += ["-o", f"ProxyCommand={jump}"]
        entry = guest.address
    return list(map(str, ["ssh", *options, f"admin@{entry}", command]))


def says(story, name, command, patience=20):
    """Whether a command works in a guest."""
    try:
        return subprocess.run(ssh(story, name, command), capture_output=True, timeout=patience).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def pings(story, name, address):
    return says(story, name, f"sudo ping -c 2 -W 2 {address}")


def port(story, name):
    """The name of a guest's port on its host."""
    operator = story.operator
    instance = next(i for i in operator.list_instances() if operator.read_instance(instance_id=i).name == name)
    adapter = operator.read_instance(instance_id=instance).adapters[0]
    return "fht" + operator.read_adapter(adapter_id=adapter).mac.replace(":", "")


def captured(story, name, act):
    """The frames at a guest's port while something is done."""
    host = story.cloud.hosts[story.guests[name].host]
    command = [*host.prefix(), "python3", "-c", CAPTURE, port(story, name)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    act()
    process.send_signal(signal.SIGTERM)
    return process.communicate()[0].split()


class Server:
    """Takes connections of the world, notes who came, and hangs up."""

    def __init__(self, address):
        self.listener, self.peers = socket.create_server((address, 0)), []
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                stream, peer = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            stream.close()


def hexadecimal(address):
    return socket.inet_aton(address).hex()


def test_machines_of_a_project_reach_each_other_across_hosts_and_the_world(story):
    guests = story.guests
    assert pings(story, "red-1", guests["red-2"].address) and pings(story, "red-2", guests["red-1"].address)
    with Server(story.world) as server:
        for name in guests:
            assert says(story, name, f"nc -w 3 {story.world} {server.port} </dev/null"), name
    seen = server.peers
    # Each zone's machines leave by the address of their own zone's gateway.
    assert len(set(seen[:2])) == 2 and set(seen[:2]) <= set(public_addresses(story, "red")), seen
    assert seen[2] in public_addresses(story, "blue")


def test_the_other_project_gets_nothing_through(story):
    red, blue = story.guests["red-1"].address, story.guests["blue-1"].address

    def attempt():
        assert not pings(story, "blue-1", red)
        # As if it were in the other's network, too.
        assert says(story, "blue-1", f"sudo ip addr add {red[:-1]}9/24 dev ens3 || true")
        assert not says(story, "blue-1", f"sudo ping -c 1 -W 1 -I {red[:-1]}9 {red}")
        assert says(story, "blue-1", f"sudo ip addr del {red[:-1]}9/24 dev ens3 || true")

    frames = captured(story, "red-1", attempt)
    assert not any(hexadecimal(blue) in frame for frame in frames), "nothing of blue is seen at red's port"


def test_nobody_takes_the_address_of_another(story):
    victim, thief = story.guests["red-2"].address, story.guests["red-1"].address
    router = story.operator.read_kawaii(kawaii_id=story.gateways["red"].id).netip.private[0]

    def attempt():
        for stolen in victim, router:
            says(story, "red-1", f"sudo ip addr add {stolen}/24 dev ens3; sudo arping -U -c 3 -I ens3 {stolen}")
            says(story, "red-1", f"sudo ping -c 2 -W 1 -I {stolen} {story.world}; sudo ip addr del {stolen}/24 dev ens3")

    frames = captured(story, "red-2", attempt)
    mac = port(story, "red-1").removeprefix("fht")
    stolen = [frame for frame in frames if frame[12:24] == mac and frame[24:28] == "0806" and frame[56:64] != hexadecimal(thief)]
    assert not stolen, "no announcement in another's name got across"
    assert pings(story, "red-2", router) and pings(story, "red-1", victim)


def test_forwards_and_rules_pass_what_they_say_and_nothing_else(story):
    guest, address = story.guests["red-1"].address, public(story, "red")
    assert says(story, "red-1", "(while true; do echo tcp | nc -l -p 8080; done >/dev/null 2>&1 & ) ; true")
    assert greeting(address, 8080) == ""
    forward(story, "red", dnat=[sdk.KawaiiDNatRule(destination=guest, ports="8080", protocol="tcp")])
    wait_for("the port leads to the guest", lambda: greeting(address, 8080) == "tcp\n", 20)
    # Out: everything but one port, and then nothing but one port.
    with Server(story.world) as one, Server(story.world) as other:
        dials = [f"nc -w 2 {story.world} {server.port} </dev/null" for server in (one, other)]
        assert says(story, "red-1", dials[0]) and says(story, "red-1", dials[1])
        rule = sdk.KawaiiFirewallEgressRule(destination=f"{story.world}/32", ports=str(other.port), protocol="tcp")
        forward(story, "red", firewall=sdk.KawaiiFirewall(egress_policy="accept", egress=[rule]))
        assert says(story, "red-1", dials[0]) and not says(story, "red-1", dials[1])
        forward(story, "red", firewall=sdk.KawaiiFirewall(egress_policy="drop", egress=[rule]))
        assert not says(story, "red-1", dials[0]) and says(story, "red-1", dials[1])
    # In: only who is named.
    only = sdk.KawaiiFirewallIngressRule(source="198.51.100.0/24", ports="22", protocol="tcp")
    forward(story, "red", firewall=sdk.KawaiiFirewall(ingress=[only]))
    assert greeting(address, 22) == ""
    forward(story, "red", firewall=sdk.KawaiiFirewall())
    wait_for("it is open again", lambda: greeting(address, 22).startswith("SSH-"), 20)


def test_a_peering_opens_and_closes_live(story):
    """Blue reaches red while they are peers, one port only, and not before or after."""
    guest = story.guests["red-1"].address
    dial = f"nc -w 2 {guest} 8080 </dev/null"
    assert not says(story, "blue-1", dial)
    [red_subnet, blue_subnet] = (private_subnet(story, name) for name in ("red", "blue"))
    rule = sdk.KawaiiVpcForwardRule(ports="8080", protocol="tcp")
    for project, subnet, ways in ("blue", red_subnet, {"egress": [rule]}), ("red", blue_subnet, {"ingress": [rule]}):
        remake(story, project, [sdk.KawaiiVpcPeering(subnet=subnet, policy="drop", **ways)])
    wait_for("blue reaches the port of red", lambda: says(story, "blue-1", dial), 60)
    assert not says(story, "blue-1", f"nc -w 2 {guest} 22 </dev/null")
    # Whoever peers closes it.
    remake(story, "blue", [])
    wait_for("blue takes commands", lambda: says(story, "blue-1", "true"), 60)
    assert not says(story, "blue-1", dial)


def remake(story, project, peerings):
    """Makes the gateway of a project anew: peerings are given at its creation."""
    story.operator.delete_kawaii(kawaii_id=story.gateways[project].id)
    place = {"project_id": story.projects[project], "region_id": story.region}
    wish = sdk.Kawaii(vpc_peerings=peerings)
    story.gateways[project] = story.operator.create_project_region_kawaii(**place, kawaii=wish)
    forward(story, project)


def private_subnet(story, project):
    """The private subnet of a project."""
    told = story.operator.read_project(project_id=story.projects[project])
    return told.private_subnets[0].value


def test_names_resolve_at_both_edges_also_after_one_was_away(story):
    operator, hosts = story.operator, [story.cloud.hosts[name] for name in ("one", "two")]
    edges = [story.cloud.join_edge(operator, story.region, host) for host in hosts]
    running = [host.spawn(*command, log="edge.log") for host, command in zip(hosts, edges, strict=True)]

    def asked(host, name):
        command = ["dig", "+short", "+time=1", "+tries=1", f"@{host.address}", f"{name}.red.example.org"]
        told = subprocess.run(command, capture_output=True, text=True).stdout
        return " ".join(line for line in told.splitlines() if not line.startswith(";"))

    for host in hosts:
        for name in "red-1", "red-2":
            address = story.guests[name].address
            wait_for(f"{host.name} knows {name}", lambda: asked(host, name) == address, 60)
    # One is away while names come, change and go; the other is not kept from them.
    running[1].kill()
    running[1].wait()
    hosts[1].kill("pdns")
    made = {}
    for name in "www", "old":
        record = sdk.DnsRecord(name=name, addresses=["10.87.70.200"])
        made[name] = operator.create_project_dns_record(project_id=story.projects["red"], dns_record=record).id
    wait_for("the other knows", lambda: asked(hosts[0], "old") == "10.87.70.200")
    change = sdk.DnsRecordUpdate(addresses=["10.87.70.201"])
    operator.update_dns_record(record_id=made["www"], dns_record_update=change)
    story.hasty.delete_dns_record(record_id=made["old"])
    wait_for("the other follows", lambda: asked(hosts[0], "www") == "10.87.70.201" and not asked(hosts[0], "old"))
    assert asked(hosts[1], "www") == ""
    hosts[1].spawn(*edges[1], log="edge.log")
    wait_for("it knows all of it", lambda: asked(hosts[1], "www") == "10.87.70.201" and not asked(hosts[1], "old"), 60)
    assert asked(hosts[1], "red-1") == story.guests["red-1"].address


def test_an_address_moves_when_its_host_dies(story):
    """The last test, since the host stays dead: one that no guest is on."""
    host = story.cloud.hosts["three"]
    [address] = [address for address in public_addresses(story, "red") if holds(host, address)]
    watch = Pings([], address)
    # As when the power goes: nothing of the host is heard any more.
    for link in "eth0", "eth1":
        host.inside("ip", "link", "set", link, "down")
    for pid in host.named("keepalived"):
        os.kill(pid, signal.SIGKILL)
    away = watch.stop(after=3)
    print(f"\nhost dead: the gateway's address was away for {away:.2f} s")
    assert away <= AWAY


def holds(host, address):
    """Whether a gateway on a host has an address now."""
    for directory in (host.home / "state/services").iterdir():
        told = host.run("nsenter", f"--net={directory / 'netns'}", "ip", "-4", "-o", "addr")
        if f" {address}/" in told:
            return True
    return False
