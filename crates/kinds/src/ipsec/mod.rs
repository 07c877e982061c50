//! IPsec connection: a gateway's tunnel to a foreign network.

mod routes;
mod spec;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use freehold_store::{Entity, Object, Reference, Snapshot};
use freehold_types::service::{Proposal, Tunnel};
use freehold_types::{Id, Secret, wire};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::gateway::Gateway;
use crate::kind::{Kind, Scope};

pub use routes::ROWS;

/// What a connection is. Durations are kept as they were given: clients compare them with what they sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    pub gateway: Id,
    pub name: String,
    pub description: Option<String>,
    /// The gateway's public address at this end.
    pub address: Ipv4Addr,
    pub remote: Ipv4Addr,
    pub remote_subnet: String,
    pub pre_shared_key: Secret<String>,
    pub dpd_action: wire::DpdAction,
    pub dpd_timeout: String,
    pub start_action: wire::StartAction,
    pub rekey_time: String,
    pub phase1: Phase,
    pub phase2: Phase,
    pub firewall: wire::IpsecFirewall,
}

/// The algorithms of a phase, and how long its keys live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub lifetime: String,
    pub group: u8,
    pub integrity: wire::IntegrityAlgorithm,
    pub encryption: wire::EncryptionAlgorithm,
}

impl Connection {
    /// Keeps names of connections of a gateway apart.
    pub fn name_claim(gateway: Id, name: &str) -> String {
        format!("ipsec/name/{gateway}/{name}")
    }

    /// A gateway has one connection to another end.
    pub fn remote_claim(gateway: Id, remote: Ipv4Addr) -> String {
        format!("ipsec/remote/{gateway}/{remote}")
    }
}

impl Entity for Connection {
    const KIND: &'static str = "ipsec";
    const SEALED: bool = true;
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![Self::name_claim(self.gateway, &self.name), Self::remote_claim(self.gateway, self.remote)]
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::strong::<Gateway>(self.gateway)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Kind for Connection {
    const NOUN: &'static str = "IPsec connection";
    const PARAMETER: &'static str = "kawaiiIpSecId";
    type View = wire::IpsecConnection;

    fn view(object: &Object<Self>, _: &Snapshot) -> wire::IpsecConnection {
        let spec = object.spec.clone();
        wire::IpsecConnection {
            id: Some(object.id()),
            name: spec.name,
            description: spec.description,
            ip: Some(spec.address.to_string()),
            remote_ip: spec.remote.to_string(),
            remote_subnet: spec.remote_subnet,
            pre_shared_key: spec.pre_shared_key,
            dpd_timeout_action: spec.dpd_action,
            dpd_timeout: spec.dpd_timeout,
            start_action: spec.start_action,
            rekey_time: spec.rekey_time,
            phase1_lifetime: spec.phase1.lifetime,
            phase1_dh_group_number: spec.phase1.group,
            phase1_integrity_algorithm: spec.phase1.integrity,
            phase1_encryption_algorithm: spec.phase1.encryption,
            phase2_lifetime: spec.phase2.lifetime,
            phase2_dh_group_number: spec.phase2.group,
            phase2_integrity_algorithm: spec.phase2.integrity,
            phase2_encryption_algorithm: spec.phase2.encryption,
            firewall: spec.firewall,
        }
    }

    fn scope(object: &Object<Self>, snapshot: &Snapshot) -> Scope {
        let project = snapshot.get::<Gateway>(object.spec.gateway).map(|gateway| gateway.spec.project);
        Scope::Projects(project.into_iter().collect())
    }
}

/// A connection as nodes make it; `None` for one that could not have been stored.
pub(crate) fn tunnel(object: &Object<Connection>, local_subnet: Ipv4Net) -> Option<Tunnel> {
    let spec = &object.spec;
    let proposal = |phase: &Phase| {
        Some(Proposal {
            lifetime: spec::seconds("", &phase.lifetime).ok()?,
            group: phase.group,
            integrity: phase.integrity,
            encryption: phase.encryption,
        })
    };
    Some(Tunnel {
        id: object.id(),
        name: spec.name.clone(),
        local: spec.address,
        remote: spec.remote,
        local_subnet,
        remote_subnet: crate::gateway::network("", &spec.remote_subnet).ok()?,
        secret: spec.pre_shared_key.clone(),
        dpd_action: spec.dpd_action,
        dpd_timeout: spec::seconds("", &spec.dpd_timeout).ok()?,
        start_action: spec.start_action,
        rekey_time: spec::seconds("", &spec.rekey_time).ok()?,
        phase1: proposal(&spec.phase1)?,
        phase2: proposal(&spec.phase2)?,
        ingress: crate::gateway::ingress("", &spec.firewall.ingress).ok()?,
    })
}
