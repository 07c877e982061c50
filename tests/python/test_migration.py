"""Machines move between two hosts with real libvirts, and are asked all the while whether they are there."""

import subprocess
from types import SimpleNamespace

import kowabunga as sdk
import pytest
from client import Client
from cloud import wait_for
from hosts import Cloud, Pings

MIB, GIB = 1 << 20, 1 << 30
#: How long a guest may take to boot without hardware acceleration, in seconds.
BOOT = 120
#: The longest silence of a guest that moves live, in seconds. It is a fraction of one where nothing else runs; this is
#: not a measurement.
SILENCE = 5


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A controller, and two hosts that share no storage."""
    with Cloud(tmp_path_factory.mktemp("hosts"), ["one", "two"]) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def story(cloud):
    """The cloud with a project, and a machine on the first host that answers."""
    roles = cloud.roles
    story = SimpleNamespace(cloud=cloud, operator=Client(roles.url, key=roles.master_key, wait=BOOT))
    story.hasty = Client(roles.url, key=roles.master_key)
    operator = story.operator
    story.region = operator.create_region(region=sdk.Region(name="lab", domain="lab.example.org")).id
    story.zone = operator.create_region_zone(region_id=story.region, zone=sdk.Zone(name="lab-a")).id
    story.kaktus = {name: story.cloud.join(operator, story.zone, host) for name, host in cloud.hosts.items()}
    image = cloud.make_image(operator, story.region)
    network = sdk.VNet(name="private", vlan=0, interface=f"fhm{cloud.wire.name[3:]}", private=True)
    story.bridge = network.interface
    network = operator.create_region_v_net(region_id=story.region, v_net=network).id
    gateways = [sdk.IpRange(first="10.87.60.2", last="10.87.60.9")]
    subnet = sdk.Subnet(name="private", cidr="10.87.60.0/24", gateway="10.87.60.1", gw_pool=gateways)
    operator.create_v_net_subnet(vnet_id=network, subnet=subnet)
    project = sdk.Project(name="lab", domain="lab.example.org", teams=[], regions=[story.region])
    story.project = operator.create_project(project=project, subnet_size=24).id

    operator.enable_kaktus_maintenance(kaktus_id=story.kaktus["two"])
    # Stays, and keeps the network on the first host, from where the other machine is asked.
    story.anchor = create(story, "anchor", image, kmotion_enabled=False).id
    operator.stop_kompute(kompute_id=story.anchor)
    made = create(story, "web", image)
    story.compute, story.address = made.id, made.ip
    operator.disable_kaktus_maintenance(kaktus_id=story.kaktus["two"])
    (story.instance,) = [
        instance for instance in operator.list_instances() if operator.read_instance(instance_id=instance).name == "web"
    ]
    story.station = cloud.hosts["one"].plug(story.bridge, "10.87.60.250/24")
    wait_for("the guest answers", lambda: answers(story) and boots(story) == 1, BOOT)
    return story


def create(story, name, image, **more):
    compute = sdk.Kompute(name=name, memory=192 * MIB, vcpus=1, disk=GIB, uefi=False, **more)
    return story.operator.create_project_zone_kompute(
        project_id=story.project, zone_id=story.zone, kompute=compute, template_id=image
    )


def answers(story):
    """Whether the guest answers a station on the first host."""
    command = [*story.station, "ping", "-n", "-c", "1", "-W", "1", story.address]
    return subprocess.run(command, capture_output=True).returncode == 0


def place(story):
    """The names of the hosts on which the guest runs."""
    return [name for name, host in story.cloud.hosts.items() if f"fh-{story.instance}" in host.virsh("list", "--name")]


def disks(story, name):
    """The volumes that a host has."""
    return sorted((story.cloud.hosts[name].home / "own/freehold").glob("*.qcow2"))


def port(story):
    """The name of the guest's port on its host."""
    told = story.operator.read_instance(instance_id=story.instance)
    return "fht" + story.operator.read_adapter(adapter_id=told.adapters[0]).mac.replace(":", "")


def boots(story):
    """How often the guest has come up on the host that it is on; the console's log stays behind when it moves."""
    logs = [host.home / f"state/machines/serial/{story.instance}.log" for host in story.cloud.hosts.values()]
    return sum(log.read_text(errors="replace").count("FREEHOLD ready") for log in logs if log.exists())


def migrate(story, target, live=True):
    """Plans a move and commits it, without waiting for its end."""
    request = sdk.KMotionPlanRequest(destination="manual", kaktus=story.kaktus[target], live=live)

    def planned():
        try:
            return story.hasty.plan_kompute_k_motion(kompute_id=story.compute, k_motion_plan_request=request)
        except sdk.exceptions.ConflictException as error:
            assert "still being removed" in error.data.reason or "on its way" in error.data.reason
            return None

    plan = wait_for("the last move has left nothing", planned)
    commit = sdk.KMotionCommitRequest(plan=plan.id)
    story.hasty.commit_kompute_k_motion(kompute_id=story.compute, k_motion_commit_request=commit)


def status(story):
    return story.cloud.roles.json("GET", f"/api/v1/instance/{story.instance}/kmotion")


def ended(story, patience=120):
    """How the move ended."""
    return wait_for("the move has ended", lambda: (told := status(story))["state"] in ("done", "failed") and told, patience)


def test_a_guest_moves_live_and_is_never_away_for_long(story):
    pings = Pings(story.station, story.address)
    migrate(story, "two")
    assert ended(story)["state"] == "done"
    silence = pings.stop()
    print(f"\nlive: silent for {silence:.2f} s at most")
    assert silence <= SILENCE
    assert place(story) == ["two"]
    assert boots(story) == 0, "it goes on there, and did not boot"
    # It cannot speak in the name of others there either.
    assert f'"{port(story)}" : jump' in story.cloud.hosts["two"].run("nft", "list", "map", "bridge", "freehold", "ports")
    wait_for("nothing is left behind", lambda: (len(disks(story, "one")), len(disks(story, "two"))) == (1, 1))
    assert story.operator.read_kompute_state(kompute_id=story.compute).state == "Running"


def test_a_guest_that_moves_cold_boots_there(story):
    migrate(story, "one", live=False)
    assert ended(story, BOOT)["state"] == "done"
    wait_for("the guest answers", lambda: answers(story) and boots(story) == 1, BOOT)
    assert place(story) == ["one"]
    wait_for("nothing is left behind", lambda: (len(disks(story, "one")), len(disks(story, "two"))) == (2, 0))


def test_maintenance_moves_what_can_move_and_says_what_cannot(story):
    roles, kaktus = story.cloud.roles, story.kaktus["one"]

    def outlook():
        return roles.json("GET", f"/api/v1/kaktus/{kaktus}/evacuation")

    shown = wait_for("it can move", lambda: (told := outlook())["moves"] and told)
    assert [move["target"] for move in shown["moves"]] == [story.kaktus["two"]]
    assert [stuck["name"] for stuck in shown["stuck"]] == ["anchor"]
    pings = Pings(story.station, story.address)
    roles.json("PATCH", f"/api/v1/kaktus/{kaktus}/evacuation")
    # The controller is killed on the way, and goes on.
    roles.kill_controller()
    roles.start_controller()
    wait_for("the guest is there", lambda: place(story) == ["two"], 120)
    assert ended(story)["state"] == "done"
    assert pings.stop() <= SILENCE
    shown = outlook()
    assert (shown["active"], shown["moves"]) == (True, [])
    assert "kmotion_enabled" in shown["stuck"][0]["reason"]
    story.operator.disable_kaktus_maintenance(kaktus_id=kaktus)


def test_a_target_that_dies_in_the_middle_leaves_the_guest_where_it_was(story):
    host, before = story.cloud.hosts["one"], boots(story)
    pings = Pings(story.station, story.address)
    migrate(story, "one")
    wait_for("it is under way", lambda: host.named("qemu-system"))
    host.kill("libvirtd", "virtlogd", "qemu-system")
    told = ended(story)
    assert told["state"] == "failed" and host.address in told["message"], told
    print(f"\ntarget killed: {told['message']}; silent for {pings.stop():.2f} s at most")
    assert answers(story) and boots(story) == before
    # What the dead host has of it is removed when it is back.
    host.start()
    wait_for("it is clean", lambda: len(disks(story, "one")) == 1)
    assert place(story) == ["two"]


def test_what_is_off_moves_and_stays_off(story):
    story.operator.stop_kompute(kompute_id=story.compute)
    migrate(story, "one")
    assert ended(story)["state"] == "done"
    wait_for("nothing is left behind", lambda: (len(disks(story, "one")), len(disks(story, "two"))) == (2, 0))
    wait_for("it is off there", lambda: place(story) == [])
    wait_for("that is told", lambda: story.operator.read_kompute_state(kompute_id=story.compute).state == "Shutoff")
    assert boots(story) == 0


def test_nothing_stays_on_any_host(story):
    for compute in story.compute, story.anchor:
        story.operator.delete_kompute(kompute_id=compute)
    for name, host in story.cloud.hosts.items():
        wait_for(f"{name} is empty", lambda: not disks(story, name) and not host.virsh("list", "--all", "--name").strip())
        assert "fht" not in host.run("nft", "list", "ruleset")
