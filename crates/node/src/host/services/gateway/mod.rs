//! Gateways: namespace, interfaces, packet filter, and the daemons in it, in this order, so that no packet
//! passes before the rules are there.

mod leases;
mod ruleset;
#[cfg(test)]
mod tests;
mod tunnels;

use std::path::Path;

use freehold_types::agent::{ObjectKey, ObjectKind};
use freehold_types::service::{Gateway, GatewayDetail, Pair, Port};
use ipnet::Ipv4Net;

use super::daemon::replace;
use super::links::{self, Interface};
use super::namespace::Namespace;
use super::vrrp::{self, Instance};
use super::{NetworkServices, nft};
use crate::host::{HostError, ServicePlan};

impl NetworkServices {
    pub(super) async fn gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        let (id, gateway) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Gateway, id };
        let own = links::own_address(&gateway.private)?;
        let (directory, namespace) = self.stand(id).await?;
        self.followers.follow(key, &namespace).await?;
        let wanted = interfaces(plan)?;
        let instances = instances(gateway);
        // The rules first: they name interfaces that may come later.
        nft::apply(&namespace, &directory, &ruleset::render(gateway, own.trunc())).await?;
        links::ensure(id, self.outside(), &namespace, &wanted, &vrrp::floating(&instances)).await?;
        self.float(key, own.addr(), &gateway.peers, &instances, &directory, &namespace).await?;
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
    let named = |name: &str, port: &Port| Interface::new(name, port, &plan.segments);
    let mut interfaces = vec![named("private", &gateway.private)?];
    if let Some(public) = &gateway.public {
        interfaces.push(named("public", public)?);
    }
    for (position, peering) in gateway.peerings.iter().enumerate() {
        interfaces.push(named(&format!("peer{position}"), &peering.port)?);
    }
    Ok(interfaces)
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
