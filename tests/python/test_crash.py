"""Kills of the controller under load: what was answered is there, and nothing is half made.

The controller and three simulated nodes are processes of their own, as in a real cloud. The controller is killed
at random moments while clients create and delete machines, and is started again; nodes dial in by themselves.
"""

import os
import random
import threading
import time
from types import SimpleNamespace

import kowabunga as sdk
import pytest
import urllib3
from client import Client
from cloud import key_in, wait_for
from roles import Roles

GIB = 1 << 30
#: How often the controller is killed; FREEHOLD_KILLS says otherwise.
KILLS = int(os.environ.get("FREEHOLD_KILLS", "100"))
CLIENTS = 4
#: Reproduces a run; it is part of every failure message.
SEED = int(os.environ.get("FREEHOLD_SEED", str(random.randrange(1 << 32))))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A region with three nodes, each a process."""
    roles = Roles(tmp_path_factory.mktemp("crash"))
    roles.start_controller()
    key = roles.master_key
    operator = Client(roles.url, key=key, wait=30)
    region = operator.create_region(region=sdk.Region(name="r", domain="example.org")).id
    zone = operator.create_region_zone(region_id=region, zone=sdk.Zone(name="r-a")).id
    agents = []
    for number in range(3):
        agent = operator.create_agent(agent=sdk.Agent(name=f"h{number}", type="Kaktus")).id
        operator.set_agent_api_token(agent_id=agent)
        operator.create_zone_kaktus(zone_id=zone, kaktus=sdk.Kaktus(name=f"h{number}", agents=[agent]))
        roles.start_node(f"h{number}", agent, key_in(roles.mails(None)[-1]))
        agents.append(agent)
    private = operator.create_region_v_net(
        region_id=region, v_net=sdk.VNet(name="p", vlan=0, interface="cr-p", private=True)
    ).id
    gateways = [sdk.IpRange(first="10.90.0.2", last="10.90.0.9")]
    subnet = sdk.Subnet(name="p", cidr="10.90.0.0/22", gateway="10.90.0.1", gw_pool=gateways)
    subnet = operator.create_v_net_subnet(vnet_id=private, subnet=subnet).id
    pool = sdk.StoragePool(name="d", pool="dir:/srv/crash", agents=agents)
    pool = operator.create_region_storage_pool(region_id=region, storage_pool=pool).id
    image = sdk.Template(name="i", os="linux", source="https://images.example.org/i.qcow2")
    operator.create_storage_pool_template(pool_id=pool, template=image)
    project = operator.create_project(project=sdk.Project(name="p", teams=[], regions=[region]), subnet_size=22).id
    yield SimpleNamespace(roles=roles, key=key, operator=operator, zone=zone, project=project, subnet=subnet)
    roles.stop()


class Load(threading.Thread):
    """A client that makes and removes machines, and notes what it was answered."""

    def __init__(self, cloud, number, stop):
        super().__init__()
        self.cloud, self.number, self.stop = cloud, number, stop
        self.random = random.Random(SEED + number)
        #: Names that were answered as made and not asked to go, and those that were answered as gone.
        self.made, self.gone = {}, set()
        #: Ids of those that were asked to go, without an answer.
        self.unsure = []
        self.faults = []

    def run(self):
        client = Client(self.cloud.roles.url, key=self.cloud.key)
        count = 0
        while not self.stop.is_set():
            try:
                if self.made and self.random.random() < 0.4:
                    name, compute = self.made.popitem()
                    self.unsure.append(compute)
                    client.delete_kompute(kompute_id=compute)
                    self.unsure.pop()
                    self.gone.add(name)
                else:
                    count += 1
                    self.create(client, f"m{self.number}-{count}")
            except (urllib3.exceptions.HTTPError, ConnectionError):
                time.sleep(0.05)
            except sdk.ApiException as error:
                # 507: the subnet or the hosts are full; 422: no node has dialled in yet after a kill.
                if error.status not in (404, 409, 422, 507):
                    self.faults.append(f"{error.status}: {error.body}")
                time.sleep(0.02)

    def create(self, client, name):
        compute = sdk.Kompute(name=name, memory=GIB // 4, vcpus=1, disk=2 * GIB, data_disk=2 * GIB)
        made = client.create_project_zone_kompute(
            project_id=self.cloud.project, zone_id=self.cloud.zone, kompute=compute
        )
        self.made[name] = made.id


def test_kills_lose_nothing_and_leave_nothing(cloud):
    stop = threading.Event()
    loads = [Load(cloud, number, stop) for number in range(CLIENTS)]
    chance = random.Random(SEED)
    for load in loads:
        load.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 1.0))
            cloud.roles.kill_controller()
            cloud.roles.start_controller()
    finally:
        stop.set()
        for load in loads:
            load.join()
    told = f"seed {SEED}, {KILLS} kills"
    assert not [fault for load in loads for fault in load.faults], told

    for compute in [compute for load in loads for compute in load.unsure]:
        remove(cloud, compute)
    wait_for(f"{told}: every machine runs", lambda: all_run(cloud), 120)
    computes = {cloud.operator.read_kompute(kompute_id=i).name for i in cloud.operator.list_komputes()}
    for load in loads:
        assert load.made or load.gone, f"{told}: a client was never answered"
        missing = set(load.made) - computes
        assert not missing, f"{told}: answered as made, and not there: {missing}"
        assert not load.gone & computes, f"{told}: answered as gone, and there: {load.gone & computes}"
    are_whole(cloud, told)

    for compute in cloud.operator.list_komputes():
        cloud.operator.delete_kompute(kompute_id=compute)
    assert cloud.operator.list_instances() == [], told
    assert cloud.operator.list_volumes() == [], told
    assert cloud.operator.list_adapters() == [], told
    usage = cloud.operator.read_project_usage(project_id=cloud.project)
    assert (usage.instances, usage.vcpus, usage.memory, usage.storage) == (0, 0, 0, 0), told
    # Every name and address can be had again: no claim outlived its machine.
    again = sdk.Kompute(name="m0-1", memory=GIB // 4, vcpus=1, disk=2 * GIB)
    again = cloud.operator.create_project_zone_kompute(
        project_id=cloud.project, zone_id=cloud.zone, kompute=again
    )
    assert again.ip == "10.90.0.10", told
    cloud.operator.delete_kompute(kompute_id=again.id)


def remove(cloud, compute):
    """Asks again for a removal whose answer a kill has cut off; it may have been done."""
    try:
        cloud.operator.delete_kompute(kompute_id=compute)
    except sdk.exceptions.NotFoundException:
        pass


def all_run(cloud):
    """Whether every machine runs."""
    states = [cloud.operator.read_kompute_state(kompute_id=i).state for i in cloud.operator.list_komputes()]
    return all(state == "Running" for state in states)


def are_whole(cloud, told):
    """Every machine has its parts, and every part has its machine."""
    computes = cloud.operator.list_komputes()
    instances = [cloud.operator.read_instance(instance_id=i) for i in cloud.operator.list_instances()]
    assert len(instances) == len(computes), told
    volumes = [volume for instance in instances for volume in instance.volumes]
    adapters = [adapter for instance in instances for adapter in instance.adapters]
    assert sorted(volumes) == sorted(cloud.operator.list_volumes()), told
    assert sorted(adapters) == sorted(cloud.operator.list_adapters()), told
    assert len(volumes) == 2 * len(computes) and len(adapters) == len(computes), told
    addresses = [cloud.operator.read_kompute(kompute_id=compute).ip for compute in computes]
    assert len(set(addresses)) == len(addresses), told
