//! What a gateway asks of a node: the instance that stands there. Pure.

use freehold_store::{Object, Snapshot};
use freehold_types::Id;
use freehold_types::agent::{ObjectKind, Specification};
use freehold_types::service::{self as node, Lease, PublicAddress, Tunnel};

use super::{Gateway, Peering, spec};
use crate::adapter::Adapter;
use crate::environment::Environment;
use crate::instance::Instance;
use crate::ipsec::{self, Connection};
use crate::placed::Placed;
use crate::project::Project;
use crate::service::{self, Member};
use crate::subnet::Subnet;

impl Placed for Gateway {
    const OBJECT: ObjectKind = ObjectKind::Gateway;

    fn agents(object: &Object<Self>, snapshot: &Snapshot) -> Vec<Id> {
        object.spec.members.iter().filter_map(|member| member.agent(snapshot)).collect()
    }

    fn specification(
        object: &Object<Self>,
        agent: Id,
        snapshot: &Snapshot,
        _: &Environment,
    ) -> Option<Specification> {
        let gateway = &object.spec;
        let (position, member) =
            gateway.members.iter().enumerate().find(|(_, member)| member.agent(snapshot) == Some(agent))?;
        let private = &snapshot.get::<Subnet>(gateway.private_subnet)?.spec;
        let project = &snapshot.get::<Project>(gateway.project)?.spec;
        let public_mac = gateway.public_macs.get(position).copied();
        let public = gateway.public_subnet.zip(public_mac);
        let peerings = gateway.peerings.iter().map(|peering| peering_on(peering, position, snapshot));
        let connections = snapshot.referrers::<Connection>(object.id());
        Some(Specification::Gateway(Box::new(node::Gateway {
            name: gateway.name.clone().unwrap_or_else(|| project.name.clone()),
            private: service::port(gateway.private_subnet, member.mac, Some(member.address), snapshot)?,
            public: public.and_then(|(subnet, mac)| service::port(subnet, mac, None, snapshot)),
            peerings: peerings.collect::<Option<_>>()?,
            pairs: pairs_on(gateway, position, member, private, snapshot)?,
            peers: service::others(&gateway.members, position),
            firewall: spec::firewall(&gateway.firewall).ok()?,
            forwards: spec::forwards(&gateway.dnat, private.cidr).ok()?,
            tunnels: connections.filter_map(|connection| tunnel(connection, private)).collect(),
            leases: leases(gateway, snapshot),
            resolvers: service::resolvers(gateway.region, snapshot),
            domain: project.domain.clone(),
        })))
    }
}

/// The pairs, with the priorities that a member has for them: highest for those of its own zone.
fn pairs_on(
    gateway: &Gateway,
    position: usize,
    member: &Member,
    private: &Subnet,
    snapshot: &Snapshot,
) -> Option<Vec<node::Pair>> {
    let public = match gateway.public_subnet {
        Some(subnet) => Some(&snapshot.get::<Subnet>(subnet)?.spec),
        None => None,
    };
    let neighbour = gateway.members.iter().take(position).any(|earlier| earlier.zone == member.zone);
    let pairs = gateway.pairs.iter().map(|pair| node::Pair {
        vrid: pair.vrid,
        priority: match (pair.zone == member.zone, neighbour) {
            (true, false) => service::FIRST,
            (true, true) => service::SECOND,
            (false, _) => service::OTHER,
        },
        private: service::within(pair.private, private),
        public: pair.public.zip(public).map(|(address, subnet)| PublicAddress {
            address: service::within(address, subnet),
            gateway: subnet.gateway,
        }),
    });
    Some(pairs.collect())
}

fn peering_on(peering: &Peering, position: usize, snapshot: &Snapshot) -> Option<node::Peering> {
    let port = peering.ports.get(position)?;
    Some(node::Peering {
        port: service::port(peering.subnet, port.mac, Some(port.address), snapshot)?,
        subnet: snapshot.get::<Subnet>(peering.subnet)?.spec.cidr,
        policy: peering.policy,
        ingress: spec::peering_rules("ingress", &peering.ingress).ok()?,
        egress: spec::peering_rules("egress", &peering.egress).ok()?,
    })
}

fn tunnel(connection: &Object<Connection>, private: &Subnet) -> Option<Tunnel> {
    if connection.is_deleting() {
        return None;
    }
    ipsec::tunnel(connection, private.cidr)
}

/// The machines of the private subnet, each with its first address and the gateway of its zone.
fn leases(gateway: &Gateway, snapshot: &Snapshot) -> Vec<Lease> {
    let mut leases: Vec<Lease> = snapshot
        .referrers::<Adapter>(gateway.private_subnet)
        .filter_map(|adapter| {
            let address = *adapter.spec.addresses.first()?;
            let machine = snapshot.referrers::<Instance>(adapter.id()).next()?;
            let pair = gateway.pairs.iter().find(|pair| pair.zone == machine.spec.zone)?;
            let (mac, host, router) = (adapter.spec.mac, machine.spec.name.clone(), pair.private);
            Some(Lease { mac, address, host, router })
        })
        .collect();
    leases.sort_by_key(|lease| lease.address);
    leases
}
