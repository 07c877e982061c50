//! Gateways: namespace, interfaces, packet filter, and the daemons in it, in this order, so that no packet
//! passes before the rules are there.

mod leases;
mod ruleset;
#[cfg(test)]
mod tests;
mod tunnels;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use freehold_types::agent::{ObjectKey, ObjectKind, Segment};
use freehold_types::service::{Gateway, GatewayDetail, Pair, Port};
use ipnet::Ipv4Net;

use super::daemon::{Daemons, replace};
use super::links::{self, Interface};
use super::namespace::Namespace;
use super::vrrp::{self, Instance};
use super::{DAEMONS, NetworkServices, nft};
use crate::host::{HostError, ServicePlan};

impl NetworkServices {
    pub(super) async fn gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        let (id, gateway) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Gateway, id };
        let own = gateway.private.address.ok_or_else(|| {
            HostError::Refused(
                "it has no own address in its private network; this is a fault of the controller".to_owned(),
            )
        })?;
        let directory = self.directory(id)?;
        let namespace = Namespace::new(&directory);
        namespace.ensure(Daemons::living(&directory, DAEMONS)).await?;
        self.followers.follow(key, &namespace).await?;
        let wanted = interfaces(plan)?;
        let floating = floating(gateway);
        // The rules first: they name interfaces that may come later.
        nft::apply(&namespace, &directory, &ruleset::render(gateway, own.trunc())).await?;
        links::ensure(id, self.outside(), &namespace, &wanted, &floating).await?;

        let configuration = vrrp::render(id, own.addr(), &gateway.peers, &instances(gateway));
        replace(&directory.join("keepalived.conf"), configuration.as_bytes())?;
        self.daemons.ensure(key, &vrrp::daemon(&directory, namespace.path(), &configuration)).await?;
        self.leases(key, plan, own.trunc(), &directory, &namespace).await?;
        let held = links::addresses(&namespace).await?;
        let active = gateway.pairs.iter().filter(|pair| held.contains(&pair.private.addr()));
        let active = active.map(|pair| pair.vrid).collect();
        let tunnels = self.tunnels(key, gateway, &directory, &namespace, &held).await?;
        Ok(GatewayDetail { active, tunnels })
    }

    async fn leases(
        &self,
        key: ObjectKey,
        plan: &ServicePlan<'_, Gateway>,
        private: Ipv4Net,
        directory: &Path,
        namespace: &Namespace,
    ) -> Result<(), HostError> {
        let gateway = plan.service;
        let mtu = plan.segments.get(&gateway.private.segment).map_or(0, |segment| segment.mtu);
        let configuration = leases::render(gateway, private, mtu, directory);
        let hosts = leases::hosts(gateway);
        replace(&directory.join("hosts"), hosts.as_bytes())?;
        replace(&directory.join("dnsmasq.conf"), configuration.as_bytes())?;
        let daemon = leases::daemon(directory, namespace.path(), &configuration, &hosts);
        self.daemons.ensure(key, &daemon).await.map(drop)
    }
}

/// The interfaces of a gateway, each with the bridge of its segment.
fn interfaces(plan: &ServicePlan<'_, Gateway>) -> Result<Vec<Interface>, HostError> {
    let gateway = plan.service;
    let named = |name: &str, port: &Port| {
        let segment: &Segment = plan.segments.get(&port.segment).ok_or_else(|| {
            HostError::Refused(format!(
                "its segment {} was not sent; this is a fault of the controller",
                port.segment
            ))
        })?;
        Ok(Interface {
            name: name.to_owned(),
            bridge: segment.bridge.clone(),
            mac: port.mac,
            mtu: segment.mtu,
            address: port.address,
        })
    };
    let mut interfaces = vec![named("private", &gateway.private)?];
    if let Some(public) = &gateway.public {
        interfaces.push(named("public", public)?);
    }
    for (position, peering) in gateway.peerings.iter().enumerate() {
        interfaces.push(named(&format!("peer{position}"), &peering.port)?);
    }
    Ok(interfaces)
}

/// The addresses that VRRP brings and takes.
fn floating(gateway: &Gateway) -> BTreeSet<Ipv4Addr> {
    let public = gateway.pairs.iter().filter_map(|pair| pair.public).map(|public| public.address.addr());
    gateway.pairs.iter().map(|pair| pair.private.addr()).chain(public).collect()
}

/// Each pair moves as one, with the way out behind it.
fn instances(gateway: &Gateway) -> Vec<Instance> {
    let instance = |pair: &Pair| {
        let public = pair.public.filter(|_| gateway.public.is_some());
        Instance {
            vrid: pair.vrid,
            priority: pair.priority,
            addresses: [(pair.private, "private")]
                .into_iter()
                .chain(public.map(|public| (public.address, "public")))
                .collect(),
            routers: public.map(|public| (public.gateway, "public")).into_iter().collect(),
        }
    };
    gateway.pairs.iter().map(instance).collect()
}
