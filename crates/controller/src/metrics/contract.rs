//! The families that monitoring of the contract's other implementations knows, under their names. Storage
//! pools have a label `pool` more, since a region may have several.

use freehold_kinds::adapter::Adapter;
use freehold_kinds::cost::{self, Price};
use freehold_kinds::hypervisor::Hypervisor;
use freehold_kinds::instance::Instance;
use freehold_kinds::network::Network;
use freehold_kinds::pool::{self, Pool};
use freehold_kinds::project::Project;
use freehold_kinds::region::Region;
use freehold_kinds::subnet::Subnet;
use freehold_kinds::volume::Volume;
use freehold_kinds::zone::Zone;
use freehold_store::{Object, Snapshot};
use freehold_types::Id;
use freehold_types::net::Range;
use freehold_types::wire::OperatingSystem;

use super::text::{Page, Samples, number};

/// Writes these families.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot, scrapes: u64) {
    page.gauge("kowabunga_up", "Whether the last collection worked.", Samples::one(1.0));
    page.counter("kowabunga_total_scrapes", "Collections done.", Samples::one(number(scrapes)));
    places(page, snapshot);
    hosts(page, snapshot);
    pools(page, snapshot);
    networks(page, snapshot);
    projects(page, snapshot);
    instances(page, snapshot);
}

fn region(id: Id, snapshot: &Snapshot) -> &str {
    snapshot.get::<Region>(id).map_or("", |region| &region.spec.name)
}

fn project(id: Id, snapshot: &Snapshot) -> &str {
    snapshot.get::<Project>(id).map_or("", |project| &project.spec.name)
}

fn places(page: &mut Page, snapshot: &Snapshot) {
    let (mut regions, mut zones) = (Samples::default(), Samples::default());
    snapshot.all::<Region>().for_each(|region| regions.add(&[("name", &region.spec.name)], 1.0));
    snapshot.all::<Zone>().for_each(|zone| zones.add(&[("name", &zone.spec.name)], 1.0));
    page.gauge("kowabunga_regions", "Regions.", regions);
    page.gauge("kowabunga_zones", "Zones.", zones);
}

fn hosts(page: &mut Page, snapshot: &Snapshot) {
    let (mut vcpus, mut memory) = (Samples::default(), Samples::default());
    let (mut count, mut costs) = (Samples::default(), Samples::default());
    for host in snapshot.all::<Hypervisor>() {
        let zone = snapshot.get::<Zone>(host.spec.zone).map_or("", |zone| &zone.spec.name);
        let (name, usage) = (host.spec.name.as_str(), snapshot.usage(host.id()));
        let labels = [("zone", zone), ("name", name)];
        vcpus.add(&labels, number(usage.vcpus));
        memory.add(&labels, number(usage.memory));
        count.add(&labels, number(usage.instances));
        let Price { amount, currency } =
            cost::sum([host.spec.cpu_cost.clone(), host.spec.memory_cost.clone()].into_iter());
        costs.add(&[("zone", zone), ("name", name), ("currency", &currency)], amount);
    }
    page.gauge("kowabunga_kaktus_allocated_vcpus", "Virtual CPUs of the machines of a host.", vcpus);
    page.gauge("kowabunga_kaktus_allocated_memory_bytes", "Memory of the machines of a host.", memory);
    page.gauge("kowabunga_kaktus_instances", "Machines of a host.", count);
    page.gauge("kowabunga_kaktus_cost", "Monthly price of a host.", costs);
}

fn pools(page: &mut Page, snapshot: &Snapshot) {
    let (mut allocated, mut free) = (Samples::default(), Samples::default());
    let (mut capacity, mut costs) = (Samples::default(), Samples::default());
    for pool in snapshot.all::<Pool>() {
        let labels = [("region", region(pool.spec.region, snapshot)), ("pool", pool.spec.name.as_str())];
        let space = pool::space(pool);
        allocated.add(&labels, number(space.allocated));
        free.add(&labels, number(space.available));
        capacity.add(&labels, number(space.capacity));
        let [region, name] = labels;
        costs.add(&[region, name, ("currency", &pool.spec.cost.currency)], pool.spec.cost.amount);
    }
    page.gauge("kowabunga_storage_pools_allocated_bytes", "Bytes in use of a pool.", allocated);
    page.gauge("kowabunga_storage_pools_free_bytes", "Bytes left of a pool.", free);
    page.gauge("kowabunga_storage_pools_capacity_bytes", "Bytes that a pool can hold.", capacity);
    page.gauge("kowabunga_storage_pools_cost", "Monthly price of a pool.", costs);
}

fn networks(page: &mut Page, snapshot: &Snapshot) {
    let (mut networks, mut private) = (Samples::default(), Samples::default());
    let mut addresses = Samples::default();
    for network in snapshot.all::<Network>() {
        let kind = if network.spec.private { "private" } else { "public" };
        networks.add(&[("region", region(network.spec.region, snapshot)), ("type", kind)], 1.0);
    }
    for subnet in snapshot.all::<Subnet>() {
        let Some(network) = snapshot.get::<Network>(subnet.spec.network) else { continue };
        let (region, netmask) =
            (region(network.spec.region, snapshot), subnet.spec.cidr.prefix_len().to_string());
        let labels = |kind| [("region", region), ("netmask", netmask.as_str()), ("type", kind)];
        if network.spec.private {
            let kind = if subnet.spec.project.is_some() { "allocated" } else { "free" };
            private.add(&labels(kind), 1.0);
        } else {
            let (reserved, allocated, free) = use_of(subnet, snapshot);
            addresses.add(&labels("reserved"), number(reserved));
            addresses.add(&labels("allocated"), number(allocated));
            addresses.add(&labels("free"), number(free));
        }
    }
    page.gauge("kowabunga_virtual_networks", "Networks of a region.", networks);
    page.gauge("kowabunga_private_subnets", "Private subnets of a region.", private);
    page.gauge("kowabunga_public_subnets_ips", "Public addresses of a region.", addresses);
}

/// Addresses of a subnet that are reserved, allocated and free.
fn use_of(subnet: &Object<Subnet>, snapshot: &Snapshot) -> (u64, u64, u64) {
    let size = |range: &Range| u64::from(u32::from(range.last).saturating_sub(u32::from(range.first))) + 1;
    let spec = &subnet.spec;
    let kept: u64 = spec.reserved.iter().chain(&spec.gateway_pool).map(size).sum();
    let held = spec.reserved.iter().chain(&spec.gateway_pool);
    let apart = !held.into_iter().any(|range| (range.first..=range.last).contains(&spec.gateway));
    let reserved = kept + u64::from(apart);
    let adapters = snapshot.referrers::<Adapter>(subnet.id());
    let allocated: usize = adapters.map(|adapter| adapter.spec.addresses.len()).sum();
    let allocated = allocated.try_into().unwrap_or(u64::MAX);
    let usable = (1_u64 << (32 - spec.cidr.prefix_len())).saturating_sub(2);
    (reserved, allocated, usable.saturating_sub(reserved).saturating_sub(allocated))
}

fn projects(page: &mut Page, snapshot: &Snapshot) {
    let (mut known, mut count, mut vcpus) = (Samples::default(), Samples::default(), Samples::default());
    let (mut memory, mut volumes) = (Samples::default(), Samples::default());
    let (mut storage, mut costs) = (Samples::default(), Samples::default());
    for project in snapshot.all::<Project>() {
        let (labels, usage) = ([("name", project.spec.name.as_str())], snapshot.usage(project.id()));
        known.add(&labels, 1.0);
        count.add(&labels, number(usage.instances));
        vcpus.add(&labels, number(usage.vcpus));
        memory.add(&labels, number(usage.memory));
        storage.add(&labels, number(usage.storage));
        let disks = snapshot.referrers::<Volume>(project.id());
        volumes.add(&labels, number(disks.count().try_into().unwrap_or(u64::MAX)));
        let machines = snapshot.referrers::<Instance>(project.id());
        let machines = machines.map(|instance| cost::of_instance(&instance.spec, snapshot));
        let disks = snapshot.referrers::<Volume>(project.id());
        let disks = disks.map(|volume| cost::of_volume(&volume.spec, snapshot));
        let Price { amount, currency } = cost::sum(machines.chain(disks));
        costs.add(&[("name", &project.spec.name), ("currency", &currency)], amount);
    }
    page.gauge("kowabunga_projects", "Projects.", known);
    page.gauge("kowabunga_project_instances", "Machines of a project.", count);
    page.gauge("kowabunga_project_allocated_vcpus", "Virtual CPUs of a project.", vcpus);
    page.gauge("kowabunga_project_allocated_memory_bytes", "Memory of a project.", memory);
    page.gauge("kowabunga_project_volumes", "Volumes of a project.", volumes);
    page.gauge("kowabunga_project_allocated_storage_bytes", "Storage of a project.", storage);
    page.gauge("kowabunga_project_estimated_cost", "Monthly cost of a project.", costs);
}

fn instances(page: &mut Page, snapshot: &Snapshot) {
    let (mut settings, mut vcpus) = (Samples::default(), Samples::default());
    let (mut memory, mut costs) = (Samples::default(), Samples::default());
    for instance in snapshot.all::<Instance>() {
        let spec = &instance.spec;
        let [name, project] = [("name", spec.name.as_str()), ("project", project(spec.project, snapshot))];
        let os = match spec.os {
            OperatingSystem::Linux => "linux",
            OperatingSystem::Windows => "windows",
        };
        settings.add(&[name, project, ("os", os), ("ip", &address(spec, snapshot))], 1.0);
        vcpus.add(&[name, project], f64::from(spec.vcpus));
        memory.add(&[name, project], number(spec.memory));
        let Price { amount, currency } = cost::of_instance(spec, snapshot);
        costs.add(&[name, project, ("currency", &currency)], amount);
    }
    page.gauge("kowabunga_instance_settings", "What a machine is.", settings);
    page.gauge("kowabunga_instance_allocated_vcpus", "Virtual CPUs of a machine.", vcpus);
    page.gauge("kowabunga_instance_allocated_memory_bytes", "Memory of a machine.", memory);
    page.gauge("kowabunga_instance_estimated_cost", "Monthly cost of a machine.", costs);
}

/// The private address of a machine; its first one when it has none.
fn address(instance: &Instance, snapshot: &Snapshot) -> String {
    let adapters = || instance.adapters.iter().filter_map(|adapter| snapshot.get::<Adapter>(*adapter));
    let is_private = |adapter: &&Object<Adapter>| {
        let subnet = snapshot.get::<Subnet>(adapter.spec.subnet);
        let network = subnet.and_then(|subnet| snapshot.get::<Network>(subnet.spec.network));
        network.is_some_and(|network| network.spec.private)
    };
    let adapter = adapters().find(is_private).or_else(|| adapters().next());
    adapter.and_then(|adapter| adapter.spec.addresses.first()).map(ToString::to_string).unwrap_or_default()
}
