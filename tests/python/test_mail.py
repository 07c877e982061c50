"""Mails, delivered to a mail server that asks for a name and a password."""

import email
import re
import secrets
from email import policy
from types import SimpleNamespace

import kowabunga as sdk
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from client import Client
from cloud import free_port, key_in, wait_for
from roles import Roles

MIB, GIB = 1 << 20, 1 << 30
NAME, PASSWORD = "cloud", secrets.token_hex(16)
OPERATOR, PAT = "ops@example.org", "pat@example.org"


class Mailbox:
    """Keeps every mail that the server was handed."""

    def __init__(self):
        self.mails = []
        self.names = set()

    def authenticate(self, server, session, envelope, mechanism, data):
        """Lets in who knows the password."""
        is_known = (data.login, data.password) == (NAME.encode(), PASSWORD.encode())
        if is_known:
            self.names.add(data.login.decode())
        return AuthResult(success=is_known)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802, the name is the library's
        """Takes a mail."""
        self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def newest(self, to, subject):
        """Waits for a mail; gives its plain text."""
        found = wait_for(
            f"a mail to {to} about {subject!r}",
            lambda: [mail for mail in self.mails if mail["To"] == to and subject in mail["Subject"]],
        )
        return found[-1].get_body(("plain",)).get_content().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    """A mail server, and a controller with one simulated host that sends its mails there."""
    box = Mailbox()
    server = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=box.authenticate,
        auth_required=True,
        auth_require_tls=False,
    )
    server.start()
    home = tmp_path_factory.mktemp("mail")
    password = home / "smtp-password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    smtp = {
        "host": "127.0.0.1",
        "port": server.port,
        "from": "Freehold <cloud@example.org>",
        "security": "none",
        "username": NAME,
        "password_file": str(password),
    }
    roles = Roles(home, smtp=smtp, admin_email=OPERATOR)
    roles.start_controller()
    yield SimpleNamespace(box=box, roles=roles, operator=Client(roles.url, key=roles.master_key, wait=30))
    roles.stop()
    server.stop()


def link(text, page):
    """The link to a page in a mail."""
    return re.search(rf"https?://\S+/{page}\?\S+", text).group(0)


def login(post, password):
    """Logs in as the user."""
    return Client(post.roles.url).login(user_credentials=sdk.UserCredentials(email=PAT, password=password))


def test_a_new_user_is_welcomed(post):
    pat = sdk.User(name="pat", email=PAT, role="user", notifications=True)
    post.user = post.operator.create_user(user=pat).id
    text = post.box.newest(PAT, "")
    post.roles.follow(link(text, "confirm"))
    assert post.box.names == {NAME}
    (mail,) = post.box.mails
    assert mail["From"] == "Freehold <cloud@example.org>"
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert link(text, "confirm").split("&")[0] in mail.get_body(("html",)).get_content()


def test_a_forgotten_password_is_renewed_in_two_steps(post):
    Client(post.roles.url).reset_password(user_email=sdk.UserEmail(email=PAT))
    page = link(post.box.newest(PAT, "forgot"), "confirmForgotPassword")
    count = len(post.box.mails)
    post.roles.follow(page)
    password = key_in(post.box.newest(PAT, "was renewed"))
    assert len(post.box.mails) == count + 1
    assert login(post, password).jwt
    # The link worked once.
    status, _ = post.roles.request("POST", page.removeprefix(post.roles.url))
    assert 400 <= status < 500
    assert login(post, password).jwt
    assert len(post.box.mails) == count + 1


def test_the_key_of_an_agent_is_told_once(post):
    post.agent = post.operator.create_agent(agent=sdk.Agent(name="h0", type="Kaktus")).id
    post.operator.set_agent_api_token(agent_id=post.agent)
    text = post.box.newest(OPERATOR, "h0")
    assert post.agent in text
    key = key_in(text)
    assert [key in str(mail) for mail in post.box.mails].count(True) == 1
    assert key not in (post.roles.home / "controller.log").read_text()
    post.roles.start_node("h0", post.agent, key)


def test_a_new_machine_is_told_to_those_who_asked_for_it(post):
    operator = post.operator
    region = operator.create_region(region=sdk.Region(name="r", domain="example.org")).id
    zone = operator.create_region_zone(region_id=region, zone=sdk.Zone(name="r-a")).id
    operator.create_zone_kaktus(zone_id=zone, kaktus=sdk.Kaktus(name="h0", agents=[post.agent]))
    network = sdk.VNet(name="p", vlan=0, interface="fhm-p", private=True)
    network = operator.create_region_v_net(region_id=region, v_net=network).id
    gateways = [sdk.IpRange(first="10.91.0.2", last="10.91.0.9")]
    subnet = sdk.Subnet(name="p", cidr="10.91.0.0/24", gateway="10.91.0.1", gw_pool=gateways)
    operator.create_v_net_subnet(vnet_id=network, subnet=subnet)
    pool = sdk.StoragePool(name="d", pool="dir:/srv/mail", agents=[post.agent])
    pool = operator.create_region_storage_pool(region_id=region, storage_pool=pool).id
    image = sdk.Template(name="i", os="linux", source="https://images.example.org/i.qcow2")
    operator.create_storage_pool_template(pool_id=pool, template=image)
    silent = operator.create_user(user=sdk.User(name="silent", email="silent@example.org", role="user")).id
    team = operator.create_team(team=sdk.Team(name="t", users=[post.user, silent])).id
    project = sdk.Project(name="p", domain="p.example.org", teams=[team], regions=[region])
    project = operator.create_project(project=project, subnet_size=24).id
    compute = sdk.Kompute(name="web", memory=256 * MIB, vcpus=1, disk=2 * GIB)
    made = operator.create_project_zone_kompute(project_id=project, zone_id=zone, kompute=compute)

    text = post.box.newest(PAT, "web")
    password = key_in(text)
    for told in [made.ip, "admin", "p.example.org"]:
        assert told in text, text
    told = [mail["To"] for mail in post.box.mails if password in str(mail)]
    assert told == [PAT], "the password is told to the one who asked for it, once"
