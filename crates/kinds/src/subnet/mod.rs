//! Subnet: an address range of a network, free or reserved by a project.

mod addresses;
mod routes;
mod spec;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::net::Range;
use freehold_types::wire::SubnetApplication;
use freehold_types::{ApiError, Id, wire};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::crud;
use crate::kind::{Kind, Scope, Updatable};
use crate::network::Network;
use crate::project::Project;
use crate::route::Call;

pub(crate) use addresses::refuse_unusable;
pub use addresses::{elect_address, ip_claim};
pub use routes::ROWS;

/// What a subnet is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub network: Id,
    pub name: String,
    pub description: Option<String>,
    pub cidr: Ipv4Net,
    pub gateway: Ipv4Addr,
    /// None: the gateway.
    pub dns: Option<Ipv4Addr>,
    /// Ranges reached through the gateway, in the order given.
    pub extra_routes: Vec<Ipv4Net>,
    pub reserved: Vec<Range>,
    pub gateway_pool: Vec<Range>,
    pub application: SubnetApplication,
    /// The project that has it to itself, for a private one that is reserved.
    pub project: Option<Id>,
}

impl Subnet {
    /// Keeps names of subnets of a network apart.
    pub fn name_claim(network: Id, name: &str) -> String {
        format!("subnet/name/{network}/{name}")
    }

    /// The resolver given to machines.
    pub fn resolver(&self) -> Ipv4Addr {
        self.dns.unwrap_or(self.gateway)
    }
}

impl Entity for Subnet {
    const KIND: &'static str = "subnet";
    type Status = ();

    /// No adapter can have the address of the gateway, which the subnet itself holds.
    fn claims(&self, id: Id) -> Vec<String> {
        vec![Self::name_claim(self.network, &self.name), ip_claim(id, self.gateway)]
    }

    fn references(&self) -> Vec<Reference> {
        // Weak towards the project: it names the subnet strongly, and frees it when it goes.
        let project = self.project.map(Reference::weak::<Project>);
        std::iter::once(Reference::strong::<Network>(self.network)).chain(project).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Subnet {
    const NOUN: &'static str = "subnet";
    const PARAMETER: &'static str = "subnetId";
    type View = wire::Subnet;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::Subnet {
        let spec = &object.spec;
        let ranges = |ranges: &[Range]| {
            ranges
                .iter()
                .map(|range| wire::IpRange { first: range.first.to_string(), last: range.last.to_string() })
                .collect()
        };
        wire::Subnet {
            id: Some(object.id()),
            name: spec.name.clone(),
            description: spec.description.clone(),
            cidr: spec.cidr.to_string(),
            gateway: spec.gateway.to_string(),
            dns: Some(spec.resolver().to_string()),
            extra_routes: spec.extra_routes.iter().map(ToString::to_string).collect(),
            reserved: ranges(&spec.reserved),
            gw_pool: ranges(&spec.gateway_pool),
            application: spec.application,
        }
    }

    fn scope(object: &Object<Self>, snapshot: &Snapshot) -> Scope {
        match object.spec.project {
            Some(project) => Scope::Projects(vec![project]),
            None if is_public(object, snapshot) => Scope::Everyone,
            None => Scope::Operators,
        }
    }
}

/// Whether the subnet belongs to a public network, which all projects share.
pub fn is_public(subnet: &Object<Subnet>, snapshot: &Snapshot) -> bool {
    snapshot.get::<Network>(subnet.spec.network).is_some_and(|network| !network.spec.private)
}

impl Updatable for Subnet {
    type Update = wire::SubnetUpdate;

    fn updated(object: &Object<Self>, change: wire::SubnetUpdate, call: &Call<'_>) -> Result<Self, ApiError> {
        let current = &object.spec;
        let name = crud::changed_name::<Self>(&current.name, change.name.clone())?;
        let claim = Self::name_claim(current.network, &name);
        crud::refuse_taken::<Self>(call.snapshot, &claim, Some(object.id()), &name)?;
        let description =
            crud::changed_description(current.description.as_deref(), change.description.clone())?;
        routes::changed(object, Self { name, description, ..current.clone() }, change, call)
    }
}
