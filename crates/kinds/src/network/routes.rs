//! Operations on networks.

use freehold_store::{Key, Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Network, spec};
use crate::placed;
use crate::region::Region;
use crate::route::{Call, Outcome, Permission::Operator, Row, Success, not_found};
use crate::subnet::Subnet;
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Network>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/vnet", "list_v_nets", Operator, IDS, crud::list::<Network>).query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/vnets",
        "list_region_v_nets",
        Operator,
        IDS,
        crud::list_children::<Network>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region/{regionId}/vnet",
        "create_region_v_net",
        Operator,
        Success::Created(schema_of::<wire::Network>),
        create,
    )
    .body(schema_of::<wire::Network>),
    Row::new("GET", "/vnet/{vnetId}", "read_v_net", Operator, MODEL, crud::read::<Network>),
    Row::new("PUT", "/vnet/{vnetId}", "update_v_net", Operator, MODEL, crud::update::<Network>)
        .body(schema_of::<wire::NetworkUpdate>),
    Row::new(
        "DELETE",
        "/vnet/{vnetId}",
        "delete_v_net",
        Operator,
        Success::Done,
        crud::begin_removal::<Network>,
    ),
    Row::new(
        "PATCH",
        "/vnet/{vnetId}/subnet/{subnetId}/default",
        "set_v_net_default_subnet",
        Operator,
        Success::Done,
        set_default_subnet,
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?.id();
    let wire::Network { name, description, vlan, interface, private, .. } = call.body()?;
    text::name("network", &name)?;
    crud::refuse_taken::<Network>(call.snapshot, &Network::name_claim(region, &name), None, &name)?;
    let spec = Network {
        region,
        name,
        description: text::description(description)?,
        vlan: vlan.unwrap_or(0),
        interface,
        private,
        vni: spec::free_vni(|vni| call.snapshot.claim(&Network::vni_claim(vni)).is_some())?,
        default_subnet: None,
        subnets_made: 0,
    };
    check(&spec, None, call)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    Ok(Outcome::object(transaction, Key::of::<Network>(id)))
}

/// Checks what create and update have in common: the tag and the bridge, and that no other network of the
/// region has them.
pub(super) fn check(spec: &Network, own: Option<Id>, call: &Call<'_>) -> Result<(), ApiError> {
    spec::check_vlan(spec.vlan)?;
    spec::check_interface(&spec.interface)?;
    let holder =
        |claim: &str| call.snapshot.claimed::<Network>(claim).filter(|other| Some(other.id()) != own);
    if let Some(other) = holder(&Network::interface_claim(spec.region, &spec.interface)) {
        return Err(ApiError::conflict(format!(
            "`interface`: the bridge `{}` is that of the network {} of the same region; take another",
            spec.interface,
            crud::named(other)
        )));
    }
    if spec.vlan > 0
        && let Some(other) = holder(&Network::vlan_claim(spec.region, spec.vlan))
    {
        return Err(ApiError::conflict(format!(
            "`vlan`: the tag {} is that of the network {} of the same region; take another",
            spec.vlan,
            crud::named(other)
        )));
    }
    Ok(())
}

/// Refuses to change the bridge or the tag while a node has the segment: machines are plugged into it.
///
/// # Errors
/// 409.
pub(super) fn refuse_on_nodes(network: &Object<Network>, snapshot: &Snapshot) -> Result<(), ApiError> {
    let count = placed::holders(network, snapshot).len();
    if count == 0 {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "the network {} is in use on {count} hosts, so its `vlan` and `interface` stay; remove the machines in it \
         first, or make a new network",
        crud::named(network)
    )))
}

fn set_default_subnet(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (network, subnet) = (call.object::<Network>(0)?, call.object::<Subnet>(1)?);
    if subnet.spec.network != network.id() {
        return Err(not_found::<Subnet>(subnet.id()));
    }
    let mut transaction = Transaction::default();
    transaction.update(network, Network { default_subnet: Some(subnet.id()), ..network.spec.clone() });
    Ok(Outcome::done(transaction))
}
