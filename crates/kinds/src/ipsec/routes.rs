//! Operations on the IPsec connections of a gateway.

use freehold_store::{Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Connection, Phase, spec};
use crate::gateway::Gateway;
use crate::route::Permission::Account;
use crate::route::{Call, Outcome, Row, Success, not_found};
use crate::subnet::Subnet;
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::IpsecConnection>);

/// Most connections of a gateway.
const CONNECTION_LIMIT: usize = 32;

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/kawaii/{kawaiiId}/ipsec",
        "list_kawaii_ip_secs",
        Account,
        IDS,
        crud::list_children::<Connection>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/kawaii/{kawaiiId}/ipsec",
        "create_kawaii_ip_sec",
        Account,
        Success::Created(schema_of::<wire::IpsecConnection>),
        create,
    )
    .body(schema_of::<wire::IpsecConnection>),
    Row::new(
        "GET",
        "/kawaii/{kawaiiId}/ipsec/{kawaiiIpSecId}",
        "read_kawaii_ip_sec",
        Account,
        MODEL,
        |call| {
            of_gateway(call)?;
            crud::read::<Connection>(call)
        },
    ),
    Row::new(
        "PUT",
        "/kawaii/{kawaiiId}/ipsec/{kawaiiIpSecId}",
        "update_kawaii_ip_sec",
        Account,
        MODEL,
        update,
    )
    .body(schema_of::<wire::IpsecConnectionUpdate>),
    Row::new(
        "DELETE",
        "/kawaii/{kawaiiId}/ipsec/{kawaiiIpSecId}",
        "delete_kawaii_ip_sec",
        Account,
        Success::Done,
        |call| {
            of_gateway(call)?;
            crud::delete::<Connection>(call)
        },
    ),
];

/// The connection of the path, which must be one of the gateway of the path.
fn of_gateway<'a>(call: &'a Call<'_>) -> Result<&'a Object<Connection>, ApiError> {
    let connection = call.object::<Connection>(1)?;
    if connection.spec.gateway == call.id(0) {
        return Ok(connection);
    }
    Err(not_found::<Connection>(connection.id()))
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let gateway = call.object::<Gateway>(0)?;
    crud::refuse_deleting(gateway)?;
    let body: wire::IpsecConnection = call.body()?;
    if call.snapshot.referrers::<Connection>(gateway.id()).count() >= CONNECTION_LIMIT {
        return Err(ApiError::no_room(format!("a gateway has at most {CONNECTION_LIMIT} IPsec connections")));
    }
    // The first zone's: it moves with the gateway that holds it, as all of them do.
    let address = gateway.spec.pairs.iter().find_map(|pair| pair.public).ok_or_else(|| {
        ApiError::invalid(
            "the gateway has no public address to connect from; its region has no public network",
        )
    })?;
    let connection = Connection {
        gateway: gateway.id(),
        name: body.name,
        description: text::description(body.description)?,
        address,
        remote: spec::remote(&body.remote_ip)?,
        remote_subnet: body.remote_subnet,
        pre_shared_key: body.pre_shared_key,
        dpd_action: body.dpd_timeout_action,
        dpd_timeout: body.dpd_timeout,
        start_action: body.start_action,
        rekey_time: body.rekey_time,
        phase1: Phase {
            lifetime: body.phase1_lifetime,
            group: body.phase1_dh_group_number,
            integrity: body.phase1_integrity_algorithm,
            encryption: body.phase1_encryption_algorithm,
        },
        phase2: Phase {
            lifetime: body.phase2_lifetime,
            group: body.phase2_dh_group_number,
            integrity: body.phase2_integrity_algorithm,
            encryption: body.phase2_encryption_algorithm,
        },
        firewall: body.firewall,
    };
    check(&connection, gateway, None, call)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, connection, call.now);
    Ok(Outcome::object(transaction, Key::of::<Connection>(id)))
}

fn check(
    connection: &Connection,
    gateway: &Object<Gateway>,
    own: Option<Id>,
    call: &Call<'_>,
) -> Result<(), ApiError> {
    spec::check(connection, &call.find::<Subnet>(gateway.spec.private_subnet)?.spec)?;
    let claim = Connection::name_claim(gateway.id(), &connection.name);
    crud::refuse_taken::<Connection>(call.snapshot, &claim, own, &connection.name)?;
    let others = || {
        let connections = call.snapshot.referrers::<Connection>(gateway.id());
        connections.filter(|other| Some(other.id()) != own)
    };
    if let Some(other) = others().find(|other| other.spec.remote == connection.remote) {
        return Err(ApiError::conflict(format!(
            "the gateway has a connection to {} already, the {}",
            connection.remote,
            crud::describe(other)
        )));
    }
    Ok(())
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = of_gateway(call)?;
    let gateway = call.object::<Gateway>(0)?;
    let change: wire::IpsecConnectionUpdate = crud::changed_body(object, &["id", "ip"], call)?;
    let current = object.spec.clone();
    let changed = Connection {
        name: crud::changed_name::<Connection>(&current.name, change.name)?,
        description: crud::changed_description(current.description.as_deref(), change.description)?,
        remote: change.remote_ip.map_or(Ok(current.remote), |text| spec::remote(&text))?,
        remote_subnet: change.remote_subnet.unwrap_or(current.remote_subnet),
        pre_shared_key: change.pre_shared_key.unwrap_or(current.pre_shared_key),
        dpd_action: change.dpd_timeout_action.unwrap_or(current.dpd_action),
        dpd_timeout: change.dpd_timeout.unwrap_or(current.dpd_timeout),
        start_action: change.start_action.unwrap_or(current.start_action),
        rekey_time: change.rekey_time.unwrap_or(current.rekey_time),
        phase1: Phase {
            lifetime: change.phase1_lifetime.unwrap_or(current.phase1.lifetime),
            group: change.phase1_dh_group_number.unwrap_or(current.phase1.group),
            integrity: change.phase1_integrity_algorithm.unwrap_or(current.phase1.integrity),
            encryption: change.phase1_encryption_algorithm.unwrap_or(current.phase1.encryption),
        },
        phase2: Phase {
            lifetime: change.phase2_lifetime.unwrap_or(current.phase2.lifetime),
            group: change.phase2_dh_group_number.unwrap_or(current.phase2.group),
            integrity: change.phase2_integrity_algorithm.unwrap_or(current.phase2.integrity),
            encryption: change.phase2_encryption_algorithm.unwrap_or(current.phase2.encryption),
        },
        firewall: change.firewall.unwrap_or(current.firewall),
        ..current
    };
    check(&changed, gateway, Some(object.id()), call)?;
    let mut transaction = Transaction::default();
    transaction.update(object, changed);
    Ok(Outcome::object(transaction, object.key()))
}
