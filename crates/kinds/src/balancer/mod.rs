//! Load balancer: an address in a project's private subnet behind which several machines answer. It stands as a
//! network namespace on one host, or on two of which one takes over.

mod plan;
mod routes;
mod slice;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::{Id, wire};
use serde::{Deserialize, Serialize};

use crate::hypervisor::Hypervisor;
use crate::kind::{Kind, Scope};
use crate::placed::PlacedStatus;
use crate::project::Project;
use crate::region::Region;
use crate::service::{self, Member};
use crate::subnet::{self, Subnet};
use crate::zone::Zone;

pub use routes::ROWS;

/// What a load balancer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balancer {
    pub project: Id,
    pub region: Id,
    /// The zone that it was asked for, if any.
    pub zone: Option<Id>,
    pub name: String,
    pub description: Option<String>,
    pub subnet: Id,
    /// Where it answers.
    pub address: Ipv4Addr,
    pub vrid: u8,
    pub failover: bool,
    /// The first holds the address while it lives.
    pub members: Vec<Member>,
    pub endpoints: Vec<wire::BalancerEndpoint>,
}

impl Balancer {
    /// Keeps names of load balancers of a project apart.
    pub fn name_claim(project: Id, name: &str) -> String {
        format!("balancer/name/{project}/{name}")
    }
}

impl Entity for Balancer {
    const KIND: &'static str = "balancer";
    type Status = PlacedStatus;

    fn claims(&self, _: Id) -> Vec<String> {
        let own = self.members.iter().map(|member| subnet::ip_claim(self.subnet, member.address));
        let macs = self.members.iter().map(|member| service::mac_claim(member.mac));
        [
            Self::name_claim(self.project, &self.name),
            subnet::ip_claim(self.subnet, self.address),
            service::vrid_claim(self.project, self.vrid),
        ]
        .into_iter()
        .chain(own)
        .chain(macs)
        .collect()
    }

    fn references(&self) -> Vec<Reference> {
        let hosts = self.members.iter().map(|member| Reference::strong::<Hypervisor>(member.hypervisor));
        let zones = self.members.iter().map(|member| Reference::strong::<Zone>(member.zone));
        [
            Reference::strong::<Project>(self.project),
            Reference::strong::<Region>(self.region),
            Reference::strong::<Subnet>(self.subnet),
        ]
        .into_iter()
        .chain(hosts)
        .chain(zones)
        .collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Balancer {
    const NOUN: &'static str = "load balancer";
    const PARAMETER: &'static str = "konveyId";
    type View = wire::Balancer;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Balancer {
        let Self { name, description, address, failover, endpoints, .. } = object.spec.clone();
        wire::Balancer {
            id: Some(object.id()),
            name: Some(name),
            description,
            vip: Some(address.to_string()),
            failover,
            endpoints,
        }
    }

    fn scope(object: &Object<Self>, _: &Snapshot) -> Scope {
        Scope::Projects(vec![object.spec.project])
    }
}
