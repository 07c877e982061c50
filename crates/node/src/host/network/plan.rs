//! The difference between what a segment asks and what the host has, as changes in order. Pure.
//!
//! Rules: only what bears the segment's mark is changed or removed. A bridge of the operator is used as
//! it stands, or the segment is refused. Of the uplink no more is touched than whether it is up and a
//! port of our bridge. What would be refused is found before the first change.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::desired::{Desired, Port};
use super::world::{Kind, Link, Mark, Switch, VXLAN_PORT, World};
use crate::host::HostError;

/// One change of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Delete {
        link: String,
    },
    /// Is no port any more.
    Release {
        link: String,
    },
    AddBridge {
        link: String,
        mtu: u32,
    },
    AddVlan {
        link: String,
        uplink: String,
        tag: u16,
        mtu: u32,
    },
    AddVxlan {
        link: String,
        vni: u32,
        local: IpAddr,
        mtu: u32,
    },
    /// Says whose it is.
    Mark {
        link: String,
    },
    /// No spanning tree and no delay in forwarding.
    MakePlain {
        link: String,
    },
    SetMtu {
        link: String,
        mtu: u32,
    },
    /// Sets what part the host itself takes in what the link carries.
    Turn {
        link: String,
        switch: Switch,
        to: u8,
    },
    /// Becomes a port of the bridge.
    Join {
        link: String,
        bridge: String,
    },
    SetUp {
        link: String,
    },
    AddAddress {
        link: String,
        address: Ipv4Net,
    },
    RemoveAddress {
        link: String,
        address: IpNet,
    },
    AddFlood {
        link: String,
        peer: IpAddr,
    },
    RemoveFlood {
        link: String,
        peer: IpAddr,
    },
}

/// The changes that lead to a segment; none when it is as desired.
pub(super) fn ensure(desired: &Desired, world: &World) -> Result<Vec<Change>, HostError> {
    let planner = Planner { desired, world };
    let mut changes = planner.stale();
    let bridge = world.get(&desired.bridge);
    if let Some(bridge) = bridge {
        planner.check_bridge(bridge)?;
        if bridge.mark == Mark::Foreign {
            planner.check_operators_bridge(bridge)?;
            return Ok(changes);
        }
    }
    planner.check_port()?;
    changes.extend(planner.make_port());
    changes.extend(planner.make_bridge(bridge));
    changes.extend(planner.connect());
    changes.extend(planner.addresses(bridge));
    changes.extend(planner.flood());
    Ok(changes)
}

/// The changes after which nothing of the segment is left; none when nothing is.
pub(super) fn remove(desired: &Desired, world: &World) -> Result<Vec<Change>, HostError> {
    let planner = Planner { desired, world };
    let mut changes = Vec::new();
    let mut bridges = Vec::new();
    for (name, link) in planner.own() {
        if !matches!(link.kind, Kind::Bridge { .. }) {
            changes.push(Change::Delete { link: name.to_owned() });
            continue;
        }
        let guests = planner.guests(name);
        if !guests.is_empty() {
            return Err(HostError::Failed(format!(
                "{}: bridge {name} still has the ports {}: remove the machines of the segment first, and what else was put there",
                desired.subject,
                guests.join(", ")
            )));
        }
        changes.extend(planner.uplink_in(name).map(|link| Change::Release { link: link.to_owned() }));
        bridges.push(Change::Delete { link: name.to_owned() });
    }
    changes.extend(bridges);
    Ok(changes)
}

struct Planner<'a> {
    desired: &'a Desired,
    world: &'a World,
}

impl<'a> Planner<'a> {
    fn refuse(&self, why: impl std::fmt::Display) -> HostError {
        HostError::Refused(format!("{}: {why}", self.desired.subject))
    }

    /// Links of the segment, those included whose making was cut off.
    fn own(&self) -> impl Iterator<Item = (&'a str, &'a Link)> {
        let names = [Some(self.desired.bridge.as_str()), self.desired.port.made()];
        let half = names.into_iter().flatten().filter_map(|name| {
            self.world.links.get_key_value(name).filter(|(_, link)| link.mark == Mark::HalfMade)
        });
        self.world.marked(self.desired.segment).chain(half.map(|(name, link)| (name.as_str(), link)))
    }

    /// Ports of a bridge of ours that belong to others: to machines.
    fn guests(&self, bridge: &str) -> Vec<&'a str> {
        let ours = |name: &str, link: &Link| {
            link.mark == Mark::Of(self.desired.segment) || self.desired.uplink.as_deref() == Some(name)
        };
        self.world.ports(bridge).filter(|(name, link)| !ours(name, link)).map(|(name, _)| name).collect()
    }

    /// The uplink, if it is a port of the bridge.
    fn uplink_in(&self, bridge: &str) -> Option<&'a str> {
        let uplink = self.desired.uplink.as_deref()?;
        self.world.ports(bridge).map(|(name, _)| name).find(|name| *name == uplink)
    }

    /// Removes what an earlier form of the segment needed. A bridge that machines still use stays until
    /// they have moved.
    fn stale(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, link) in self.world.marked(self.desired.segment) {
            if name == self.desired.bridge {
                let release =
                    self.uplink_in(name).filter(|_| !matches!(self.desired.port, Port::Uplink { .. }));
                changes.extend(release.map(|link| Change::Release { link: link.to_owned() }));
            } else if Some(name) != self.desired.port.made() {
                let used = matches!(link.kind, Kind::Bridge { .. }) && !self.guests(name).is_empty();
                let release = self.uplink_in(name);
                changes.extend(release.map(|link| Change::Release { link: link.to_owned() }));
                if !used {
                    changes.push(Change::Delete { link: name.to_owned() });
                }
            }
        }
        changes
    }

    fn check_bridge(&self, bridge: &Link) -> Result<(), HostError> {
        let name = &self.desired.bridge;
        match (&bridge.kind, bridge.mark) {
            (Kind::Bridge { .. }, Mark::Of(other)) if other != self.desired.segment => {
                Err(self.refuse(format!("bridge {name} belongs to segment {other}: choose another name")))
            }
            (Kind::Bridge { .. }, _) => Ok(()),
            (kind, _) => Err(self.refuse(format!(
                "{name} is no bridge but a {}: choose another name for the bridge, or remove that interface",
                kind.word()
            ))),
        }
    }

    /// A bridge that we did not make is taken as it is, if it can serve.
    fn check_operators_bridge(&self, bridge: &Link) -> Result<(), HostError> {
        let name = &self.desired.bridge;
        if matches!(self.desired.port, Port::Vxlan { .. }) {
            return Err(self.refuse(format!(
                "bridge {name} was not made by Freehold, which therefore adds no VXLAN port to it: choose another name for the bridge"
            )));
        }
        let missing = self.desired.addresses.iter().find(|address| !holds(bridge, **address));
        if let Some(address) = missing {
            return Err(self.refuse(format!(
                "bridge {name} was not made by Freehold and lacks the address {address}: add it where the bridge is configured"
            )));
        }
        if bridge.mtu < self.desired.mtu {
            return Err(self.refuse(format!(
                "bridge {name} was not made by Freehold and has an MTU of {} instead of {}: raise it where the bridge is configured",
                bridge.mtu, self.desired.mtu
            )));
        }
        if !bridge.up {
            return Err(HostError::Failed(format!(
                "{}: bridge {name} was not made by Freehold and is down: `ip link set {name} up`",
                self.desired.subject
            )));
        }
        Ok(())
    }

    fn check_port(&self) -> Result<(), HostError> {
        match &self.desired.port {
            Port::None => Ok(()),
            Port::Uplink { name } => self.check_free_uplink(name, self.uplink(name)?),
            Port::Vlan { name, uplink, tag } => {
                self.uplink(uplink)?;
                let same = |kind: &Kind| matches!(kind, Kind::Vlan { uplink: Some(found), tag: number } if found == uplink && number == tag);
                self.check_made(name, same)
            }
            Port::Vxlan { name, vni, .. } => {
                self.check_made(name, |kind| matches!(kind, Kind::Vxlan { vni: found, .. } if found == vni))
            }
        }
    }

    /// The uplink, which must be there and take packets of the segment's size.
    fn uplink(&self, name: &str) -> Result<&'a Link, HostError> {
        let Some(link) = self.world.get(name) else {
            return Err(HostError::Failed(format!(
                "{}: the uplink {name} does not exist: correct `uplink` in the node's configuration, or plug it in",
                self.desired.subject
            )));
        };
        if link.mtu < self.desired.mtu {
            return Err(self.refuse(format!(
                "the uplink {name} has an MTU of {} and the segment one of {}: raise the former or lower the latter",
                link.mtu, self.desired.mtu
            )));
        }
        Ok(link)
    }

    /// An uplink that becomes a port carries nothing else: the host would lose what it has on it.
    fn check_free_uplink(&self, name: &str, link: &Link) -> Result<(), HostError> {
        let bridge = &self.desired.bridge;
        if let Some(master) = link.master.as_deref().filter(|master| master != bridge) {
            // On its way here from an earlier bridge of this segment.
            let moves =
                self.world.get(master).is_some_and(|link| link.mark == Mark::Of(self.desired.segment));
            if !moves {
                return Err(self.refuse(format!(
                    "the uplink {name} is a port of {master} already: name {master} as the segment's bridge, or use a VLAN"
                )));
            }
        }
        let carries = if let Some(address) = link.given_addresses().next() {
            format!("the address {address}")
        } else if link.default_route {
            "the default route".to_owned()
        } else {
            return Ok(());
        };
        Err(self.refuse(format!(
            "the uplink {name} carries {carries} of this host, which would be lost: make the bridge {bridge} in the host's own network configuration, with {name} as its port and the addresses on it, and it is used as it is"
        )))
    }

    /// An interface that is made must not stand in the way of one that is not ours.
    fn check_made(&self, name: &str, same: impl Fn(&Kind) -> bool) -> Result<(), HostError> {
        if let Some(link) = self.world.get(name)
            && !matches!(link.mark, Mark::HalfMade)
            && link.mark != Mark::Of(self.desired.segment)
        {
            let owner = match link.mark {
                Mark::Of(other) => format!("belongs to segment {other}"),
                Mark::Foreign | Mark::HalfMade => "was not made by Freehold".to_owned(),
            };
            return Err(self.refuse(format!(
                "the {} {name} {owner}: remove it, or put it into a bridge {} of your own, which is used as it is",
                link.kind.word(),
                self.desired.bridge
            )));
        }
        let twin = self.world.links.iter().find(|(other, link)| {
            *other != name && link.mark != Mark::Of(self.desired.segment) && same(&link.kind)
        });
        match twin {
            Some((other, link)) => Err(self.refuse(format!(
                "the {} {other} has the same number, and the kernel allows one: remove it",
                link.kind.word()
            ))),
            None => Ok(()),
        }
    }

    /// Whether the port's interface is there and of the right make; what cannot be changed is made anew.
    fn keeps(&self, link: &Link) -> bool {
        match (&self.desired.port, &link.kind) {
            (Port::Vlan { uplink, tag, .. }, Kind::Vlan { uplink: found, tag: number }) => {
                found.as_ref() == Some(uplink) && number == tag
            }
            (
                Port::Vxlan { vni, local, .. },
                Kind::Vxlan { vni: found, port, local: sender, learning: true },
            ) => {
                found == vni
                    && *port == VXLAN_PORT
                    && *sender == Some(*local).filter(|local| !local.is_unspecified())
                    && link.flood.iter().all(|peer| peer.is_ipv4() == local.is_ipv4())
            }
            _ => false,
        }
    }

    /// The port's interface as it is before [`Self::make_port`], if it stays.
    fn kept(&self) -> Option<&'a Link> {
        self.world.get(self.desired.port.made()?).filter(|link| self.keeps(link))
    }

    fn make_port(&self) -> Vec<Change> {
        let Some(name) = self.desired.port.made() else { return Vec::new() };
        let mtu = self.desired.mtu;
        let mut changes = Vec::new();
        let link = if let Some(link) = self.kept() {
            link.clone()
        } else {
            if self.world.get(name).is_some() {
                changes.push(Change::Delete { link: name.to_owned() });
            }
            changes.extend(self.add_port(name, mtu));
            Link::fresh(Kind::Other, mtu)
        };
        changes.extend(self.settle(name, &link));
        changes
    }

    fn add_port(&self, name: &str, mtu: u32) -> Option<Change> {
        let link = name.to_owned();
        match &self.desired.port {
            Port::None | Port::Uplink { .. } => None,
            Port::Vlan { uplink, tag, .. } => {
                Some(Change::AddVlan { link, uplink: uplink.clone(), tag: *tag, mtu })
            }
            Port::Vxlan { vni, local, .. } => Some(Change::AddVxlan { link, vni: *vni, local: *local, mtu }),
        }
    }

    fn make_bridge(&self, bridge: Option<&Link>) -> Vec<Change> {
        let name = &self.desired.bridge;
        let mtu = self.desired.mtu;
        match bridge {
            None => {
                let mut changes = vec![Change::AddBridge { link: name.clone(), mtu }];
                changes.extend(self.settle(name, &Link::fresh(Kind::Bridge { plain: true }, mtu)));
                changes
            }
            Some(bridge) => {
                let mut changes = self.settle(name, bridge);
                if bridge.kind != (Kind::Bridge { plain: true }) {
                    changes.push(Change::MakePlain { link: name.clone() });
                }
                changes
            }
        }
    }

    /// What goes for each link that is ours.
    fn settle(&self, name: &str, link: &Link) -> Vec<Change> {
        let mut changes = Vec::new();
        if link.mark != Mark::Of(self.desired.segment) {
            changes.push(Change::Mark { link: name.to_owned() });
        }
        if link.mtu != self.desired.mtu {
            changes.push(Change::SetMtu { link: name.to_owned(), mtu: self.desired.mtu });
        }
        for (switch, to) in self.switches(name) {
            if link.switches.get(&switch).is_some_and(|found| *found != to) {
                changes.push(Change::Turn { link: name.to_owned(), switch, to });
            }
        }
        changes
    }

    /// Guests reach the host by the addresses of their own segment, or not at all: on a bridge without
    /// any, the kernel would answer for the host's other addresses and take packets for them.
    fn switches(&self, name: &str) -> Vec<(Switch, u8)> {
        let mut switches = vec![(Switch::DisableIpv6, 1)];
        if name == self.desired.bridge {
            let (answers, check) = if self.desired.addresses.is_empty() { (8, 1) } else { (1, 2) };
            switches.extend([(Switch::ArpIgnore, answers), (Switch::SourceCheck, check)]);
        }
        switches
    }

    /// Puts the port into the bridge and brings all of it up, the bridge last.
    fn connect(&self) -> Vec<Change> {
        let bridge = &self.desired.bridge;
        let (carrier, port) = match &self.desired.port {
            Port::None => (None, None),
            Port::Uplink { name } => (None, Some((name, self.world.get(name)))),
            Port::Vlan { name, uplink, .. } => (Some(uplink), Some((name, self.kept()))),
            Port::Vxlan { name, .. } => (None, Some((name, self.kept()))),
        };
        let mut changes = Vec::new();
        if let Some(uplink) = carrier {
            changes.extend(rise(uplink, self.world.get(uplink)));
        }
        if let Some((name, link)) = port {
            // First a port and then up, so that the host never takes part in what it carries.
            if link.is_none_or(|link| link.master.as_ref() != Some(bridge)) {
                changes.push(Change::Join { link: name.clone(), bridge: bridge.clone() });
            }
            changes.extend(rise(name, link));
        }
        changes.extend(rise(bridge, self.world.get(bridge)));
        changes
    }

    fn addresses(&self, bridge: Option<&Link>) -> Vec<Change> {
        let link = &self.desired.bridge;
        let held = bridge.map(|bridge| bridge.addresses.as_slice()).unwrap_or_default();
        let surplus = held
            .iter()
            .filter(|held| {
                held.ours && !self.desired.addresses.iter().any(|wanted| IpNet::V4(*wanted) == held.address)
            })
            .map(|held| Change::RemoveAddress { link: link.clone(), address: held.address });
        let missing = self
            .desired
            .addresses
            .iter()
            .filter(|wanted| !bridge.is_some_and(|bridge| holds(bridge, **wanted)))
            .map(|wanted| Change::AddAddress { link: link.clone(), address: *wanted });
        surplus.chain(missing).collect()
    }

    fn flood(&self) -> Vec<Change> {
        let Port::Vxlan { name, peers, .. } = &self.desired.port else { return Vec::new() };
        // A host that sends to itself would hear its own guests as strangers.
        let wanted: BTreeSet<IpAddr> =
            peers.iter().copied().filter(|peer| !self.world.holds(*peer)).collect();
        let none = BTreeSet::new();
        let found = self.kept().map_or(&none, |link| &link.flood);
        let surplus =
            found.difference(&wanted).map(|peer| Change::RemoveFlood { link: name.clone(), peer: *peer });
        let missing =
            wanted.difference(found).map(|peer| Change::AddFlood { link: name.clone(), peer: *peer });
        surplus.chain(missing).collect()
    }
}

/// Brings a link up that is down or new.
fn rise(name: &str, link: Option<&Link>) -> Option<Change> {
    link.is_none_or(|link| !link.up).then(|| Change::SetUp { link: name.to_owned() })
}

fn holds(link: &Link, address: Ipv4Net) -> bool {
    link.addresses.iter().any(|held| held.address == IpNet::V4(address))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
