"""The whole story of a cloud, told with the published SDK against simulated hosts.

The chapters build on each other and run in order. The last one holds that no operation was left out.
"""

import datetime
import re
from types import SimpleNamespace

import kowabunga as sdk
import pytest
from client import Client, called, operations, refused
from cloud import key_in, wait_for

MIB, GIB = 1 << 20, 1 << 30
PASSWORD = "fern-rocket-quilt-92-harbour"


@pytest.fixture(scope="module")
def story(start):
    """What earlier chapters made."""
    cloud = start("--simulated", "3", "--no-demo")
    operator = Client(cloud.url, key=cloud.master_key, wait=30)
    return SimpleNamespace(cloud=cloud, operator=operator)


def last_link(story, email, page):
    """The newest mailed link to a page."""
    links = [link for text in story.cloud.mails(email) for link in re.findall(r"https?://\S+", text)]
    return [link for link in links if f"/{page}?" in link][-1]


def test_accounts(story):
    operator = story.operator
    pat = sdk.User(name="pat", email="pat@example.org", role="projectAdmin", notifications=True)
    story.pat = operator.create_user(user=pat).id
    assert "exists already" in refused(409, operator.create_user, user=pat)
    story.uma = operator.create_user(user=sdk.User(name="uma", email="uma@example.org", role="user")).id
    assert {story.pat, story.uma} <= set(operator.list_users())
    changed = operator.update_user(user_id=story.uma, user_update=sdk.UserUpdate(description="may look"))
    assert operator.read_user(user_id=story.uma) == changed
    assert (changed.name, changed.description, changed.role) == ("uma", "may look", "user")

    # A password alone opens nothing: the mail address must be confirmed first.
    operator.set_user_password(user_id=story.pat, password=sdk.Password(value=PASSWORD))
    entry = Client(story.cloud.url)
    credentials = sdk.UserCredentials(email="pat@example.org", password=PASSWORD)
    refused(401, entry.login, user_credentials=credentials)
    story.cloud.follow(last_link(story, "pat@example.org", "confirm"))
    session = Client(story.cloud.url, session=entry.login(user_credentials=credentials).jwt)
    assert session.read_user(user_id=story.pat).name == "pat"
    refused(403, session.create_user, user=pat)
    session.logout()
    refused(401, session.read_user, user_id=story.pat)


def test_passwords_are_renewed_by_mail(story):
    entry = Client(story.cloud.url)
    entry.reset_password(user_email=sdk.UserEmail(email="pat@example.org"))
    first = last_link(story, "pat@example.org", "confirmForgotPassword")
    story.operator.reset_user_password(user_id=story.pat)
    second = last_link(story, "pat@example.org", "confirmForgotPassword")
    assert first != second
    story.cloud.follow(second)
    refused(401, entry.login, user_credentials=sdk.UserCredentials(email="pat@example.org", password=PASSWORD))


def test_keys(story):
    operator = story.operator
    tomorrow = datetime.date.today() + datetime.timedelta(days=1)
    story.cloud.follow(last_link(story, "uma@example.org", "confirm"))
    token = operator.set_user_api_token(user_id=story.uma, expire=True, expiration_date=tomorrow)
    uma = Client(story.cloud.url, key=key_in(story.cloud.mails("uma@example.org")[-1]))
    assert uma.read_user(user_id=story.uma).email == "uma@example.org"
    assert uma.list_api_tokens() == [token.id]
    assert operator.read_api_token(token_id=token.id).expiration_date == tomorrow
    update = sdk.ApiTokenUpdate(description="of a laptop", expire=False)
    assert operator.update_api_token(token_id=token.id, api_token_update=update).description == "of a laptop"
    operator.delete_api_token(token_id=token.id)
    refused(401, uma.read_user, user_id=story.uma)

    operator.set_user_api_token(user_id=story.pat)
    key = key_in(story.cloud.mails("pat@example.org")[-1])
    story.member, story.hasty = Client(story.cloud.url, key=key, wait=30), Client(story.cloud.url, key=key)
    operator.set_user_api_token(user_id=story.uma)
    story.stranger = Client(story.cloud.url, key=key_in(story.cloud.mails("uma@example.org")[-1]))


def test_teams(story):
    operator = story.operator
    story.team = operator.create_team(team=sdk.Team(name="builders", description="build", users=[])).id
    refused(409, operator.create_team, team=sdk.Team(name="builders", users=[]))
    operator.update_team(team_id=story.team, team_update=sdk.TeamUpdate(users=[story.pat]))
    read = operator.read_team(team_id=story.team)
    assert (read.name, read.description, read.users) == ("builders", "build", [story.pat])
    assert story.team in operator.list_teams()
    refused(403, story.member.create_team, team=sdk.Team(name="mine", users=[story.pat]))


def test_places(story):
    operator = story.operator
    story.region = operator.create_region(region=sdk.Region(name="eu-west", domain="eu-west.example.org")).id
    refused(409, operator.create_region, region=sdk.Region(name="eu-west", domain="eu-west.example.org"))
    operator.update_region(region_id=story.region, region_update=sdk.RegionUpdate(description="the west"))
    assert operator.read_region(region_id=story.region).description == "the west"
    story.zone = operator.create_region_zone(region_id=story.region, zone=sdk.Zone(name="eu-west-a")).id
    operator.update_zone(zone_id=story.zone, zone_update=sdk.ZoneUpdate(description="hall 1"))
    assert operator.read_zone(zone_id=story.zone).description == "hall 1"
    assert operator.list_region_zones(region_id=story.region) == [story.zone]
    assert story.zone in operator.list_zones()
    # Everyone may look at places, and only operators make them.
    assert story.region in story.stranger.list_regions()
    assert story.zone in story.stranger.list_zones()
    assert story.stranger.read_region(region_id=story.region).name == "eu-west"
    assert story.stranger.read_zone(zone_id=story.zone).name == "eu-west-a"
    refused(403, story.stranger.create_region_zone, region_id=story.region, zone=sdk.Zone(name="mine"))
    refused(403, story.stranger.create_region, region=sdk.Region(name="mine", domain="mine.example.org"))
    assert "eu-west-a" in refused(409, operator.delete_region, region_id=story.region)


def test_agents(story):
    operator = story.operator
    for kind in ["Kiwi", "Kaktus"]:
        agent = operator.create_agent(agent=sdk.Agent(name="new", description="spare", type=kind)).id
        read = operator.read_agent(agent_id=agent)
        assert (read.name, read.description, read.type) == ("new", "spare", kind)
        operator.set_agent_api_token(agent_id=agent)
        operator.update_agent(agent_id=agent, agent_update=sdk.AgentUpdate(name="old", description="on the shelf"))
        read = operator.read_agent(agent_id=agent)
        assert (read.name, read.description, read.type) == ("old", "on the shelf", kind)
        refused(403, story.member.read_agent, agent_id=agent)
        operator.delete_agent(agent_id=agent)
        refused(404, operator.read_agent, agent_id=agent)
    story.agents = operator.list_agents()
    assert len(story.agents) == 3


def test_hypervisors(story):
    operator = story.operator
    price = sdk.Cost(price=100.0, currency="EUR")
    # The hosts move from the zone where `up` put them to the story's.
    for hypervisor in operator.list_kaktuses():
        operator.delete_kaktus(kaktus_id=hypervisor)
    story.hypervisors = [
        operator.create_zone_kaktus(
            zone_id=story.zone,
            kaktus=sdk.Kaktus(name=f"host-{number}", agents=[agent], cpu_cost=price, memory_cost=price),
        ).id
        for number, agent in enumerate(story.agents)
    ]
    assert operator.list_zone_kaktuses(zone_id=story.zone) == story.hypervisors
    first = story.hypervisors[0]
    update = sdk.KaktusUpdate(name="host-a", description="by the door", overcommit_cpu_ratio=4)
    operator.update_kaktus(kaktus_id=first, kaktus_update=update)
    read = operator.read_kaktus(kaktus_id=first)
    assert (read.name, read.description, read.overcommit_cpu_ratio) == ("host-a", "by the door", 4)
    assert (read.agents, read.cpu_cost, read.memory_cost) == ([story.agents[0]], price, price)
    assert operator.read_kaktus_caps(kaktus_id=first).memory > 0
    operator.enable_kaktus_maintenance(kaktus_id=first)
    assert operator.read_kaktus(kaktus_id=first).maintenance
    operator.disable_kaktus_maintenance(kaktus_id=first)
    assert operator.list_kaktus_instances(kaktus_id=first) == []
    refused(409, operator.delete_agent, agent_id=story.agents[0])


def test_networks(story):
    operator = story.operator
    story.networks, story.subnets = [], []
    for name, private, vlan, prefix in [("private", True, 0, "10.80.0"), ("public", False, 12, "192.0.2")]:
        network = operator.create_region_v_net(
            region_id=story.region, v_net=sdk.VNet(name=name, vlan=vlan, interface=f"st-{name}", private=private)
        ).id
        read = operator.read_v_net(vnet_id=network)
        assert (read.name, read.vlan, read.interface, read.private) == (name, vlan, f"st-{name}", private)
        gateways = [sdk.IpRange(first=f"{prefix}.2", last=f"{prefix}.9")]
        subnet = sdk.Subnet(name=name, cidr=f"{prefix}.0/24", gateway=f"{prefix}.1", gw_pool=gateways)
        story.networks.append(network)
        story.subnets.append(operator.create_v_net_subnet(vnet_id=network, subnet=subnet).id)
        read = operator.read_subnet(subnet_id=story.subnets[-1])
        assert (read.name, read.cidr, read.gateway) == (name, f"{prefix}.0/24", f"{prefix}.1")
        operator.set_v_net_default_subnet(vnet_id=network, subnet_id=story.subnets[-1])
        assert operator.list_v_net_subnets(vnet_id=network) == [story.subnets[-1]]
    assert operator.list_region_v_nets(region_id=story.region) == story.networks
    assert set(story.networks) <= set(operator.list_v_nets())
    assert set(story.subnets) <= set(operator.list_subnets())
    operator.update_v_net(vnet_id=story.networks[0], v_net_update=sdk.VNetUpdate(description="of projects"))
    assert operator.read_v_net(vnet_id=story.networks[0]).description == "of projects"
    reserved = [sdk.IpRange(first="10.80.0.10", last="10.80.0.19")]
    update = sdk.SubnetUpdate(description="of the shop", reserved=reserved)
    operator.update_subnet(subnet_id=story.subnets[0], subnet_update=update)
    read = operator.read_subnet(subnet_id=story.subnets[0])
    assert (read.description, read.reserved) == ("of the shop", reserved)
    refused(409, operator.delete_v_net, vnet_id=story.networks[0])


def test_storage(story):
    operator = story.operator
    pool = sdk.StoragePool(
        name="disks", pool="dir:/srv/story", agents=story.agents, cost=sdk.Cost(price=50.0, currency="EUR")
    )
    story.pool = operator.create_region_storage_pool(region_id=story.region, storage_pool=pool).id
    assert operator.list_region_storage_pools(region_id=story.region) == [story.pool]
    assert story.pool in operator.list_storage_pools()
    operator.set_region_default_storage_pool(region_id=story.region, pool_id=story.pool)
    operator.update_storage_pool(pool_id=story.pool, storage_pool_update=sdk.StoragePoolUpdate(description="fast"))
    assert operator.read_storage_pool(pool_id=story.pool).description == "fast"

    image = sdk.Template(name="debian", os="linux", source="https://images.example.org/debian.qcow2")
    story.image = operator.create_storage_pool_template(pool_id=story.pool, template=image).id
    refused(409, operator.create_storage_pool_template, pool_id=story.pool, template=image)
    operator.set_storage_pool_default_template(pool_id=story.pool, template_id=story.image)
    operator.update_template(template_id=story.image, template_update=sdk.TemplateUpdate(description="stable"))
    assert operator.read_template(template_id=story.image).description == "stable"
    assert operator.list_storage_pool_templates(pool_id=story.pool) == [story.image]
    assert story.image in operator.list_templates()
    refused(409, operator.delete_storage_pool, pool_id=story.pool)


def test_projects(story):
    operator = story.operator
    project = sdk.Project(
        name="shop",
        domain="shop.example.org",
        teams=[story.team],
        regions=[story.region],
        tags=["paid"],
        metadatas=[sdk.Metadata(key="owner", value="pat")],
        quotas=sdk.ProjectResources(instances=3, vcpus=8, memory=8 * GIB, storage=100 * GIB),
    )
    story.project = operator.create_project(project=project, subnet_size=24).id
    read = story.member.read_project(project_id=story.project)
    assert [pair.value for pair in read.private_subnets] == [story.subnets[0]]
    assert (read.name, read.domain, read.tags) == ("shop", "shop.example.org", ["paid"])
    assert (read.teams, read.regions, read.metadatas) == ([story.team], [story.region], project.metadatas)
    assert story.member.list_projects() == [story.project]
    assert story.stranger.list_projects() == []
    refused(404, story.stranger.read_project, project_id=story.project)
    owner = [sdk.Metadata(key="owner", value="uma")]
    update = sdk.ProjectUpdate(description="sells things", tags=["paid", "old"], metadatas=owner)
    changed = operator.update_project(project_id=story.project, project_update=update)
    assert (changed.description, changed.tags, changed.metadatas) == ("sells things", ["paid", "old"], owner)
    # There is one private subnet, and it is taken.
    late = sdk.Project(name="late", teams=[], regions=[story.region])
    assert "no free private subnet" in refused(422, operator.create_project, project=late)
    refused(403, story.stranger.create_project, project=sdk.Project(name="mine", teams=[], regions=[]))
    own = story.member.create_project(project=sdk.Project(name="own", teams=[], regions=[])).id
    assert story.member.read_project(project_id=own).teams == [story.team]
    story.member.delete_project(project_id=own)
    refused(409, operator.delete_team, team_id=story.team)

    # One team is enough, of several that a person is in and of several that a project has.
    crew = operator.create_team(team=sdk.Team(name="crew", users=[story.pat, story.uma])).id
    theirs = operator.create_project(project=sdk.Project(name="theirs", teams=[crew], regions=[])).id
    both = operator.create_project(project=sdk.Project(name="both", teams=[story.team, crew], regions=[])).id
    assert story.member.list_projects() == [story.project, theirs, both]
    assert story.stranger.list_projects() == [theirs, both]
    story.member.update_project(project_id=theirs, project_update=sdk.ProjectUpdate(description="ours"))
    operator.update_team(team_id=crew, team_update=sdk.TeamUpdate(users=[]))
    refused(404, story.member.update_project, project_id=theirs, project_update=sdk.ProjectUpdate(description="x"))
    story.member.update_project(project_id=both, project_update=sdk.ProjectUpdate(description="still ours"))
    assert story.stranger.list_projects() == []
    for project in [theirs, both]:
        operator.delete_project(project_id=project)
    operator.delete_team(team_id=crew)


def test_computes(story):
    member = story.member
    small = {"memory": GIB, "vcpus": 1, "disk": 10 * GIB}
    compute = sdk.Kompute(name="web-1", data_disk=5 * GIB, **small)
    story.compute = member.create_project_zone_kompute(
        project_id=story.project, zone_id=story.zone, kompute=compute, public=True
    ).id
    other = sdk.Kompute(name="web-2", **small)
    story.other = member.create_project_region_kompute(
        project_id=story.project, region_id=story.region, kompute=other, pool_id=story.pool, template_id=story.image
    ).id
    assert member.list_komputes() == [story.compute, story.other]
    assert member.list_project_zone_komputes(project_id=story.project, zone_id=story.zone) == member.list_komputes()
    assert (
        member.list_project_region_komputes(project_id=story.project, region_id=story.region)
        == member.list_komputes()
    )
    addresses = [member.read_kompute(kompute_id=compute).ip for compute in member.list_komputes()]
    assert len(set(addresses)) == 2
    assert all(address.startswith("10.80.0.") and int(address.split(".")[3]) > 19 for address in addresses)
    read = member.read_kompute(kompute_id=story.compute)
    assert (read.name, read.memory, read.vcpus, read.disk, read.data_disk) == ("web-1", GIB, 1, 10 * GIB, 5 * GIB)
    # The one that asked for it has a card in the public network too.
    [card] = story.operator.list_subnet_adapters(subnet_id=story.subnets[1])
    assert "web-1" in member.read_adapter(adapter_id=card).name
    assert member.read_adapter(adapter_id=card).addresses == ["192.0.2.10"]
    assert len(story.operator.list_subnet_adapters(subnet_id=story.subnets[0])) == 2
    running = member.read_kompute_state(kompute_id=story.compute)
    assert running.state == "Running", running
    refused(409, member.create_project_zone_kompute, project_id=story.project, zone_id=story.zone, kompute=compute)
    refused(404, story.stranger.read_kompute, kompute_id=story.compute)
    mail = story.cloud.mails("pat@example.org")[-1]
    assert addresses[1] in mail


@pytest.mark.parametrize(
    ("kind", "verbs"),
    [("kompute", ["suspend", "resume", "reboot", "reset", "shutdown", "start", "stop", "start"])],
)
def test_actions(story, kind, verbs):
    after = {"suspend": "Paused", "shutdown": "Shutoff", "stop": "Shutoff"}
    for verb in verbs:
        getattr(story.member, f"{verb}_{kind}")(kompute_id=story.compute)
        expected = after.get(verb, "Running")
        wait_for(
            f"{expected} after {verb}",
            lambda: story.member.read_kompute_state(kompute_id=story.compute).state == expected,
        )
    story.member.stop_kompute(kompute_id=story.compute)
    refused(422, story.member.suspend_kompute, kompute_id=story.compute)
    story.member.start_kompute(kompute_id=story.compute)


def test_a_compute_grows(story):
    member = story.member
    update = sdk.KomputeUpdate(description="the shop", memory=2 * GIB, vcpus=2, disk=12 * GIB)
    grown = member.update_kompute(kompute_id=story.compute, kompute_update=update)
    assert (grown.memory, grown.vcpus, grown.disk, grown.description) == (2 * GIB, 2, 12 * GIB, "the shop")
    smaller = sdk.KomputeUpdate(disk=GIB)
    refused(422, member.update_kompute, kompute_id=story.compute, kompute_update=smaller)
    assert member.read_kompute(kompute_id=story.compute).disk == 12 * GIB


def test_quotas(story):
    operator, member = story.operator, story.member
    usage = member.read_project_usage(project_id=story.project)
    assert (usage.instances, usage.vcpus, usage.memory) == (2, 3, 3 * GIB)
    place = {"project_id": story.project, "zone_id": story.zone}
    few = sdk.ProjectResources(instances=2, vcpus=8, memory=8 * GIB, storage=100 * GIB)
    for resource, greed in [
        ("vcpus", {"vcpus": 6}),
        ("memory", {"memory": 6 * GIB}),
        ("storage", {"disk": 90 * GIB}),
        ("instances", {}),
    ]:
        if resource == "instances":
            operator.update_project(project_id=story.project, project_update=sdk.ProjectUpdate(quotas=few))
        greedy = sdk.Kompute(name="greedy", **({"memory": GIB, "vcpus": 1, "disk": 10 * GIB} | greed))
        reason = refused(507, member.create_project_zone_kompute, **place, kompute=greedy)
        assert f"quota of {resource}" in reason
    assert member.read_project_usage(project_id=story.project) == usage
    unlimited = sdk.ProjectUpdate(quotas=sdk.ProjectResources(instances=0, vcpus=0, memory=0, storage=0))
    refused(403, member.update_project, project_id=story.project, project_update=unlimited)
    operator.update_project(project_id=story.project, project_update=unlimited)


def test_costs(story):
    """Each machine and disk costs its share of what the hosts and pools are said to cost, used or not."""
    hosts = [story.operator.read_kaktus(kaktus_id=host) for host in story.hypervisors]
    caps = [story.operator.read_kaktus_caps(kaktus_id=host) for host in story.hypervisors]
    pool = story.cloud.json("GET", f"/api/v1/pool/{story.pool}/status")["capacity"]
    usage = story.member.read_project_usage(project_id=story.project)
    of_hosts = sum(
        usage.vcpus * host.cpu_cost.price / (cap.cpu.threads * host.overcommit_cpu_ratio)
        + usage.memory * host.memory_cost.price / (cap.memory * host.overcommit_memory_ratio)
        for host, cap in zip(hosts, caps, strict=True)
    )
    cost = story.member.read_project_cost(project_id=story.project)
    assert cost.price == pytest.approx(of_hosts / len(hosts) + usage.storage * 50.0 / pool)
    assert cost.currency == "EUR"


def test_election(story):
    """Any size will do, and the least loaded host that is fit for it is taken."""
    # Where a machine goes is decided at once, whether or not it can be started there.
    operator, member = story.operator, story.hasty
    place = {"project_id": story.project, "zone_id": story.zone}

    def on(host):
        return operator.list_kaktus_instances(kaktus_id=host)

    def load(host):
        instances = [operator.read_instance(instance_id=instance) for instance in on(host)]
        return sum(2 + instance.vcpus + instance.memory // GIB for instance in instances)

    def elected(**size):
        before = {host: on(host) for host in story.hypervisors}
        made = member.create_project_zone_kompute(**place, kompute=sdk.Kompute(name="odd", disk=11 * GIB, **size))
        [host] = [host for host in story.hypervisors if on(host) != before[host]]
        read = member.read_kompute(kompute_id=made.id)
        assert {name: getattr(read, name) for name in size} == size
        member.delete_kompute(kompute_id=made.id)
        return host

    least, middle, most = sorted(story.hypervisors, key=load)
    assert load(least) < load(middle) < load(most)
    assert elected(vcpus=5, memory=3 * GIB + 7 * MIB) == least
    operator.enable_kaktus_maintenance(kaktus_id=least)
    assert elected(vcpus=7, memory=GIB - 5 * MIB) == middle
    # What one cannot take, as no more may be promised there than there is, goes to another.
    threads = operator.read_kaktus_caps(kaktus_id=middle).cpu.threads
    memory = operator.read_kaktus_caps(kaktus_id=middle).memory
    for exact, size in [
        (sdk.KaktusUpdate(overcommit_cpu_ratio=1), {"vcpus": threads, "memory": GIB}),
        (sdk.KaktusUpdate(overcommit_cpu_ratio=2, overcommit_memory_ratio=1), {"vcpus": 1, "memory": memory}),
    ]:
        assert elected(**size) == middle
        operator.update_kaktus(kaktus_id=middle, kaktus_update=exact)
        assert elected(**size) == most
        operator.update_kaktus(kaktus_id=most, kaktus_update=exact)
        wish = sdk.Kompute(name="odd", disk=11 * GIB, **size)
        refused(422, member.create_project_zone_kompute, **place, kompute=wish)
    operator.disable_kaktus_maintenance(kaktus_id=least)


def test_migration(story):
    """There and back again: once as a compute, once as its instance."""
    operator = story.operator
    [instance] = [
        instance
        for instance in operator.list_instances()
        if operator.read_instance(instance_id=instance).name == operator.read_kompute(kompute_id=story.compute).name
    ]
    request = sdk.KMotionPlanRequest(destination="zone", live=True)
    plan = operator.plan_kompute_k_motion(kompute_id=story.compute, k_motion_plan_request=request)
    assert (plan.instance, plan.live) == (instance, True) and plan.source != plan.target
    commit = sdk.KMotionCommitRequest(plan=plan.id)
    operator.commit_kompute_k_motion(kompute_id=story.compute, k_motion_commit_request=commit)
    assert instance in operator.list_kaktus_instances(kaktus_id=plan.target)
    reason = refused(404, operator.commit_kompute_k_motion, kompute_id=story.compute, k_motion_commit_request=commit)
    assert "make a new one" in reason
    back = sdk.KMotionPlanRequest(destination="manual", kaktus=plan.source, live=False)

    def planned():
        try:
            return operator.plan_instance_k_motion(instance_id=instance, k_motion_plan_request=back)
        except sdk.exceptions.ConflictException:
            return None

    again = wait_for("the first move has left nothing", planned)
    assert (again.source, again.target, again.live) == (plan.target, plan.source, False)
    commit = sdk.KMotionCommitRequest(plan=again.id)
    operator.commit_instance_k_motion(instance_id=instance, k_motion_commit_request=commit)
    assert instance in operator.list_kaktus_instances(kaktus_id=plan.source)
    refused(403, story.member.plan_instance_k_motion, instance_id=instance, k_motion_plan_request=back)


def test_groups(story):
    member = story.member
    group = member.create_project_kwarantine(
        project_id=story.project, kwarantine=sdk.Kwarantine(name="apart", policy="host")
    ).id
    assert member.list_kwarantines() == [group] == member.list_project_kwarantines(project_id=story.project)
    member.add_kwarantine_kompute(kwarantine_id=group, kompute_id=story.compute)
    assert member.read_kwarantine(kwarantine_id=group).komputes == [story.compute]
    assert member.read_kompute(kompute_id=story.compute).kwarantines == [group]
    member.update_kwarantine(kwarantine_id=group, kwarantine_update=sdk.KwarantineUpdate(description="never alone"))
    member.remove_kwarantine_kompute(kwarantine_id=group, kompute_id=story.compute)
    assert member.read_kwarantine(kwarantine_id=group).komputes == []
    story.group = group


def test_edges_and_records(story):
    operator, member = story.operator, story.member
    agent = operator.create_agent(agent=sdk.Agent(name="north", type="Kiwi")).id
    edge = operator.create_region_kiwi(region_id=story.region, kiwi=sdk.Kiwi(name="north", agents=[agent])).id
    read = operator.read_kiwi(kiwi_id=edge)
    assert (read.name, read.agents) == ("north", [agent])
    assert operator.list_kiwis() == [edge] == operator.list_region_kiwis(region_id=story.region)
    changed = operator.update_kiwi(kiwi_id=edge, kiwi_update=sdk.KiwiUpdate(description="rack 1"))
    assert operator.read_kiwi(kiwi_id=edge) == changed
    assert changed.description == "rack 1"
    refused(403, member.read_kiwi, kiwi_id=edge)
    refused(422, operator.create_region_kiwi, region_id=story.region, kiwi=sdk.Kiwi(name="odd", agents=story.agents))

    record = sdk.DnsRecord(name="www", description="the shop", addresses=["10.80.0.20", "2001:db8::20"])
    story.record = member.create_project_dns_record(project_id=story.project, dns_record=record).id
    read = member.read_dns_record(record_id=story.record)
    assert (read.name, read.domain, read.addresses) == ("www", "shop.example.org", record.addresses)
    assert member.list_project_dns_records(project_id=story.project) == [story.record]
    update = sdk.DnsRecordUpdate(addresses=["10.80.0.21"])
    assert member.update_dns_record(record_id=story.record, dns_record_update=update).addresses == ["10.80.0.21"]
    refused(409, member.create_project_dns_record, project_id=story.project, dns_record=record)
    refused(404, story.stranger.read_dns_record, record_id=story.record)
    shared = sdk.DnsRecord(name="ntp", addresses=["10.0.0.1"])
    shared = operator.create_region_dns_record(region_id=story.region, dns_record=shared).id
    assert operator.list_region_dns_records(region_id=story.region) == [shared]
    refused(404, member.delete_dns_record, record_id=shared)
    operator.delete_dns_record(record_id=shared)
    member.delete_dns_record(record_id=story.record)
    operator.delete_kiwi(kiwi_id=edge)
    operator.delete_agent(agent_id=agent)


def test_gateways(story):
    member = story.member
    place = {"project_id": story.project, "region_id": story.region}
    wish = sdk.Kawaii(
        description="way out",
        firewall=sdk.KawaiiFirewall(
            ingress=[sdk.KawaiiFirewallIngressRule(source="198.51.100.0/24", protocol="tcp", ports="22,8000-8099")],
            egress_policy="drop",
            egress=[sdk.KawaiiFirewallEgressRule(ports="443")],
        ),
        dnat=[sdk.KawaiiDNatRule(destination="10.80.0.20", protocol="tcp", ports="80,443")],
    )
    gateway = member.create_project_region_kawaii(**place, kawaii=wish).id
    read = member.read_kawaii(kawaii_id=gateway)
    assert (read.firewall, read.dnat, read.description) == (wish.firewall, wish.dnat, "way out")
    [zone] = read.netip.zones
    assert ([zone.public], [zone.private]) == (read.netip.public, read.netip.private)
    assert zone.private == "10.80.0.2" and zone.public.startswith("192.0.2.")
    assert member.list_kawaiis() == [gateway] == member.list_project_region_kawaiis(**place)
    assert member.read_project(project_id=story.project).reserved_vrrp_ids == [1]
    refused(409, member.create_project_region_kawaii, **place, kawaii=sdk.Kawaii())
    odd = sdk.KawaiiUpdate(dnat=[sdk.KawaiiDNatRule(destination="10.80.0.20", ports="http")])
    refused(400, member.update_kawaii, kawaii_id=gateway, kawaii_update=odd)
    changed = member.update_kawaii(kawaii_id=gateway, kawaii_update=sdk.KawaiiUpdate(dnat=[]))
    assert (changed.dnat, changed.firewall) == ([], wish.firewall)
    refused(404, story.stranger.read_kawaii, kawaii_id=gateway)
    story.gateway = gateway


def test_ipsec_connections(story):
    member, gateway = story.member, {"kawaii_id": story.gateway}
    phases = {
        f"phase{phase}_{name}": value
        for phase in (1, 2)
        for name, value in [
            ("dh_group_number", 19),
            ("integrity_algorithm", "SHA256"),
            ("encryption_algorithm", "AES256"),
        ]
    }
    wish = sdk.KawaiiIpSec(
        name="office", remote_ip="198.51.100.7", remote_subnet="172.16.0.0/24", pre_shared_key="correct horse", **phases
    )
    connection = member.create_kawaii_ip_sec(**gateway, kawaii_ip_sec=wish).id
    read = member.read_kawaii_ip_sec(**gateway, kawaii_ip_sec_id=connection)
    assert (read.remote_ip, read.dpd_timeout, read.start_action) == ("198.51.100.7", "240s", "start")
    assert read.ip in member.read_kawaii(**gateway).netip.public
    assert member.list_kawaii_ip_secs(**gateway) == [connection]
    update = sdk.KawaiiIpSecUpdate(pre_shared_key="battery staple")
    member.update_kawaii_ip_sec(**gateway, kawaii_ip_sec_id=connection, kawaii_ip_sec_update=update)
    refused(409, member.create_kawaii_ip_sec, **gateway, kawaii_ip_sec=wish)
    refused(409, member.delete_kawaii, **gateway)
    member.delete_kawaii_ip_sec(**gateway, kawaii_ip_sec_id=connection)
    member.delete_kawaii(**gateway)
    refused(404, member.read_kawaii, **gateway)
    assert member.read_project(project_id=story.project).reserved_vrrp_ids == []


def test_balancers(story):
    member = story.member
    place = {"project_id": story.project, "region_id": story.region}
    zone = {"project_id": story.project, "zone_id": story.zone}
    backends = sdk.KonveyBackends(hosts=["10.80.0.20", "10.80.0.21"], port=8080)
    web = sdk.KonveyEndpoint(name="web", port=80, protocol="tcp", backends=backends)
    made = member.create_project_region_konvey(**place, konvey=sdk.Konvey(name="front", endpoints=[web]))
    assert (made.name, made.failover, made.endpoints) == ("front", True, [web])
    assert made.vip.startswith("10.80.0.")
    single = sdk.Konvey(name="lone", failover=False, endpoints=[])
    single = member.create_project_zone_konvey(**zone, konvey=single).id
    assert member.list_konveys() == [made.id, single] == member.list_project_region_konveys(**place)
    assert single in member.list_project_zone_konveys(**zone)
    names = sdk.KonveyEndpoint(name="names", port=53, protocol="udp", backends=backends)
    changed = member.update_konvey(konvey_id=made.id, konvey_update=sdk.KonveyUpdate(endpoints=[web, names]))
    assert member.read_konvey(konvey_id=made.id) == changed
    assert changed.endpoints == [web, names]
    refused(404, story.stranger.read_konvey, konvey_id=made.id)
    for balancer in [made.id, single]:
        member.delete_konvey(konvey_id=balancer)
    assert member.list_konveys() == []


def test_file_shares(story):
    operator, member = story.operator, story.member
    place = {"project_id": story.project, "region_id": story.region}
    wish = sdk.StorageNFS(name="files", endpoint="nfs.example.org", fs="dir:/srv/story-shares", backends=["host1"])
    refused(404, member.create_project_region_kylo, **place, kylo=sdk.Kylo(name="photos"))
    files = operator.create_region_storage_nfs(region_id=story.region, storage_nfs=wish, pool_id=story.pool).id
    read = operator.read_storage_nfs(nfs_id=files)
    assert (read.endpoint, read.fs, read.backends, read.port) == (wish.endpoint, wish.fs, wish.backends, 54934)
    assert operator.list_storage_nf_ses() == [files] == operator.list_region_storage_nf_ses(region_id=story.region)
    operator.set_region_default_storage_nfs(region_id=story.region, nfs_id=files)
    update = sdk.StorageNFSUpdate(description="spinning")
    assert operator.update_storage_nfs(nfs_id=files, storage_nfs_update=update).description == "spinning"

    share = member.create_project_region_kylo(**place, kylo=sdk.Kylo(name="photos", protocols=[4]), nfs_id=files).id
    read = member.read_kylo(kylo_id=share)
    assert (read.name, read.access, read.protocols) == ("photos", "RW", [4])
    assert read.endpoint.startswith("10.80.0.") and read.endpoint.endswith(":/photos")
    assert member.list_kylos() == [share] == member.list_project_region_kylos(**place, nfs_id=files)
    assert operator.list_storage_nfs_kylos(nfs_id=files) == [share]
    assert member.update_kylo(kylo_id=share, kylo_update=sdk.KyloUpdate(access="RO")).access == "RO"
    refused(404, story.stranger.read_kylo, kylo_id=share)
    refused(409, operator.delete_storage_nfs, nfs_id=files)
    member.delete_kylo(kylo_id=share)
    operator.delete_storage_nfs(nfs_id=files)


def test_instances_from_parts(story):
    member = story.member
    member.delete_kompute(kompute_id=story.other)
    refused(404, member.read_kompute, kompute_id=story.other)
    place = {"project_id": story.project, "region_id": story.region}
    system = member.create_project_region_volume(
        **place, volume=sdk.Volume(name="system", type="os", size=10 * GIB), pool_id=story.pool, template_id=story.image
    ).id
    data = member.create_project_region_volume(**place, volume=sdk.Volume(name="data", type="raw", size=GIB)).id
    grown = member.update_volume(volume_id=data, volume_update=sdk.VolumeUpdate(size=2 * GIB))
    assert member.read_volume(volume_id=data) == grown
    assert grown.size == 2 * GIB
    refused(422, member.update_volume, volume_id=data, volume_update=sdk.VolumeUpdate(size=GIB))
    assert {system, data} <= set(member.list_volumes())
    assert {system, data} <= set(member.list_project_region_volumes(**place))
    assert {system, data} <= set(story.operator.list_storage_pool_volumes(pool_id=story.pool))
    adapter = member.create_subnet_adapter(
        subnet_id=story.subnets[0], adapter=sdk.Adapter(name="db-0"), assign_ip=True
    ).id
    member.update_adapter(adapter_id=adapter, adapter_update=sdk.AdapterUpdate(description="of the database"))
    assert member.read_adapter(adapter_id=adapter).addresses
    assert adapter in member.list_adapters()
    assert adapter in member.list_subnet_adapters(subnet_id=story.subnets[0])

    instance = sdk.Instance(name="db", memory=GIB, vcpus=1, adapters=[adapter], volumes=[system])
    story.instance = member.create_project_region_instance(**place, instance=instance).id
    zone = {"project_id": story.project, "zone_id": story.zone}
    twin = sdk.Instance(name="db-twin", memory=GIB, vcpus=1, adapters=[adapter], volumes=[system])
    refused(409, member.create_project_zone_instance, **zone, instance=twin)
    update = sdk.InstanceUpdate(volumes=[system, data], description="keeps the orders")
    assert member.update_instance(instance_id=story.instance, instance_update=update).volumes == [system, data]
    assert member.read_instance(instance_id=story.instance).description == "keeps the orders"
    assert story.instance in member.list_instances()
    assert story.instance in member.list_project_region_instances(**place)
    assert story.instance in member.list_project_zone_instances(**zone)
    assert "db" in refused(409, member.delete_volume, volume_id=data)
    assert "db" in refused(409, member.delete_adapter, adapter_id=adapter)
    assert member.read_instance_remote_connection(instance_id=story.instance).url
    story.parts = SimpleNamespace(system=system, data=data, adapter=adapter)


def test_instance_actions(story):
    member, instance = story.member, {"instance_id": story.instance}
    after = {"suspend": "Paused", "shutdown": "Shutoff", "stop": "Shutoff"}
    for verb in ["suspend", "resume", "reboot", "reset", "shutdown", "start", "stop"]:
        getattr(member, f"{verb}_instance")(**instance)
        expected = after.get(verb, "Running")
        wait_for(f"{expected} after {verb}", lambda: member.read_instance_state(**instance).state == expected)
    member.add_kwarantine_instance(kwarantine_id=story.group, **instance)
    assert member.read_kwarantine(kwarantine_id=story.group).instances == [story.instance]
    member.remove_kwarantine_instance(kwarantine_id=story.group, **instance)
    member.delete_kwarantine(kwarantine_id=story.group)


def test_everything_goes_in_order(story):
    operator, member, parts = story.operator, story.member, story.parts
    refused(409, operator.delete_project, project_id=story.project)
    member.delete_instance(instance_id=story.instance)
    zone = {"project_id": story.project, "zone_id": story.zone}
    again = sdk.Instance(name="db", memory=GIB, vcpus=1, adapters=[parts.adapter], volumes=[parts.system])
    member.delete_instance(instance_id=member.create_project_zone_instance(**zone, instance=again).id)
    member.delete_volume(volume_id=parts.data)
    member.delete_volume(volume_id=parts.system)
    member.delete_adapter(adapter_id=parts.adapter)
    member.delete_kompute(kompute_id=story.compute)
    assert member.list_volumes() == member.list_adapters() == member.list_instances() == []
    assert operator.read_project_usage(project_id=story.project).storage == 0
    refused(403, story.stranger.delete_region, region_id=story.region)
    operator.delete_project(project_id=story.project)
    assert "debian" in refused(409, operator.delete_storage_pool, pool_id=story.pool)
    operator.delete_template(template_id=story.image)
    operator.delete_storage_pool(pool_id=story.pool)
    for network, subnet in zip(story.networks, story.subnets, strict=True):
        operator.delete_subnet(subnet_id=subnet)
        operator.delete_v_net(vnet_id=network)
    refused(409, operator.delete_zone, zone_id=story.zone)
    for hypervisor in story.hypervisors:
        operator.delete_kaktus(kaktus_id=hypervisor)
    operator.delete_zone(zone_id=story.zone)
    operator.delete_region(region_id=story.region)
    refused(409, operator.delete_team, team_id=story.team)
    operator.update_team(team_id=story.team, team_update=sdk.TeamUpdate(users=[]))
    operator.delete_team(team_id=story.team)
    operator.delete_user(user_id=story.pat)
    refused(401, member.list_projects)
    operator.delete_user(user_id=story.uma)


def test_no_operation_is_left_out(story):
    served = {
        operation["operationId"]
        for path in story.cloud.description()["paths"].values()
        for operation in path.values()
    }
    left_out = (served & set(operations())) - called
    assert not left_out, sorted(left_out)
