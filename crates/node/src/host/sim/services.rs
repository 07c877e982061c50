//! Simulated services: they hold what they were told, and everything in them is well.

use std::collections::BTreeMap;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{ObjectKey, ObjectKind, Segment};
use freehold_types::service::{
    BackendState, Balancer, BalancerDetail, DnsZone, Gateway, GatewayDetail, Port, Share, TunnelState,
};
use tokio::sync::mpsc;

use super::{Sim, Verb, World, violation};
use crate::host::{HostError, Names, ServicePlan, Services};

#[async_trait]
impl Services for Sim {
    async fn ensure_gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        let (id, gateway) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Gateway, id };
        self.call(Verb::Ensure, key, |world| {
            let peerings = gateway.peerings.iter().map(|peering| &peering.port);
            for port in std::iter::once(&gateway.private).chain(&gateway.public).chain(peerings) {
                check(world, key, port, &plan.segments)?;
            }
            world.gateways.insert(id, gateway.clone());
            // The one with the highest priority that there can be holds a pair.
            let active = |priority: u8| gateway.peers.is_empty() || priority == u8::MAX;
            Ok(GatewayDetail {
                active: gateway
                    .pairs
                    .iter()
                    .filter(|pair| active(pair.priority))
                    .map(|pair| pair.vrid)
                    .collect(),
                tunnels: gateway
                    .tunnels
                    .iter()
                    .map(|tunnel| TunnelState { id: tunnel.id, up: true, reason: String::new() })
                    .collect(),
            })
        })
        .await
    }

    async fn remove_gateway(&self, id: Id) -> Result<(), HostError> {
        self.call(Verb::Remove, ObjectKey { kind: ObjectKind::Gateway, id }, |world| {
            world.gateways.remove(&id);
            Ok(())
        })
        .await
    }

    async fn ensure_balancer(&self, plan: &ServicePlan<'_, Balancer>) -> Result<BalancerDetail, HostError> {
        let (id, balancer) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Balancer, id };
        self.call(Verb::Ensure, key, |world| {
            check(world, key, &balancer.private, &plan.segments)?;
            world.balancers.insert(id, balancer.clone());
            let backends = balancer.endpoints.iter().flat_map(|endpoint| {
                endpoint.backends.iter().map(|address| BackendState {
                    endpoint: endpoint.name.clone(),
                    address: *address,
                    healthy: true,
                    connections: 0,
                })
            });
            let active = balancer.peers.is_empty() || balancer.priority == u8::MAX;
            Ok(BalancerDetail { active, backends: backends.collect() })
        })
        .await
    }

    async fn remove_balancer(&self, id: Id) -> Result<(), HostError> {
        self.call(Verb::Remove, ObjectKey { kind: ObjectKind::Balancer, id }, |world| {
            world.balancers.remove(&id);
            Ok(())
        })
        .await
    }

    async fn ensure_share(&self, plan: &ServicePlan<'_, Share>) -> Result<u64, HostError> {
        let (id, share) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Share, id };
        self.call(Verb::Ensure, key, |world| {
            check(world, key, &share.private, &plan.segments)?;
            world.shares.insert(id, share.clone());
            Ok(0)
        })
        .await
    }

    async fn remove_share(&self, id: Id, _: &Share) -> Result<(), HostError> {
        self.call(Verb::Remove, ObjectKey { kind: ObjectKind::Share, id }, |world| {
            world.shares.remove(&id);
            Ok(())
        })
        .await
    }

    /// Nothing changes by itself.
    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        mpsc::unbounded_channel().1
    }
}

/// A port can only be in a segment that is there, and that the caller named.
fn check(
    world: &mut World,
    key: ObjectKey,
    port: &Port,
    named: &BTreeMap<Id, &Segment>,
) -> Result<(), HostError> {
    let segment = port.segment;
    if world.segments.contains_key(&segment) && named.contains_key(&segment) {
        return Ok(());
    }
    violation(world, format!("{key} was to be made before its segment {segment}"))
}

#[async_trait]
impl Names for Sim {
    async fn ensure_zone(&self, id: Id, zone: &DnsZone) -> Result<(), HostError> {
        self.call(Verb::Ensure, ObjectKey { kind: ObjectKind::DnsZone, id }, |world| {
            world.zones.insert(id, zone.clone());
            Ok(())
        })
        .await
    }

    async fn remove_zone(&self, id: Id, _: &DnsZone) -> Result<(), HostError> {
        self.call(Verb::Remove, ObjectKey { kind: ObjectKind::DnsZone, id }, |world| {
            world.zones.remove(&id);
            Ok(())
        })
        .await
    }
}
