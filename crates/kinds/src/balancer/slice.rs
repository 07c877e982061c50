//! What a load balancer asks of a node: the instance that stands there. Pure.

use std::net::SocketAddrV4;

use freehold_store::{Object, Snapshot};
use freehold_types::agent::{ObjectKind, Specification};
use freehold_types::service::{self as node, Endpoint};
use freehold_types::{Id, wire};

use super::Balancer;
use crate::environment::Environment;
use crate::placed::Placed;
use crate::project::{self, Project};
use crate::service;
use crate::subnet::Subnet;

impl Placed for Balancer {
    const OBJECT: ObjectKind = ObjectKind::Balancer;

    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        object.spec.members.iter().filter_map(|member| member.agent(snapshot)).collect()
    }

    fn specification(
        object: &Object<Self>,
        agent: Id,
        snapshot: &Snapshot,
        environment: &Environment,
    ) -> Option<Specification> {
        let balancer = &object.spec;
        let (position, member) =
            balancer.members.iter().enumerate().find(|(_, member)| member.agent(snapshot) == Some(agent))?;
        let subnet = &snapshot.get::<Subnet>(balancer.subnet)?.spec;
        let project = snapshot.get::<Project>(balancer.project)?;
        let router = project::way_out(project, balancer.region, member.zone, subnet, snapshot, environment);
        Some(Specification::Balancer(Box::new(node::Balancer {
            name: balancer.name.clone(),
            private: service::port(balancer.subnet, member.mac, Some(member.address), snapshot)?,
            virtual_address: service::within(balancer.address, subnet),
            vrid: balancer.vrid,
            priority: if position == 0 { service::FIRST } else { service::OTHER },
            peers: service::others(&balancer.members, position),
            router,
            endpoints: balancer.endpoints.iter().map(endpoint).collect(),
        })))
    }
}

fn endpoint(endpoint: &wire::BalancerEndpoint) -> Endpoint {
    let port = endpoint.backends.port;
    let backend = |host: &String| Some(SocketAddrV4::new(host.parse().ok()?, port));
    Endpoint {
        name: endpoint.name.clone(),
        protocol: endpoint.protocol,
        port: endpoint.port,
        backends: endpoint.backends.hosts.iter().filter_map(backend).collect(),
    }
}
