//! Hosts that do what they are asked at once, and tell of it.

use freehold_store::Transaction;
use freehold_types::Id;
use std::net::{IpAddr, Ipv4Addr};

use freehold_types::agent::{
    Departure, Desired, Detail, Facts, Landing, Machine, MachineDetail, Motion, Observed, Outcome, Phase,
    PowerTarget, Specification, State,
};
use freehold_types::service::{BalancerDetail, GatewayDetail};
use freehold_types::size::GIB;

use super::World;
use crate::agent::{Agent, AgentStatus};
use crate::migration::follow;
use crate::{finalize, slice};

/// Rounds after which a world that still changes is said to be unstable.
const ROUNDS: usize = 50;

impl World {
    /// The node of an agent connects: 8 CPUs and 32 GiB.
    #[track_caller]
    pub(crate) fn connect(&self, agent: Id) {
        let facts = Facts {
            hostname: format!("node-{agent}"),
            architecture: "x86_64".to_owned(),
            cpu_model: "test".to_owned(),
            cpu_vendor: "test".to_owned(),
            sockets: 1,
            cores: 4,
            threads: 8,
            memory: 32 * GIB,
            accelerator: "kvm".to_owned(),
            features: ["uefi", "bios", "vlan", "vxlan"].map(str::to_owned).to_vec(),
            landing: Some(Landing {
                uri: format!("qemu+tls://node-{agent}/system"),
                directory: "/var/lib/freehold/node/machines".to_owned(),
                display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            }),
            ..Facts::default()
        };
        let status = AgentStatus { connected: true, since: Some(self.now), facts: Some(facts) };
        self.change::<Agent>(agent, |agent| agent.status = status);
    }

    /// The node of an agent is gone; what it told stays.
    #[track_caller]
    pub(crate) fn disconnect(&self, agent: Id) {
        self.change::<Agent>(agent, |agent| agent.status.connected = false);
    }

    /// What a node is asked for.
    pub(crate) fn desired(&self, agent: Id) -> Vec<Desired> {
        slice::full(agent, &self.snapshot(), &self.environment)
    }

    /// Lets connected nodes do and tell all they are asked, and what is gone from them go, until nothing
    /// changes any more.
    #[track_caller]
    pub(crate) fn converge(&self) {
        for _ in 0..ROUNDS {
            let before = self.snapshot().revision();
            for agent in self.all::<Agent>().into_iter().filter(|agent| agent.status.connected) {
                self.report(agent.id());
            }
            self.finalize();
            if self.snapshot().revision() == before {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// A node does and tells all it is asked.
    #[track_caller]
    fn report(&self, agent: Id) {
        let snapshot = self.snapshot();
        let mut transaction = Transaction::default();
        for desired in self.desired(agent) {
            let observed = self.obey(&desired);
            assert!(slice::observe(agent, &observed, &snapshot, &mut transaction), "{desired:?}");
        }
        self.commit(transaction);
    }

    /// Removes what is on its way out and has nothing left.
    #[track_caller]
    fn finalize(&self) {
        let keys: Vec<_> = self.snapshot().everything().map(|object| object.key()).collect();
        for key in keys {
            if let Some(transaction) = finalize::removal(key, &self.snapshot()) {
                self.commit(transaction);
            }
            if let Some(transaction) = follow::step(key, &self.snapshot(), self.now) {
                self.commit(transaction);
            }
        }
    }

    fn obey(&self, desired: &Desired) -> Observed {
        let (phase, detail) = match &desired.state {
            State::Absent(_) => (Phase::Absent, None),
            State::Present(Specification::Machine(machine)) => {
                (Phase::Ready, Some(Detail::Machine(self.state_of(machine))))
            }
            State::Present(specification) => (Phase::Ready, detail(specification)),
        };
        let Desired { key, generation, .. } = *desired;
        Observed { key, generation, phase, message: String::new(), detail }
    }

    fn state_of(&self, machine: &Machine) -> MachineDetail {
        match &machine.motion {
            None => at_rest(machine),
            Some(Motion::Incoming) => MachineDetail::new("No State", "Migration"),
            Some(Motion::Outgoing(outgoing)) => {
                let rooted = self.rooted.clone().map(|reason| Outcome::Stayed { reason });
                let (outcome, detail) = match rooted {
                    Some(outcome) => (outcome, at_rest(machine)),
                    None => (Outcome::Left, MachineDetail::new("Shutoff", "Migrated")),
                };
                MachineDetail { departure: Some(Departure { id: outgoing.id, outcome }), ..detail }
            }
        }
    }
}

fn detail(specification: &Specification) -> Option<Detail> {
    let detail = match specification {
        Specification::Pool(_) => {
            Detail::Pool { capacity: 1_000 * GIB, allocated: 0, available: 1_000 * GIB }
        }
        Specification::Image(_) => Detail::Image { virtual_size: 2 * GIB, fetched: GIB, total: Some(GIB) },
        Specification::Volume(volume) => Detail::Volume { bytes: volume.bytes },
        Specification::Gateway(gateway) => Detail::Gateway(GatewayDetail {
            active: gateway.pairs.iter().map(|pair| pair.vrid).collect(),
            tunnels: Vec::new(),
        }),
        Specification::Balancer(_) => Detail::Balancer(BalancerDetail { active: true, backends: Vec::new() }),
        Specification::Share(_) => Detail::Share { bytes: 4_096 },
        Specification::Segment(_) | Specification::DnsZone(_) | Specification::Machine(_) => return None,
    };
    Some(detail)
}

fn at_rest(machine: &Machine) -> MachineDetail {
    let (state, reason) = match machine.power.target {
        PowerTarget::Running => ("Running", "Booted"),
        PowerTarget::Off => ("Shutoff", "Destroyed"),
        PowerTarget::ShutDown => ("Shutoff", "Shutdown"),
        PowerTarget::Paused => ("Paused", "User"),
    };
    MachineDetail::new(state, reason)
}
