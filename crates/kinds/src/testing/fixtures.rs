//! Ready accounts, teams and projects, and a region with all that machines need.

use std::sync::LazyLock;

use freehold_types::Id;
use freehold_types::wire::Role;
use serde_json::json;

use super::World;
use crate::password;
use crate::team::Team;
use crate::user::User;

/// The password of every account made here.
pub(crate) const PASSWORD: &str = "fern-rocket-quilt-92-harbour";

static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| password::hash(PASSWORD).unwrap());

/// A region with one zone, one host that is connected, and storage and networks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) region: Id,
    pub(crate) zone: Id,
    pub(crate) agent: Id,
    pub(crate) hypervisor: Id,
    /// The region's default.
    pub(crate) pool: Id,
    /// The pool's default.
    pub(crate) image: Id,
    pub(crate) private_network: Id,
    /// Free until a project takes it: 10.1.0.0/24.
    pub(crate) private_subnet: Id,
    pub(crate) public_network: Id,
    /// 192.0.2.0/24.
    pub(crate) public_subnet: Id,
}

impl World {
    /// A confirmed account with [`PASSWORD`], and the mail address `<name>@example.org`.
    #[track_caller]
    pub(crate) fn user(&self, name: &str, role: Role) -> Id {
        self.put(User {
            name: name.to_owned(),
            description: None,
            email: format!("{name}@example.org"),
            role,
            notifications: false,
            enabled: true,
            password: Some(PASSWORD_HASH.clone()),
            confirmation: None,
            renewal: None,
        })
    }

    /// A team.
    #[track_caller]
    pub(crate) fn team<const N: usize>(&self, name: &str, users: [Id; N]) -> Id {
        self.put(Team { name: name.to_owned(), description: None, users: users.to_vec() })
    }

    /// A project without quotas.
    #[track_caller]
    pub(crate) fn project<const T: usize, const R: usize>(
        &self,
        name: &str,
        teams: [Id; T],
        regions: [Id; R],
    ) -> Id {
        self.call("create_project")
            .query("subnetSize=24")
            .body(json!({ "name": name, "teams": teams.to_vec(), "regions": regions.to_vec() }))
            .id()
    }

    /// A site called `name`; more than one can be made.
    #[track_caller]
    pub(crate) fn site(&self, name: &str) -> Site {
        let domain = format!("{name}.example.org");
        let region = self.call("create_region").body(json!({ "name": name, "domain": domain })).id();
        let zone =
            self.call("create_region_zone").to([region]).body(json!({ "name": format!("{name}-a") })).id();
        let (agent, hypervisor) = self.host(zone, &format!("{name}-a1"));
        let pool = self
            .call("create_region_storage_pool")
            .to([region])
            .body(json!({ "name": "main", "pool": "dir:/srv/pool", "agents": [agent] }))
            .id();
        let image = self
            .call("create_storage_pool_template")
            .to([pool])
            .body(json!({ "name": "debian", "source": "https://images.example.org/debian.qcow2" }))
            .id();
        let (private_network, private_subnet) = self.network(region, true, "10.1.0");
        let (public_network, public_subnet) = self.network(region, false, "192.0.2");
        self.converge();
        Site {
            region,
            zone,
            agent,
            hypervisor,
            pool,
            image,
            private_network,
            private_subnet,
            public_network,
            public_subnet,
        }
    }

    /// A connected host in a zone: its agent, and its hypervisor.
    #[track_caller]
    pub(crate) fn host(&self, zone: Id, name: &str) -> (Id, Id) {
        let agent = self.call("create_agent").body(json!({ "name": name, "type": "Kaktus" })).id();
        let hypervisor =
            self.call("create_zone_kaktus").to([zone]).body(json!({ "name": name, "agents": [agent] })).id();
        self.connect(agent);
        (agent, hypervisor)
    }

    /// A network with a /24 subnet whose first three bytes are `prefix`.
    #[track_caller]
    pub(crate) fn network(&self, region: Id, private: bool, prefix: &str) -> (Id, Id) {
        let name = if private { "private" } else { "public" };
        let network = self
            .call("create_region_v_net")
            .to([region])
            .body(json!({ "name": name, "vlan": 0, "interface": format!("br-{name}"), "private": private }))
            .id();
        let subnet = self
            .call("create_v_net_subnet")
            .to([network])
            .body(json!({
                "name": name,
                "cidr": format!("{prefix}.0/24"),
                "gateway": format!("{prefix}.1"),
                "gw_pool": [{ "first": format!("{prefix}.2"), "last": format!("{prefix}.9") }],
            }))
            .id();
        (network, subnet)
    }
}
