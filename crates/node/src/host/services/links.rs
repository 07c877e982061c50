//! The cables between a service's namespace and the bridges of its segments: observed, planned (pure), made.
//!
//! The outer end bears the service's mark, as everything of ours does; the inner end has the name and the hardware
//! address that the service is known by. Addresses that VRRP moves are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::path::Path;

use freehold_types::Id;
use freehold_types::agent::Segment;
use freehold_types::net::Mac;
use freehold_types::service::Port;
use futures::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::{AddressMessageBuilder, Error, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder};
use sha2::{Digest, Sha256};

use super::namespace::Namespace;
use crate::host::HostError;
use crate::host::network::GROUP;
use crate::host::network::observe::ALIAS;
use crate::host::network::wire::{Wire, describe};

/// How often the links may turn out otherwise than the plan left them, before that is an error.
const ROUNDS: usize = 4;

/// An interface that a service must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    /// In the namespace.
    pub(super) name: String,
    /// Of the bridge outside.
    pub(super) bridge: String,
    pub(super) mac: Mac,
    pub(super) mtu: u32,
    pub(super) address: Option<Ipv4Net>,
}

impl Interface {
    /// That of a service's port, on the bridge of its segment.
    pub(super) fn new(name: &str, port: &Port, segments: &BTreeMap<Id, &Segment>) -> Result<Self, HostError> {
        let segment = segments.get(&port.segment).ok_or_else(|| {
            HostError::Refused(format!(
                "its segment {} was not sent; this is a fault of the controller",
                port.segment
            ))
        })?;
        Ok(Self {
            name: name.to_owned(),
            bridge: segment.bridge.clone(),
            mac: port.mac,
            mtu: segment.mtu,
            address: port.address,
        })
    }
}

/// The address of a service's port that never moves.
pub(super) fn own_address(port: &Port) -> Result<Ipv4Net, HostError> {
    port.address.ok_or_else(|| {
        HostError::Refused(
            "it has no own address in its private network; this is a fault of the controller".to_owned(),
        )
    })
}

/// A link as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Link {
    index: u32,
    mac: Option<Mac>,
    mtu: u32,
    up: bool,
    alias: Option<String>,
    master: Option<u32>,
    addresses: BTreeSet<Ipv4Net>,
}

/// The links outside and inside, by name.
#[derive(Debug, Clone, Default)]
struct World {
    outside: BTreeMap<String, Link>,
    inside: BTreeMap<String, Link>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    DeleteOutside(String),
    DeleteInside(String),
    Create { outer: String, inner: String, mac: Mac, mtu: u32 },
    Mark(String),
    Join { outer: String, bridge: String },
    Up { outside: bool, name: String },
    Mtu { outside: bool, name: String, mtu: u32 },
    Add { inner: String, address: Ipv4Net },
    Remove { inner: String, address: Ipv4Net },
}

/// Name of the outer end: 14 bytes, the same for ever.
fn outer_name(service: Id, inner: &str) -> String {
    let digest = Sha256::digest(format!("{service}/{inner}"));
    digest.iter().take(6).fold("fs".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// What is to be done. `floating` addresses come and go by VRRP.
fn plan(
    service: Id,
    wanted: &[Interface],
    floating: &BTreeSet<Ipv4Addr>,
    world: &World,
) -> Result<Vec<Step>, HostError> {
    let mut steps = Vec::new();
    if world.inside.get("lo").is_some_and(|link| !link.up) {
        steps.push(Step::Up { outside: false, name: "lo".to_owned() });
    }
    for name in world.inside.keys().filter(|name| is_ours(name)) {
        if !wanted.iter().any(|interface| interface.name == **name) {
            steps.push(Step::DeleteInside(name.clone()));
        }
    }
    for interface in wanted {
        steps.extend(plan_one(service, interface, floating, world)?);
    }
    Ok(steps)
}

/// Whether an inner name is one that services give.
fn is_ours(name: &str) -> bool {
    name == "private" || name == "public" || name.starts_with("peer")
}

fn plan_one(
    service: Id,
    interface: &Interface,
    floating: &BTreeSet<Ipv4Addr>,
    world: &World,
) -> Result<Vec<Step>, HostError> {
    let (inner, outer) = (&interface.name, outer_name(service, &interface.name));
    let bridge = world.outside.get(&interface.bridge).ok_or_else(|| {
        HostError::Failed(format!(
            "the bridge {} is not there; it is made with its segment",
            interface.bridge
        ))
    })?;
    let mark = format!("{ALIAS}{service}");
    let ends = world.outside.get(&outer).zip(world.inside.get(inner));
    let Some((outside, inside)) = ends.filter(|(_, inside)| inside.mac == Some(interface.mac)) else {
        let mut steps = Vec::new();
        if world.outside.contains_key(&outer) {
            steps.push(Step::DeleteOutside(outer.clone()));
        } else if world.inside.contains_key(inner) {
            steps.push(Step::DeleteInside(inner.clone()));
        }
        let (inner, mac, mtu) = (inner.clone(), interface.mac, interface.mtu);
        steps.push(Step::Create { outer, inner, mac, mtu });
        return Ok(steps);
    };
    let mut steps = Vec::new();
    if outside.alias.as_deref() != Some(&mark) {
        steps.push(Step::Mark(outer.clone()));
    }
    for (is_outside, name, link) in [(true, &outer, outside), (false, inner, inside)] {
        if link.mtu != interface.mtu {
            steps.push(Step::Mtu { outside: is_outside, name: name.clone(), mtu: interface.mtu });
        }
    }
    if outside.master != Some(bridge.index) {
        steps.push(Step::Join { outer: outer.clone(), bridge: interface.bridge.clone() });
    }
    if !inside.up {
        steps.push(Step::Up { outside: false, name: inner.clone() });
    }
    if !outside.up {
        steps.push(Step::Up { outside: true, name: outer });
    }
    let wanted: BTreeSet<Ipv4Net> = interface.address.into_iter().collect();
    for address in wanted.difference(&inside.addresses) {
        steps.push(Step::Add { inner: inner.clone(), address: *address });
    }
    for address in inside.addresses.difference(&wanted).filter(|held| !floating.contains(&held.addr())) {
        steps.push(Step::Remove { inner: inner.clone(), address: *address });
    }
    Ok(steps)
}

/// Makes the interfaces of a service, and removes those that it must not have any more.
pub(super) async fn ensure(
    service: Id,
    outside: Option<&Path>,
    namespace: &Namespace,
    wanted: &[Interface],
    floating: &BTreeSet<Ipv4Addr>,
) -> Result<(), HostError> {
    let wires = Wires::open(outside, namespace).await?;
    for _ in 0..ROUNDS {
        let world = wires.observe().await?;
        let steps = plan(service, wanted, floating, &world)?;
        if steps.is_empty() {
            return Ok(());
        }
        for step in &steps {
            tracing::debug!(%service, ?step, "changing an interface of a service");
            wires.apply(service, &world, step).await.map_err(|error| {
                HostError::Failed(format!(
                    "the kernel did not take the change {step:?}: {}",
                    describe(&error)
                ))
            })?;
        }
    }
    Err(HostError::Failed(
        "something else changes the interfaces of the service: see that no network manager takes care of them".to_owned(),
    ))
}

/// Removes the cables of a service. The kernel does so with the namespace, but in its own time.
pub(super) async fn remove(service: Id, outside: Option<&Path>) -> Result<(), HostError> {
    let wire = Wire::open(outside).await?;
    let mark = format!("{ALIAS}{service}");
    let links = observe(&wire).await?;
    for (name, _) in links.iter().filter(|(_, link)| link.alias.as_deref() == Some(&mark)) {
        if let Err(error) = delete(&wire, name).await
            && observe(&wire).await?.contains_key(name)
        {
            return Err(HostError::Failed(format!("{name} cannot be removed: {}", describe(&error))));
        }
    }
    Ok(())
}

/// Sets the router towards other networks, or takes it away.
pub(super) async fn default_route(namespace: &Namespace, router: Option<Ipv4Addr>) -> Result<(), HostError> {
    let wire = Wire::open(Some(namespace.path())).await?;
    let failed = |error: Error| {
        HostError::Failed(format!("the kernel did not take the default route: {}", describe(&error)))
    };
    let any = || RouteMessageBuilder::<Ipv4Addr>::new();
    let routes: Vec<_> =
        wire.handle.route().get(any().build()).execute().try_collect().await.map_err(failed)?;
    let is_default = |route: &&RouteMessage| route.header.destination_prefix_length == 0;
    let gateway = |route: &RouteMessage| {
        route.attributes.iter().find_map(|attribute| {
            let RouteAttribute::Gateway(RouteAddress::Inet(address)) = attribute else { return None };
            Some(*address)
        })
    };
    let held: Vec<_> = routes.iter().filter(is_default).collect();
    if let [only] = held.as_slice()
        && router.is_some()
        && gateway(only) == router
    {
        return Ok(());
    }
    for route in held {
        wire.handle.route().del(route.clone()).execute().await.map_err(failed)?;
    }
    if let Some(router) = router {
        wire.handle.route().add(any().gateway(router).build()).execute().await.map_err(failed)?;
    }
    Ok(())
}

/// The IPv4 addresses that a namespace holds.
pub(super) async fn addresses(namespace: &Namespace) -> Result<BTreeSet<Ipv4Addr>, HostError> {
    let wire = Wire::open(Some(namespace.path())).await?;
    let links = observe(&wire).await?;
    Ok(links.values().flat_map(|link| link.addresses.iter().map(Ipv4Net::addr)).collect())
}

struct Wires<'a> {
    outside: Wire,
    inside: Wire,
    namespace: &'a Namespace,
}

impl<'a> Wires<'a> {
    async fn open(outside: Option<&Path>, namespace: &'a Namespace) -> Result<Self, HostError> {
        let inside = Wire::open(Some(namespace.path())).await?;
        Ok(Self { outside: Wire::open(outside).await?, inside, namespace })
    }

    async fn observe(&self) -> Result<World, HostError> {
        Ok(World { outside: observe(&self.outside).await?, inside: observe(&self.inside).await? })
    }

    async fn apply(&self, service: Id, world: &World, step: &Step) -> Result<(), Error> {
        let side = |outside: bool| if outside { &self.outside } else { &self.inside };
        match step {
            Step::DeleteOutside(name) => delete(&self.outside, name).await,
            Step::DeleteInside(name) => delete(&self.inside, name).await,
            Step::Create { outer, inner, mac, mtu } => self.create(outer, inner, *mac, *mtu).await,
            Step::Mark(name) => {
                let message = link(&self.outside, name).await?.alias(format!("{ALIAS}{service}"));
                change(&self.outside, message.build()).await
            }
            Step::Join { outer, bridge } => {
                let bridge = world.outside.get(bridge).map_or(0, |bridge| bridge.index);
                change(&self.outside, link(&self.outside, outer).await?.controller(bridge).build()).await
            }
            Step::Up { outside, name } => {
                change(side(*outside), link(side(*outside), name).await?.up().build()).await
            }
            Step::Mtu { outside, name, mtu } => {
                change(side(*outside), link(side(*outside), name).await?.mtu(*mtu).build()).await
            }
            Step::Add { inner, address } => {
                let index = index(&self.inside, inner).await?;
                let address_of = IpAddr::V4(address.addr());
                self.inside.handle.address().add(index, address_of, address.prefix_len()).execute().await
            }
            Step::Remove { inner, address } => {
                let message = AddressMessageBuilder::<Ipv4Addr>::new()
                    .index(index(&self.inside, inner).await?)
                    .address(address.addr(), address.prefix_len())
                    .build();
                self.inside.handle.address().del(message).execute().await
            }
        }
    }

    /// A cable whose inner end is born in the namespace, so that its name meets no other.
    async fn create(&self, outer: &str, inner: &str, mac: Mac, mtu: u32) -> Result<(), Error> {
        let namespace = std::fs::File::open(self.namespace.path()).map_err(|_| Error::RequestFailed)?;
        let mut peer = LinkMessageBuilder::<LinkUnspec>::new().name(inner.to_owned()).mtu(mtu).build();
        peer.attributes.push(LinkAttribute::Address(mac.octets().to_vec()));
        peer.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        let mut message = LinkMessageBuilder::<LinkUnspec>::new().name(outer.to_owned()).mtu(mtu).build();
        message.attributes.push(LinkAttribute::Group(GROUP));
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.outside.handle.link().add(message).execute().await
    }
}

async fn index(wire: &Wire, name: &str) -> Result<u32, Error> {
    let found = wire.handle.link().get().match_name(name).execute().try_next().await?;
    found.map(|message| message.header.index).ok_or(Error::RequestFailed)
}

async fn link(wire: &Wire, name: &str) -> Result<LinkMessageBuilder<LinkUnspec>, Error> {
    Ok(LinkUnspec::new_with_index(index(wire, name).await?))
}

async fn change(wire: &Wire, message: LinkMessage) -> Result<(), Error> {
    wire.handle.link().change(message).execute().await
}

async fn delete(wire: &Wire, name: &str) -> Result<(), Error> {
    wire.handle.link().del(index(wire, name).await?).execute().await
}

async fn observe(wire: &Wire) -> Result<BTreeMap<String, Link>, HostError> {
    let failed = |error: Error| {
        HostError::Failed(format!("the kernel does not tell its network interfaces: {}", describe(&error)))
    };
    let messages: Vec<LinkMessage> =
        wire.handle.link().get().execute().try_collect().await.map_err(failed)?;
    let mut links: BTreeMap<String, Link> = messages.iter().filter_map(read).collect();
    let addresses: Vec<_> = wire.handle.address().get().execute().try_collect().await.map_err(failed)?;
    for message in addresses.iter().filter(|message| message.header.family == AddressFamily::Inet) {
        let local = message.attributes.iter().find_map(|attribute| {
            let AddressAttribute::Local(IpAddr::V4(address)) = attribute else { return None };
            Some(*address)
        });
        let holder = links.values_mut().find(|link| link.index == message.header.index);
        if let (Some(link), Some(address)) = (holder, local)
            && let Ok(address) = Ipv4Net::new(address, message.header.prefix_len)
        {
            link.addresses.insert(address);
        }
    }
    Ok(links)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells much that is of no concern here")]
fn read(message: &LinkMessage) -> Option<(String, Link)> {
    let mut link = Link {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    let mut name = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = Some(found.clone()),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Controller(index) => link.master = Some(*index),
            LinkAttribute::Address(bytes) => {
                link.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac::new);
            }
            _ => {}
        }
    }
    Some((name?, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: Option<&str>) -> Interface {
        Interface {
            name: name.to_owned(),
            bridge: "br0".to_owned(),
            mac: Mac::new([0xda, 0x1e, 0x70, 0, 0, 1]),
            mtu: 1_450,
            address: address.map(|address| address.parse().unwrap()),
        }
    }

    fn world(wanted: &[Interface]) -> World {
        let bridge = Link { index: 7, up: true, mtu: 1_500, ..Link::default() };
        let mut world = World { outside: [("br0".to_owned(), bridge)].into(), ..World::default() };
        for interface in wanted {
            let outside = Link {
                mtu: interface.mtu,
                up: true,
                alias: Some(format!("{ALIAS}{}", id())),
                master: Some(7),
                ..Link::default()
            };
            let inside = Link {
                mac: Some(interface.mac),
                addresses: interface.address.into_iter().collect(),
                mtu: interface.mtu,
                up: true,
                ..Link::default()
            };
            world.outside.insert(outer_name(id(), &interface.name), outside);
            world.inside.insert(interface.name.clone(), inside);
        }
        world
    }

    fn id() -> Id {
        Id::from_u64(5)
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let wanted = [interface("private", Some("10.0.0.9/24")), interface("public", None)];
        let mut world = world(&wanted);
        let floating: BTreeSet<Ipv4Addr> = ["10.0.0.2".parse().unwrap()].into();
        assert_eq!(plan(id(), &wanted, &floating, &world).unwrap(), []);
        let private = world.inside.get_mut("private").unwrap();
        private.addresses.insert("10.0.0.2/24".parse().unwrap());
        assert_eq!(plan(id(), &wanted, &floating, &world).unwrap(), []);
        let stray = plan(id(), &wanted, &BTreeSet::new(), &world).unwrap();
        assert_eq!(
            stray,
            [Step::Remove { inner: "private".to_owned(), address: "10.0.0.2/24".parse().unwrap() }]
        );
    }

    #[test]
    fn an_interface_that_is_not_wanted_goes() {
        let world = world(&[interface("private", None), interface("peer0", None)]);
        let steps = plan(id(), &[interface("private", None)], &BTreeSet::new(), &world).unwrap();
        assert_eq!(steps, [Step::DeleteInside("peer0".to_owned())]);
    }

    #[test]
    fn a_cable_without_its_other_end_is_made_anew() {
        let wanted = [interface("private", None)];
        let mut world = world(&wanted);
        world.inside.clear();
        let steps = plan(id(), &wanted, &BTreeSet::new(), &world).unwrap();
        assert!(matches!(&steps[..], [Step::DeleteOutside(_), Step::Create { .. }]), "{steps:?}");
        world.outside.clear();
        let reason = plan(id(), &wanted, &BTreeSet::new(), &world).unwrap_err().to_string();
        assert!(reason.contains("br0"), "{reason}");
    }

    #[test]
    fn outer_names_fit_and_differ() {
        let names: BTreeSet<String> = (0..50)
            .flat_map(|n| ["private", "public"].map(|inner| outer_name(Id::from_u64(n), inner)))
            .collect();
        assert!(names.len() == 100 && names.iter().all(|name| name.len() == 14));
    }
}
