"""The story on this machine's own libvirt: an image over HTTP, a machine that really boots, and its end."""

import functools
import http.server
import json
import random
import secrets
import shutil
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

import kowabunga as sdk
import pytest
from client import Client, refused
from cloud import greeting, wait_for

MIB, GIB = 1 << 20, 1 << 30
#: How long a guest may take to boot without hardware acceleration, in seconds.
BOOT = 240
#: How often the cloud is killed while it makes and removes machines.
KILLS = 6


@pytest.fixture(scope="module")
def story(start):
    """A cloud on this machine, as `freehold up` makes it, without the demonstration."""
    cloud = start("--no-demo", "--no-install", patience=900)
    return SimpleNamespace(cloud=cloud, operator=Client(cloud.url, key=cloud.master_key, wait=BOOT))


@pytest.fixture(scope="module")
def images(story):
    """URL of a web server with the image that `up` built."""
    built = next(path for path in data(story).glob("images/*.qcow2"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=built.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{built.name}"
    server.shutdown()


def data(story):
    """Where the machines' disks lie; `up` says where."""
    pool = story.operator.read_storage_pool(pool_id=story.operator.list_storage_pools()[0]).pool
    return type(story.cloud.home)(pool.removeprefix("dir:")).parent


def answers(address):
    """Whether the guest's own network stack answers; that nothing listens there is an answer too."""
    try:
        socket.create_connection((address, 9), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def state(story):
    """The state of the machine."""
    return story.operator.read_kompute_state(kompute_id=story.compute).state


def test_the_host_moves_to_a_region_of_its_own(story):
    """With bridges and a range of its own, so that another cloud on this host is no hindrance."""
    operator = story.operator
    for hypervisor in operator.list_kaktuses():
        operator.delete_kaktus(kaktus_id=hypervisor)
    story.region = operator.create_region(region=sdk.Region(name="lab", domain="lab.example.org")).id
    story.zone = operator.create_region_zone(region_id=story.region, zone=sdk.Zone(name="lab-a")).id
    agents = operator.list_agents()
    operator.create_zone_kaktus(zone_id=story.zone, kaktus=sdk.Kaktus(name="host", agents=agents))
    bridge = f"fht{secrets.token_hex(4)}"
    network = sdk.VNet(name="private", vlan=0, interface=bridge, private=True)
    network = operator.create_region_v_net(region_id=story.region, v_net=network).id
    gateways = [sdk.IpRange(first="10.87.40.2", last="10.87.40.9")]
    subnet = sdk.Subnet(name="private", cidr="10.87.40.0/24", gateway="10.87.40.1", gw_pool=gateways)
    story.subnet = operator.create_v_net_subnet(vnet_id=network, subnet=subnet).id
    story.network = network
    story.directory = data(story) / "lab"
    pool = sdk.StoragePool(name="lab", pool=f"dir:{story.directory}", agents=agents)
    story.pool = operator.create_region_storage_pool(region_id=story.region, storage_pool=pool).id


def test_the_doctor_knows_its_own_cloud(story):
    listen = story.cloud.url.removeprefix("http://")
    command = [story.cloud.binary, "doctor", "--json", "--listen", listen, "--home"]
    for home, expected in (story.cloud.home, "Ok"), (story.cloud.home / "elsewhere", "Failed"):
        told = subprocess.run([*command, home], capture_output=True, text=True)
        (check,) = [check for check in json.loads(told.stdout) if check["name"] == f"address {listen}"]
        assert check["status"].lower() == expected.lower(), check


def test_an_image_comes_over_http(story, images):
    operator = story.operator
    image = sdk.Template(name="over-http", os="linux", source=images)
    story.image = operator.create_storage_pool_template(pool_id=story.pool, template=image).id
    status = story.cloud.json("GET", f"/api/v1/pool/{story.pool}/status")
    assert status


def test_a_machine_boots(story):
    operator = story.operator
    project = sdk.Project(name="lab", domain="lab.example.org", teams=operator.list_teams(), regions=[story.region])
    story.project = operator.create_project(project=project, subnet_size=24).id
    compute = sdk.Kompute(name="guest", memory=192 * MIB, vcpus=1, disk=GIB, uefi=False)
    made = operator.create_project_zone_kompute(
        project_id=story.project, zone_id=story.zone, kompute=compute, template_id=story.image
    )
    story.compute, story.address = made.id, made.ip
    wait_for("the machine runs", lambda: state(story) == "Running", BOOT)
    wait_for("the guest answers", lambda: answers(story.address), BOOT)
    refused(409, operator.delete_project, project_id=story.project)


def test_its_screen_can_be_reached(story):
    instance = story.operator.list_instances()[0]
    assert story.operator.read_instance_remote_connection(instance_id=instance).url


def test_it_stops_grows_and_starts(story):
    operator = story.operator
    operator.stop_kompute(kompute_id=story.compute)
    wait_for("the machine is off", lambda: state(story) == "Shutoff")
    assert not answers(story.address)
    operator.update_kompute(kompute_id=story.compute, kompute_update=sdk.KomputeUpdate(disk=2 * GIB))
    wait_for("the disk has grown", lambda: 2 * GIB in sizes(story))
    operator.start_kompute(kompute_id=story.compute)
    wait_for("the guest answers again", lambda: answers(story.address), BOOT)


def sizes(story):
    """Virtual sizes of all disks in the pool, as QEMU's own tool tells them."""
    found = []
    for path in filter(lambda path: path.is_file(), story.directory.glob("**/*")):
        told = subprocess.run(
            [shutil.which("qemu-img"), "info", "--force-share", "--output=json", path], capture_output=True, text=True
        )
        if told.returncode == 0:
            found.append(json.loads(told.stdout)["virtual-size"])
    return found


def boots(story):
    """How often the guest has come up, by its own word on the serial console."""
    instance = story.operator.list_instances()[0]
    return (data(story) / f"node/machines/serial/{instance}.log").read_text(errors="replace").count("FREEHOLD ready")


def test_it_reboots(story):
    for again in story.operator.reset_kompute, story.operator.reboot_kompute:
        before = boots(story)
        again(kompute_id=story.compute)
        wait_for("the guest has come up anew", lambda: boots(story) == before + 1, BOOT)
        wait_for("the guest is back", lambda: state(story) == "Running" and answers(story.address), BOOT)


def test_a_restart_of_the_cloud_leaves_it_running(story):
    story.cloud.stop()
    assert answers(story.address)
    story.cloud.start()
    wait_for("the node is back", lambda: state(story) == "Running")
    assert answers(story.address)


def test_a_kill_leaves_it_running_and_it_is_adopted(story):
    before = (boots(story), domains(story))
    story.cloud.kill()
    assert answers(story.address)
    story.cloud.start()
    wait_for("the node is back", lambda: state(story) == "Running")
    assert answers(story.address)
    assert (boots(story), domains(story)) == before, "it is the same process, untouched"


def domains(story):
    """Name and libvirt's number of each running machine in this pool; a new start gives a new number."""
    listed = dict(reversed(line.split()[:2]) for line in virsh("list").splitlines()[2:] if line.strip())
    ours = {f"fh-{instance}" for instance in story.operator.list_instances()}
    return {name: number for name, number in listed.items() if name in ours}


def create(story, operator, name):
    """Asks for a machine; gives nothing while no host is there."""
    compute = sdk.Kompute(name=name, memory=192 * MIB, vcpus=1, disk=GIB, uefi=False)
    try:
        made = operator.create_project_zone_kompute(
            project_id=story.project, zone_id=story.zone, kompute=compute, template_id=story.image
        )
    except sdk.exceptions.UnprocessableEntityException as error:
        assert "offline" in error.data.reason
        return None
    return made.id


def virsh(*arguments):
    """What libvirt's own client tells."""
    command = ["virsh", "-c", "qemu:///system", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_kills_while_machines_come_and_go_leave_nothing(story):
    operator, chance = Client(story.cloud.url, key=story.cloud.master_key, wait=0), random.Random(58)
    before, made = (volumes(story), virsh("list", "--all", "--name")), []
    for number in range(KILLS):
        made.append(wait_for("the host has dialled in again", lambda: create(story, operator, f"more-{number}")))
        if number % 2:
            operator.delete_kompute(kompute_id=made.pop(0))
        time.sleep(chance.uniform(0.0, 1.0))
        story.cloud.kill()
        story.cloud.start()
    for compute in made:
        wait_for("it runs", lambda: operator.read_kompute_state(kompute_id=compute).state == "Running", BOOT)
    assert len(domains(story)) == len(made) + 1
    for compute in made:
        story.operator.delete_kompute(kompute_id=compute)
    wait_for("only the first is left", lambda: len(operator.list_instances()) == 1, BOOT)
    assert (volumes(story), virsh("list", "--all", "--name")) == before


def volumes(story):
    """Files of the pool."""
    return sorted(path for path in story.directory.glob("**/*") if path.is_file())


def network(story, name, private, prefix):
    """A network with a bridge and a range of its own; gives both ids."""
    wish = sdk.VNet(name=name, vlan=0, interface=f"fht{secrets.token_hex(4)}", private=private)
    made = story.operator.create_region_v_net(region_id=story.region, v_net=wish).id
    gateways = [sdk.IpRange(first=f"{prefix}.2", last=f"{prefix}.9")]
    wish = sdk.Subnet(name=name, cidr=f"{prefix}.0/24", gateway=f"{prefix}.1", gw_pool=gateways)
    return made, story.operator.create_v_net_subnet(vnet_id=made, subnet=wish).id


def test_a_gateway_and_a_balancer_lead_to_a_machine(story):
    operator = story.operator
    story.services = [network(story, "public", False, "198.19.87"), network(story, "behind", True, "10.87.41")]
    project = sdk.Project(name="net", domain="net.example.org", teams=[], regions=[story.region])
    story.net = operator.create_project(project=project, subnet_size=24).id
    place = {"project_id": story.net, "region_id": story.region}
    made = operator.create_project_region_kawaii(**place, kawaii=sdk.Kawaii())
    story.gateway, [public], [private] = made.id, made.netip.public, made.netip.private
    assert private == "10.87.41.2"
    # Machines have it as their way out from their first start.
    compute = sdk.Kompute(name="behind", memory=192 * MIB, vcpus=1, disk=GIB, uefi=False)
    machine = operator.create_project_zone_kompute(
        project_id=story.net, zone_id=story.zone, kompute=compute, template_id=story.image
    )
    story.behind = machine.id
    backends = sdk.KonveyBackends(hosts=[machine.ip], port=22)
    shell = sdk.KonveyEndpoint(name="shell", port=2222, protocol="tcp", backends=backends)
    balancer = operator.create_project_region_konvey(**place, konvey=sdk.Konvey(name="front", endpoints=[shell]))
    story.balancer = balancer.id
    assert greeting(public, 22) == "" and greeting(public, 2222) == ""
    forwards = [
        sdk.KawaiiDNatRule(destination=machine.ip, ports="22"),
        sdk.KawaiiDNatRule(destination=balancer.vip, ports="2222"),
    ]
    change = sdk.KawaiiUpdate(dnat=forwards)
    operator.update_kawaii(kawaii_id=story.gateway, kawaii_update=change)
    for port in (22, 2222):
        wait_for(f"port {port} leads to the machine", lambda: greeting(public, port).startswith("SSH-"), BOOT)
    # An opening narrows what is forwarded; the host itself is not among those that it names.
    change = sdk.KawaiiUpdate(firewall=sdk.KawaiiFirewall(ingress=[sdk.KawaiiFirewallIngressRule(
        source="203.0.113.0/24", ports="22"
    )]))
    operator.update_kawaii(kawaii_id=story.gateway, kawaii_update=change)
    assert greeting(public, 22) == "" and greeting(public, 2222).startswith("SSH-")
    # They go on without the cloud, and are known again.
    story.cloud.kill()
    assert greeting(public, 2222).startswith("SSH-")
    story.cloud.start()
    wait_for("the node is back", lambda: state(story) == "Running")
    operator.update_kawaii(kawaii_id=story.gateway, kawaii_update=sdk.KawaiiUpdate(firewall=sdk.KawaiiFirewall()))
    wait_for("the port is open again", lambda: greeting(public, 22).startswith("SSH-"))


def test_services_leave_nothing_on_the_host(story):
    operator, directory = story.operator, data(story) / "node/services"
    assert len(list(directory.iterdir())) == 2
    operator.delete_konvey(konvey_id=story.balancer)
    operator.delete_kompute(kompute_id=story.behind)
    operator.delete_kawaii(kawaii_id=story.gateway)
    refused(404, operator.read_kawaii, kawaii_id=story.gateway)
    assert list(directory.iterdir()) == []
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(directory) not in told
    operator.delete_project(project_id=story.net)
    for made, subnet in story.services:
        operator.delete_subnet(subnet_id=subnet)
        operator.delete_v_net(vnet_id=made)


def test_everything_goes(story):
    operator = story.operator
    refused(409, operator.delete_template, template_id=story.image)
    operator.delete_kompute(kompute_id=story.compute)
    refused(404, operator.read_kompute, kompute_id=story.compute)
    assert 2 * GIB not in sizes(story)
    operator.delete_project(project_id=story.project)
    operator.delete_template(template_id=story.image)
    refused(404, operator.read_template, template_id=story.image)
    operator.delete_storage_pool(pool_id=story.pool)
    operator.delete_subnet(subnet_id=story.subnet)
    operator.delete_v_net(vnet_id=story.network)
    # What `up` itself put on the host goes too, so that nothing of the test is left on it.
    for template in operator.list_templates():
        operator.delete_template(template_id=template)
    for pool in operator.list_storage_pools():
        operator.delete_storage_pool(pool_id=pool)
    assert operator.list_storage_pools() == []
