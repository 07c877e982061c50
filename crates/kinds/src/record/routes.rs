//! Operations on DNS records.

use std::net::IpAddr;

use freehold_store::{Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Parent, Record};
use crate::kind::Kind;
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::{Account, Operator};
use crate::route::{Call, Outcome, Row, Success};
use crate::{crud, domain, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::DnsRecord>);
const CREATED: Success = Success::Created(schema_of::<wire::DnsRecord>);

/// Most records of a project or region: edges are told whole domains.
const RECORD_LIMIT: usize = 2_000;
/// Most addresses of a record.
const ADDRESS_LIMIT: usize = 64;

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/project/{projectId}/records",
        "list_project_dns_records",
        Account,
        IDS,
        crud::list_children::<Record>,
    )
    .query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/records",
        "list_region_dns_records",
        Operator,
        IDS,
        crud::list_children::<Record>,
    )
    .query(crud::LIST),
    Row::new("POST", "/project/{projectId}/record", "create_project_dns_record", Account, CREATED, |call| {
        create(call, Parent::Project(call.object::<Project>(0)?.id()))
    })
    .body(schema_of::<wire::DnsRecord>),
    Row::new("POST", "/region/{regionId}/record", "create_region_dns_record", Operator, CREATED, |call| {
        create(call, Parent::Region(call.object::<Region>(0)?.id()))
    })
    .body(schema_of::<wire::DnsRecord>),
    Row::new("GET", "/record/{recordId}", "read_dns_record", Account, MODEL, crud::read::<Record>),
    Row::new("PUT", "/record/{recordId}", "update_dns_record", Account, MODEL, crud::update::<Record>)
        .body(schema_of::<wire::DnsRecordUpdate>),
    Row::new(
        "DELETE",
        "/record/{recordId}",
        "delete_dns_record",
        Account,
        Success::Done,
        crud::delete::<Record>,
    ),
];

fn create(call: &Call<'_>, parent: Parent) -> Result<Outcome, ApiError> {
    let body: wire::DnsRecord = call.body()?;
    let spec = Record {
        parent,
        name: body.name,
        description: text::description(body.description)?,
        addresses: read_addresses(&body.addresses)?,
    };
    check(&spec, None, call)?;
    if call.snapshot.referrers::<Record>(parent.id()).count() >= RECORD_LIMIT {
        return Err(ApiError::no_room(format!("a project or region has at most {RECORD_LIMIT} DNS records")));
    }
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, spec, call.now);
    Ok(Outcome::object(transaction, Key::of::<Record>(id)))
}

/// Checks that the name is one, that there is a domain for it, and that nobody there has it.
pub(super) fn check(spec: &Record, own: Option<Id>, call: &Call<'_>) -> Result<(), ApiError> {
    text::name(Record::NOUN, &spec.name)?;
    // The domain itself, and names of several labels, may have addresses too.
    if spec.name != "@" {
        text::domain("name", &spec.name)?;
    }
    let Some(name) = spec.parent.domain(call.snapshot) else {
        return Err(ApiError::invalid(
            "the project has no DNS domain, which is given when it is made; put the record into a project with one",
        ));
    };
    if spec.name.len() + 1 + name.len() > 253 {
        return Err(ApiError::invalid(format!(
            "`name`: {}.{name} is longer than the 253 characters of a DNS name",
            spec.name
        )));
    }
    let Some(domain) = domain::named(&name, call.snapshot) else { return Ok(()) };
    match domain::holder_of(domain, &spec.name, own, call.snapshot) {
        Some(holder) => Err(ApiError::conflict(format!(
            "`{}` in {name} is the name of the {}; take another name",
            spec.name,
            call.caller.describe(holder, call.snapshot),
        ))),
        None => Ok(()),
    }
}

/// Reads the addresses of a record.
///
/// # Errors
/// 400 when there are none (the contract's missing parameter), 422 for what is none, or too many.
pub(super) fn read_addresses(texts: &[String]) -> Result<Vec<IpAddr>, ApiError> {
    if texts.is_empty() {
        return Err(ApiError::malformed("the DNS record needs `addresses`, at least one"));
    }
    if texts.len() > ADDRESS_LIMIT {
        return Err(ApiError::invalid(format!("a DNS record has at most {ADDRESS_LIMIT} `addresses`")));
    }
    let mut addresses = Vec::with_capacity(texts.len());
    for text in texts {
        let address: IpAddr = text.parse().map_err(|_| {
            ApiError::invalid(format!("`addresses`: `{text}` is not an IP address such as 10.0.0.7"))
        })?;
        if addresses.contains(&address) {
            return Err(ApiError::invalid(format!("`addresses`: {address} is listed twice")));
        }
        addresses.push(address);
    }
    Ok(addresses)
}
