//! Families beyond those of the contract: nodes, hosts, machines, mails, the store and requests.

use std::sync::atomic::Ordering;

use freehold_kinds::agent::Agent;
use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::instance::{self, Instance};
use freehold_kinds::mail::{Mail, MailState};
use freehold_kinds::registry;
use freehold_kinds::zone::Zone;
use freehold_store::Snapshot;
use freehold_types::wire;

use super::text::{Page, Samples, number};
use super::{BOUNDS, Metrics};

const SECONDS: &str = "freehold_http_request_seconds";

/// Writes these families.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot, metrics: &Metrics) {
    let mut build = Samples::default();
    build.add(&[("version", env!("CARGO_PKG_VERSION")), ("contract", wire::CONTRACT_VERSION)], 1.0);
    page.gauge("freehold_build_info", "The version that runs.", build);
    let revision = Samples::one(number(snapshot.revision()));
    page.counter("freehold_store_revision", "Revision of the state.", revision);
    objects(page, snapshot);
    hosts(page, snapshot);
    mails(page, snapshot);
    let unplaced = Samples::one(number(metrics.unplaced.load(Ordering::Relaxed)));
    page.counter("freehold_failed_placements_total", "Machines asked for and refused (422, 507).", unplaced);
    requests(page, metrics);
}

fn objects(page: &mut Page, snapshot: &Snapshot) {
    let mut counts = Samples::default();
    for entry in registry::ENTRIES {
        let count = (entry.count)(snapshot).try_into().unwrap_or(u64::MAX);
        counts.add(&[("kind", entry.kind)], number(count));
    }
    page.gauge("freehold_objects", "Objects by kind.", counts);
    let mut deleting = Samples::default();
    for object in snapshot.everything().filter(|object| object.meta().deleting.is_some()) {
        deleting.add(&[("kind", object.key().kind)], 1.0);
    }
    page.gauge("freehold_objects_deleting", "Objects on their way out.", deleting);
    let mut states = Samples::default();
    for machine in snapshot.all::<Instance>() {
        states.add(&[("state", &instance::wire_state(machine, snapshot).state)], 1.0);
    }
    page.gauge("freehold_machines", "Machines by what they are doing.", states);
}

fn hosts(page: &mut Page, snapshot: &Snapshot) {
    let mut up = Samples::default();
    for agent in snapshot.all::<Agent>() {
        let connected = if agent.status.connected { 1.0 } else { 0.0 };
        up.add(&[("agent", &agent.id().to_string()), ("name", &agent.spec.name)], connected);
    }
    page.gauge("freehold_node_up", "Whether the node of an agent is connected.", up);
    let (mut vcpus, mut memory, mut maintenance) =
        (Samples::default(), Samples::default(), Samples::default());
    for host in snapshot.all::<Hypervisor>() {
        let zone = snapshot.get::<Zone>(host.spec.zone).map_or("", |zone| &zone.spec.name);
        let labels = [("zone", zone), ("name", host.spec.name.as_str())];
        maintenance.add(&labels, if host.spec.maintenance { 1.0 } else { 0.0 });
        if let Some(facts) = host.spec.facts(snapshot) {
            let capacity = host.spec.capacity(facts);
            vcpus.add(&labels, number(capacity.vcpus));
            memory.add(&labels, number(capacity.memory));
        }
    }
    page.gauge("freehold_host_capacity_vcpus", "Virtual CPUs that a host may carry.", vcpus);
    page.gauge("freehold_host_capacity_memory_bytes", "Memory that a host may give to machines.", memory);
    page.gauge("freehold_host_maintenance", "Whether a host takes no new machines.", maintenance);
}

fn mails(page: &mut Page, snapshot: &Snapshot) {
    let mut outbox = Samples::default();
    for mail in snapshot.all::<Mail>() {
        let state = match mail.status.state {
            MailState::Queued if mail.spec.to.is_none() => "unaddressed",
            MailState::Queued => "queued",
            MailState::Sent => "sent",
            MailState::Failed => "failed",
        };
        outbox.add(&[("state", state)], 1.0);
    }
    page.gauge("freehold_outbox_mails", "Mails in the outbox.", outbox);
}

fn requests(page: &mut Page, metrics: &Metrics) {
    let called = || {
        metrics.operations.iter().flat_map(|(operation, classes)| {
            let classes = classes.iter().zip(1..).filter(|(answered, _)| answered.count() > 0);
            classes.map(|(answered, class)| {
                (vec![("operation", (*operation).to_owned()), ("status", format!("{class}xx"))], answered)
            })
        })
    };
    page.head("freehold_http_requests_total", "counter", "Requests by operation and class of status.");
    for (labels, answered) in called() {
        page.sample("freehold_http_requests_total", &labels, number(answered.count()));
    }
    page.head(SECONDS, "histogram", "How long requests took.");
    for (labels, answered) in called() {
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(std::iter::once("+Inf".to_owned()));
        let mut below = 0;
        for (bound, bucket) in bounds.zip(&answered.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let mut labels = labels.clone();
            labels.push(("le", bound));
            page.sample(&format!("{SECONDS}_bucket"), &labels, number(below));
        }
        let microseconds = number(answered.microseconds.load(Ordering::Relaxed));
        page.sample(&format!("{SECONDS}_sum"), &labels, microseconds / 1e6);
        page.sample(&format!("{SECONDS}_count"), &labels, number(below));
    }
}
