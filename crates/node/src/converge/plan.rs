//! What must come before what, and what is to be done for an object now. Pure.
//!
//! A present object waits until all that it refers to is ready; an absent one until nothing refers to it.
//! An object that was ready once goes on even when something below it fails later, so that a machine can
//! be stopped while its storage is in trouble.

use std::sync::Arc;

use freehold_types::Id;
use freehold_types::agent::{
    Desired, Image, Machine, ObjectKey, ObjectKind, Phase, Pool, Segment, Specification, State as Wanted,
    Volume, VolumeContent,
};
use freehold_types::service::{Balancer, DnsZone, Gateway, Port, Share};

use crate::ledger::State;

/// What an object refers to, in the order in which it is needed.
pub(crate) fn needs(specification: &Specification) -> Vec<ObjectKey> {
    let key = |kind, id| ObjectKey { kind, id };
    match specification {
        Specification::Pool(_) | Specification::Segment(_) | Specification::DnsZone(_) => Vec::new(),
        Specification::Gateway(gateway) => segments(gateway_ports(gateway)),
        Specification::Balancer(balancer) => segments(std::iter::once(&balancer.private)),
        Specification::Share(share) => segments(std::iter::once(&share.private)),
        Specification::Image(image) => vec![key(ObjectKind::Pool, image.pool)],
        Specification::Volume(volume) => {
            let mut needs = vec![key(ObjectKind::Pool, volume.pool)];
            if let VolumeContent::Clone { image } = volume.content {
                needs.push(key(ObjectKind::Image, image));
            }
            needs
        }
        Specification::Machine(machine) => {
            let mut needs: Vec<_> = machine.disks.iter().map(|id| key(ObjectKind::Volume, *id)).collect();
            for nic in &machine.nics {
                let segment = key(ObjectKind::Segment, nic.segment);
                if !needs.contains(&segment) {
                    needs.push(segment);
                }
            }
            needs
        }
    }
}

fn gateway_ports(gateway: &Gateway) -> impl Iterator<Item = &Port> {
    let peerings = gateway.peerings.iter().map(|peering| &peering.port);
    std::iter::once(&gateway.private).chain(&gateway.public).chain(peerings)
}

fn segments<'a>(ports: impl Iterator<Item = &'a Port>) -> Vec<ObjectKey> {
    let mut segments: Vec<_> =
        ports.map(|port| ObjectKey { kind: ObjectKind::Segment, id: port.segment }).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

/// What is known of an object beyond what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing<'a> {
    pub(super) phase: Phase,
    /// The generation that the phase tells of.
    pub(super) generation: u64,
    /// It was ready at some time since the node started.
    pub(super) made: bool,
    /// Why it is not ready.
    pub(super) message: &'a str,
}

impl Standing<'_> {
    fn is_ready(&self, desired: &Desired) -> bool {
        self.phase == Phase::Ready && self.generation == desired.generation
    }

    fn is_gone(&self, desired: &Desired) -> bool {
        self.phase == Phase::Absent
            && self.generation == desired.generation
            && matches!(desired.state, Wanted::Absent(_))
    }
}

/// Says why the object must wait, if it must.
pub(super) fn waits_for<'a>(
    state: &State,
    desired: &Desired,
    standing: impl Fn(ObjectKey) -> Option<Standing<'a>>,
) -> Option<String> {
    match &desired.state {
        Wanted::Present(specification) => {
            let made = standing(desired.key).is_some_and(|own| own.made);
            needs(specification).into_iter().find_map(|need| lacks(state, need, made, standing(need)))
        }
        Wanted::Absent(specification) => {
            let user = state.referrers(desired.key).find(|user| {
                !state.get(*user).zip(standing(*user)).is_some_and(|(entry, now)| now.is_gone(&entry.desired))
            });
            if let Some(user) = user {
                return Some(match state.get(user).map(|entry| &entry.desired) {
                    Some(user) if matches!(user.state, Wanted::Present(_)) => {
                        format!("waits until {} does not use it any more", describe(user))
                    }
                    Some(user) => format!("waits for the removal of {}", describe(user)),
                    None => format!("waits for {user}"),
                });
            }
            // A pool that was not looked at yet may lack its mount, and would seem to hold nothing.
            let pool = pool_of(specification)?;
            let entry = state.get(pool).filter(|entry| matches!(entry.desired.state, Wanted::Present(_)))?;
            let made = standing(desired.key).is_some_and(|own| own.made);
            lacks(state, entry.desired.key, made, standing(pool))
        }
    }
}

/// Says what is missing of something that an object needs.
fn lacks(state: &State, need: ObjectKey, made: bool, standing: Option<Standing<'_>>) -> Option<String> {
    let Some(entry) = state.get(need) else {
        return Some(format!("waits for {need}, which the controller did not send"));
    };
    let name = describe(&entry.desired);
    if matches!(entry.desired.state, Wanted::Absent(_)) {
        return Some(format!("waits for {name}, which is to be removed"));
    }
    let standing = standing?;
    if standing.is_ready(&entry.desired) || (made && standing.made) {
        None
    } else if standing.phase == Phase::Failed {
        Some(format!("waits for {name}, which failed: {}", standing.message))
    } else {
        Some(format!("waits for {name}"))
    }
}

fn pool_of(specification: &Specification) -> Option<ObjectKey> {
    let id = match specification {
        Specification::Image(image) => image.pool,
        Specification::Volume(volume) => volume.pool,
        Specification::Pool(_)
        | Specification::Segment(_)
        | Specification::Machine(_)
        | Specification::Gateway(_)
        | Specification::Balancer(_)
        | Specification::Share(_)
        | Specification::DnsZone(_) => return None,
    };
    Some(ObjectKey { kind: ObjectKind::Pool, id })
}

/// Kind, name and id of an object, for people.
pub(super) fn describe(desired: &Desired) -> String {
    let name = match desired.state.specification() {
        Specification::Pool(pool) => &pool.name,
        Specification::Image(image) => &image.name,
        Specification::Volume(volume) => &volume.name,
        Specification::Segment(segment) => &segment.name,
        Specification::Machine(machine) => &machine.name,
        Specification::Gateway(gateway) => &gateway.name,
        Specification::Balancer(balancer) => &balancer.name,
        Specification::Share(share) => &share.name,
        Specification::DnsZone(zone) => &zone.domain,
    };
    format!("{} `{name}` ({})", desired.key.kind, desired.key.id)
}

/// One call of the host, with all that it needs. Equal jobs have equal effects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub(super) desired: Arc<Desired>,
    pub(super) on: On,
}

/// What a job is about, and what the host must know besides the object itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum On {
    Pool,
    Image {
        pool: Arc<Desired>,
    },
    Volume {
        pool: Arc<Desired>,
    },
    Segment,
    Machine {
        disks: Vec<Disk>,
        bridges: Vec<String>,
    },
    Gateway {
        segments: Vec<Arc<Desired>>,
    },
    Balancer {
        segments: Vec<Arc<Desired>>,
    },
    Share {
        segments: Vec<Arc<Desired>>,
    },
    DnsZone,
    /// Nothing is done, a machine that must wait is only looked at.
    Look,
}

/// A disk of a machine, with its pool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disk {
    pub(super) volume: Arc<Desired>,
    pub(super) pool: Arc<Desired>,
}

/// The job that an object calls for now.
///
/// # Errors
/// When the objects sent by the controller do not fit together, with what does not.
pub(super) fn job(state: &State, desired: &Arc<Desired>) -> Result<Job, String> {
    let specification = desired.state.specification();
    let on = match (desired.key.kind, specification) {
        (ObjectKind::Pool, Specification::Pool(_)) => On::Pool,
        (ObjectKind::Segment, Specification::Segment(_)) => On::Segment,
        (ObjectKind::Image, Specification::Image(image)) => On::Image { pool: pool(state, image.pool)? },
        (ObjectKind::Volume, Specification::Volume(volume)) => On::Volume { pool: pool(state, volume.pool)? },
        (ObjectKind::Machine, Specification::Machine(machine)) => match desired.state {
            Wanted::Present(_) => present_machine(state, machine)?,
            Wanted::Absent(_) => On::Machine { disks: Vec::new(), bridges: Vec::new() },
        },
        (ObjectKind::Gateway, Specification::Gateway(_)) => {
            On::Gateway { segments: present_segments(state, desired)? }
        }
        (ObjectKind::Balancer, Specification::Balancer(_)) => {
            On::Balancer { segments: present_segments(state, desired)? }
        }
        (ObjectKind::Share, Specification::Share(_)) => {
            On::Share { segments: present_segments(state, desired)? }
        }
        (ObjectKind::DnsZone, Specification::DnsZone(_)) => On::DnsZone,
        (kind, _) => {
            return Err(format!(
                "{} is not specified as a {kind}; this is a fault of the controller",
                desired.key
            ));
        }
    };
    Ok(Job { desired: Arc::clone(desired), on })
}

fn present_machine(state: &State, machine: &Machine) -> Result<On, String> {
    let disks = machine.disks.iter().map(|id| {
        let volume = find(state, ObjectKind::Volume, *id)?;
        let pool = pool(state, volume_of(&volume)?.pool)?;
        Ok(Disk { volume, pool })
    });
    let bridges = machine.nics.iter().map(|nic| {
        let segment = find(state, ObjectKind::Segment, nic.segment)?;
        segment_of(&segment).map(|segment| segment.bridge.clone())
    });
    Ok(On::Machine {
        disks: disks.collect::<Result<_, String>>()?,
        bridges: bridges.collect::<Result<_, String>>()?,
    })
}

/// The segments that a service is in; none are needed to remove it.
fn present_segments(state: &State, desired: &Desired) -> Result<Vec<Arc<Desired>>, String> {
    let Wanted::Present(specification) = &desired.state else { return Ok(Vec::new()) };
    needs(specification).into_iter().map(|need| find(state, need.kind, need.id)).collect()
}

fn pool(state: &State, id: Id) -> Result<Arc<Desired>, String> {
    let pool = find(state, ObjectKind::Pool, id)?;
    pool_specification(&pool)?;
    Ok(pool)
}

fn find(state: &State, kind: ObjectKind, id: Id) -> Result<Arc<Desired>, String> {
    let key = ObjectKey { kind, id };
    let entry =
        state.get(key).ok_or_else(|| format!("refers to {key}, which the controller did not send"))?;
    Ok(Arc::clone(&entry.desired))
}

macro_rules! specification_of {
    ($($name:ident: $variant:ident => $type:ty),* $(,)?) => {
        $(pub(super) fn $name(desired: &Desired) -> Result<&$type, String> {
            let Specification::$variant(found) = desired.state.specification() else {
                return Err(format!("{} is not specified as such; this is a fault of the controller", desired.key));
            };
            Ok(found)
        })*
    };
}

specification_of! {
    pool_specification: Pool => Pool,
    image_of: Image => Image,
    volume_of: Volume => Volume,
    segment_of: Segment => Segment,
    machine_of: Machine => Machine,
    gateway_of: Gateway => Gateway,
    balancer_of: Balancer => Balancer,
    share_of: Share => Share,
    zone_of: DnsZone => DnsZone,
}

#[cfg(test)]
mod tests;
