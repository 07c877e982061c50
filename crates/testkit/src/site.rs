//! A place with machines, storage, networks, and two tenants who must not know of each other.

use freehold_kinds::user::User;
use freehold_store::{Actor, Object, Transaction};
use freehold_types::agent::Facts;
use freehold_types::wire::Role;
use freehold_types::{Id, Secret};
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::machine::facts;

/// A region with one zone and all that machines need.
#[derive(Debug)]
pub struct Site {
    pub region: Id,
    pub zone: Id,
    /// On every machine; the region's default.
    pub pool: Id,
    /// The pool's default.
    pub image: Id,
    /// 192.0.2.0/24.
    pub public_network: Id,
    pub public_subnet: Id,
    pub private_network: Id,
    pub red: Tenant,
    pub blue: Tenant,
    /// With the role superAdmin.
    pub root: Account,
}

/// A project and its people.
#[derive(Debug)]
pub struct Tenant {
    pub project: Id,
    pub team: Id,
    /// The private subnet: a /20.
    pub subnet: Id,
    /// With the role projectAdmin.
    pub administrator: Account,
    /// With the role user.
    pub member: Account,
}

/// A confirmed account with a key.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: Id,
    pub name: String,
    pub key: Secret<String>,
}

impl Account {
    /// A client with its key.
    pub fn client(&self, cluster: &Cluster) -> Client {
        cluster.anonymous().with_key(self.key.expose())
    }
}

impl Cluster {
    /// A site with this many machines, called `n1` and on, and waits until it is ready.
    pub async fn seed(&mut self, machines: usize) -> Site {
        let machines: Vec<Facts> = (1..=machines).map(|number| facts(&format!("n{number}"))).collect();
        self.seed_with(&machines).await
    }

    /// A site with machines like these.
    pub async fn seed_with(&mut self, machines: &[Facts]) -> Site {
        let body = json!({ "name": "lab", "domain": "lab.example.org" });
        let region = self.make("create_region", &[], "", body).await;
        let zone = self.make("create_region_zone", &[region], "", json!({ "name": "lab-a" })).await;
        let mut agents = Vec::new();
        for facts in machines {
            agents.push(self.machine(zone, facts.clone()).await.agent);
        }
        let body = json!({ "name": "main", "pool": "dir:/sim", "agents": agents });
        let pool = self.make("create_region_storage_pool", &[region], "", body).await;
        let body = json!({ "name": "debian", "source": "https://images.example.org/debian.qcow2" });
        let image = self.make("create_storage_pool_template", &[pool], "", body).await;
        let public_network = self.network(region, "public", false).await;
        let public_subnet = self.subnet(public_network, "public", "192.0.2", 24).await;
        let private_network = self.network(region, "private", true).await;
        let red_subnet = self.subnet(private_network, "private-a", "10.1.0", 20).await;
        let blue_subnet = self.subnet(private_network, "private-b", "10.2.0", 20).await;
        let red = self.tenant("red", region).await;
        let blue = self.tenant("blue", region).await;
        let subnets = [red.subnet, blue.subnet];
        assert!(subnets.contains(&red_subnet) && subnets.contains(&blue_subnet), "each has one of them");
        let root = self.account("root", Role::SuperAdmin).await;
        self.settle().await;
        Site { region, zone, pool, image, public_network, public_subnet, private_network, red, blue, root }
    }

    async fn network(&self, region: Id, name: &str, private: bool) -> Id {
        let body = json!({ "name": name, "vlan": 0, "interface": format!("br-{name}"), "private": private });
        self.make("create_region_v_net", &[region], "", body).await
    }

    async fn subnet(&self, network: Id, name: &str, prefix: &str, length: u8) -> Id {
        let body = json!({
            "name": name,
            "cidr": format!("{prefix}.0/{length}"),
            "gateway": format!("{prefix}.1"),
            "gw_pool": [{ "first": format!("{prefix}.2"), "last": format!("{prefix}.9") }],
        });
        self.make("create_v_net_subnet", &[network], "", body).await
    }

    /// A project with a team of one administrator and one member.
    async fn tenant(&self, name: &str, region: Id) -> Tenant {
        let administrator = self.account(&format!("{name}-administrator"), Role::ProjectAdmin).await;
        let member = self.account(&format!("{name}-member"), Role::User).await;
        let body = json!({ "name": name, "users": [administrator.id, member.id] });
        let team = self.make("create_team", &[], "", body).await;
        let body = json!({ "name": name, "teams": [team], "regions": [region], "domain": format!("{name}.example.org") });
        let answer = self.call("create_project", &[], "subnetSize=20", body).await;
        let project = crate::cluster::id_in(&answer);
        let subnet = answer["private_subnets"][0]["value"].as_str().expect("a private subnet");
        let subnet = subnet.parse().expect("an id");
        Tenant { project, team, subnet, administrator, member }
    }

    /// A confirmed account with a key.
    pub async fn account(&self, name: &str, role: Role) -> Account {
        let body = json!({ "name": name, "email": format!("{name}@example.org"), "role": role });
        let id = self.make("create_user", &[], "", body).await;
        let store = self.controller().store();
        let snapshot = store.snapshot();
        let user: &Object<User> = snapshot.get(id).expect("the account is there");
        let mut transaction = Transaction::default();
        transaction.update(user, User { enabled: true, confirmation: None, ..user.spec.clone() });
        store
            .commit(transaction, Actor::internal("test", "confirmed"))
            .await
            .expect("the account is confirmed");
        self.call("set_user_api_token", &[id], "", Value::Null).await;
        Account { id, name: name.to_owned(), key: self.mailed_key() }
    }
}
