//! A host that is an edge: it answers for names and has no machines, disks or networks.
//!
//! Whatever is asked to be is refused, and the message says where it belongs; whatever is asked to be gone is
//! gone, since nothing can have been made. What the host is, is read from the kernel: no libvirt is needed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{Detail, Facts, Image, Machine, MachineDetail, ObjectKey, Pool, Segment, Volume};
use freehold_types::service::{Balancer, BalancerDetail, Gateway, GatewayDetail, Share};
use tokio::sync::{mpsc, watch};

use super::{HostError, MachineMemory, MachinePlan, Machines, Network, ServicePlan, Services, Storage};

/// All of an edge but its names.
#[derive(Debug, Clone, Copy)]
pub struct Edge;

fn refuse<T>(what: &str, id: Id) -> Result<T, HostError> {
    Err(HostError::Refused(format!(
        "{what} {id}: this node is an edge, which answers for names alone; use a node whose agent is of type Kaktus"
    )))
}

#[async_trait]
impl Storage for Edge {
    async fn ensure_pool(&self, id: Id, _: &Pool) -> Result<Detail, HostError> {
        refuse("pool", id)
    }

    async fn remove_pool(&self, _: Id, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_image(
        &self,
        id: Id,
        _: &Image,
        _: &Pool,
        _: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        refuse("image", id)
    }

    async fn remove_image(&self, _: Id, _: &Image, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_volume(&self, id: Id, _: &Volume, _: &Pool) -> Result<Detail, HostError> {
        refuse("volume", id)
    }

    async fn remove_volume(&self, _: Id, _: &Volume, _: &Pool) -> Result<(), HostError> {
        Ok(())
    }
}

#[async_trait]
impl Network for Edge {
    async fn ensure_segment(&self, id: Id, _: &Segment) -> Result<(), HostError> {
        refuse("segment", id)
    }

    async fn remove_segment(&self, _: Id, _: &Segment) -> Result<(), HostError> {
        Ok(())
    }
}

#[async_trait]
impl Machines for Edge {
    async fn facts(&self) -> Result<Facts, HostError> {
        tokio::task::spawn_blocking(observe)
            .await
            .map_err(|error| HostError::Failed(format!("this host cannot be looked at: {error}")))?
    }

    async fn ensure_machine(
        &self,
        plan: &MachinePlan<'_>,
        _: &mut MachineMemory,
    ) -> Result<MachineDetail, HostError> {
        refuse("machine", plan.id)
    }

    async fn observe_machine(&self, _: Id) -> Result<Option<MachineDetail>, HostError> {
        Ok(None)
    }

    async fn remove_machine(&self, _: Id, _: &Machine) -> Result<(), HostError> {
        Ok(())
    }

    async fn console(&self, id: Id) -> Result<String, HostError> {
        refuse("machine", id)
    }

    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        mpsc::unbounded_channel().1
    }
}

#[async_trait]
impl Services for Edge {
    async fn ensure_gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        refuse("gateway", plan.id)
    }

    async fn remove_gateway(&self, _: Id) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_balancer(&self, plan: &ServicePlan<'_, Balancer>) -> Result<BalancerDetail, HostError> {
        refuse("load balancer", plan.id)
    }

    async fn remove_balancer(&self, _: Id) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_share(&self, plan: &ServicePlan<'_, Share>) -> Result<u64, HostError> {
        refuse("file share", plan.id)
    }

    async fn remove_share(&self, _: Id, _: &Share) -> Result<(), HostError> {
        Ok(())
    }

    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        mpsc::unbounded_channel().1
    }
}

/// Reads what the kernel tells of this host.
fn observe() -> Result<Facts, HostError> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|error| {
            HostError::Failed(format!("{path} cannot be read ({error}); see that /proc is mounted"))
        })
    };
    let hostname = read("/proc/sys/kernel/hostname")?;
    Ok(facts(hostname.trim(), &read("/proc/cpuinfo")?, &read("/proc/meminfo")?))
}

fn facts(hostname: &str, processors: &str, memory: &str) -> Facts {
    let fields = |text: &'static str| {
        move |line: &str| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == text).then(|| value.trim().to_owned())
        }
    };
    let all = |name| processors.lines().filter_map(fields(name)).collect::<Vec<_>>();
    let first = |name| all(name).into_iter().next().unwrap_or_default();
    let (sockets, cores) = (all("physical id"), all("core id"));
    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX).max(1);
    let distinct = |texts: &[String]| count(texts.iter().collect::<BTreeSet<_>>().len());
    // A core's number is unique only within its socket.
    let pairs: BTreeSet<_> = sockets.iter().zip(&cores).collect();
    let kibibytes = memory.lines().find_map(fields("MemTotal"));
    let kibibytes = kibibytes.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let threads = count(all("processor").len());
    Facts {
        hostname: hostname.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        cpu_model: first("model name"),
        cpu_vendor: first("vendor_id"),
        sockets: distinct(&sockets),
        cores: if pairs.is_empty() { threads } else { count(pairs.len()) },
        threads,
        memory: kibibytes.unwrap_or(0) << 10,
        accelerator: String::new(),
        address: None,
        features: vec!["dns".to_owned()],
        landing: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_what_the_kernel_tells() {
        let processor = |number: u32, socket: u32, core: u32| {
            format!(
                "processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon: the one\n\
                 physical id\t: {socket}\ncore id\t\t: {core}\n\n"
            )
        };
        let text: String =
            [(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 1)].map(|(n, s, c)| processor(n, s, c)).concat();
        let facts = facts("edge-1", &text, "MemTotal:        2048 kB\nMemFree: 1 kB\n");
        assert_eq!((facts.sockets, facts.cores, facts.threads), (2, 3, 4));
        assert_eq!((facts.cpu_model.as_str(), facts.memory), ("Xeon: the one", 2 << 20));
        assert_eq!((facts.hostname.as_str(), facts.features.as_slice()), ("edge-1", &["dns".to_owned()][..]));
    }

    #[test]
    fn processors_that_tell_little_are_counted_all_the_same() {
        let facts = facts("edge-1", "processor\t: 0\n\nprocessor\t: 1\n", "");
        assert_eq!((facts.sockets, facts.cores, facts.threads, facts.memory), (1, 2, 2, 0));
    }

    #[tokio::test]
    async fn an_edge_refuses_what_is_not_a_name_and_says_where_it_belongs() {
        let segment = Segment {
            name: "s".to_owned(),
            bridge: "br0".to_owned(),
            mtu: 1500,
            link: freehold_types::agent::SegmentLink::Local,
            host_addresses: Vec::new(),
        };
        let error = Edge.ensure_segment(Id::from_u64(1), &segment).await.unwrap_err();
        assert!(
            matches!(&error, HostError::Refused(text) if text.contains("edge") && text.contains("Kaktus"))
        );
        Edge.remove_segment(Id::from_u64(1), &segment).await.unwrap();
        assert!(!Edge.facts().await.unwrap().hostname.is_empty());
    }
}
