//! Ways to tunnels that another instance holds: machines send to the gateway of their zone, which passes on what
//! is for a tunnel to the instance that has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use freehold_types::service::Gateway;
use futures::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use rtnetlink::{Error, RouteMessageBuilder};

use crate::host::HostError;
use crate::host::network::ADDRESS_PROTOCOL;
use crate::host::network::wire::{Wire, describe};
use crate::host::services::namespace::Namespace;

/// The foreign subnets of tunnels that are elsewhere, each with the private address that moves with its tunnel.
pub(super) fn wanted(gateway: &Gateway, held: &BTreeSet<Ipv4Addr>) -> BTreeMap<Ipv4Net, Ipv4Addr> {
    let elsewhere = gateway.tunnels.iter().filter(|tunnel| !held.contains(&tunnel.local));
    let ways = elsewhere.filter_map(|tunnel| {
        let holds = |address: Ipv4Addr| address == tunnel.local;
        let pair = gateway
            .pairs
            .iter()
            .find(|pair| pair.public.is_some_and(|public| holds(public.address.addr())))?;
        Some((tunnel.remote_subnet.trunc(), pair.private.addr()))
    });
    ways.filter(|(_, router)| !held.contains(router)).collect()
}

/// Sets these routes, and removes others that were set here.
pub(super) async fn ensure(
    namespace: &Namespace,
    wanted: &BTreeMap<Ipv4Net, Ipv4Addr>,
) -> Result<(), HostError> {
    let wire = Wire::open(Some(namespace.path())).await?;
    let failed = |error: Error| {
        HostError::Failed(format!("the kernel did not take the route to a tunnel: {}", describe(&error)))
    };
    let any = || RouteMessageBuilder::<Ipv4Addr>::new();
    let routes: Vec<RouteMessage> =
        wire.handle.route().get(any().build()).execute().try_collect().await.map_err(failed)?;
    let mut missing = wanted.clone();
    for route in routes.iter().filter(|route| route.header.protocol == RouteProtocol::Other(ADDRESS_PROTOCOL))
    {
        let way = read(route);
        if way.is_some_and(|(subnet, router)| missing.get(&subnet) == Some(&router)) {
            missing.retain(|subnet, _| way.is_none_or(|(found, _)| found != *subnet));
        } else {
            wire.handle.route().del(route.clone()).execute().await.map_err(failed)?;
        }
    }
    for (subnet, router) in missing {
        let route = any()
            .destination_prefix(subnet.addr(), subnet.prefix_len())
            .gateway(router)
            .protocol(RouteProtocol::Other(ADDRESS_PROTOCOL));
        wire.handle.route().add(route.build()).execute().await.map_err(failed)?;
    }
    Ok(())
}

fn read(route: &RouteMessage) -> Option<(Ipv4Net, Ipv4Addr)> {
    let find = |pick: fn(&RouteAttribute) -> Option<Ipv4Addr>| route.attributes.iter().find_map(pick);
    let subnet = find(|attribute| {
        let RouteAttribute::Destination(RouteAddress::Inet(address)) = attribute else { return None };
        Some(*address)
    })?;
    let router = find(|attribute| {
        let RouteAttribute::Gateway(RouteAddress::Inet(address)) = attribute else { return None };
        Some(*address)
    })?;
    Some((Ipv4Net::new(subnet, route.header.destination_prefix_length).ok()?, router))
}
