//! Operations on load balancers.

use freehold_store::Transaction;
use freehold_types::agent::Detail;
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::{Balancer, plan};
use crate::crud;
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::Account;
use crate::route::{Call, Outcome, Row, Success, Wait};
use crate::service_status::{self, ServiceStatus};
use crate::zone::Zone;

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Balancer>);
const CREATED: Success = Success::Created(schema_of::<wire::Balancer>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/konvey", "list_konveys", Account, IDS, crud::list::<Balancer>).query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/konveys",
        "list_project_region_konveys",
        Account,
        IDS,
        |call| list_of_project(call, |balancer, region| balancer.region == region),
    )
    .query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/zone/{zoneId}/konveys",
        "list_project_zone_konveys",
        Account,
        IDS,
        |call| {
            list_of_project(call, |balancer, zone| balancer.members.iter().any(|member| member.zone == zone))
        },
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/konvey",
        "create_project_region_konvey",
        Account,
        CREATED,
        |call| {
            let region = call.object::<Region>(1)?.id();
            create(call, region, None)
        },
    )
    .body(schema_of::<wire::Balancer>),
    Row::new(
        "POST",
        "/project/{projectId}/zone/{zoneId}/konvey",
        "create_project_zone_konvey",
        Account,
        CREATED,
        |call| {
            let zone = call.object::<Zone>(1)?;
            create(call, zone.spec.region, Some(zone.id()))
        },
    )
    .body(schema_of::<wire::Balancer>),
    Row::new("GET", "/konvey/{konveyId}", "read_konvey", Account, MODEL, crud::read::<Balancer>),
    Row::new("PUT", "/konvey/{konveyId}", "update_konvey", Account, MODEL, update)
        .body(schema_of::<wire::BalancerUpdate>),
    Row::new(
        "DELETE",
        "/konvey/{konveyId}",
        "delete_konvey",
        Account,
        Success::Done,
        crud::begin_removal::<Balancer>,
    ),
    Row::new(
        "GET",
        "/konvey/{konveyId}/status",
        "read_konvey_status",
        Account,
        Success::Model(schema_of::<ServiceStatus>),
        read_status,
    )
    .extension(),
];

fn read_status(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let balancer = call.object::<Balancer>(0)?;
    let holds = |detail: &Detail| {
        let active = matches!(detail, Detail::Balancer(found) if found.active);
        active.then(|| balancer.spec.address.to_string()).into_iter().collect()
    };
    Outcome::json(&service_status::of(
        &balancer.spec.members,
        &balancer.status,
        balancer.meta.generation,
        call.caller,
        call.snapshot,
        holds,
    ))
}

fn list_of_project(call: &Call<'_>, is_in: fn(&Balancer, Id) -> bool) -> Result<Outcome, ApiError> {
    let place = call.id(1);
    let balancers = call.snapshot.referrers::<Balancer>(call.id(0));
    crud::list_of(call, balancers.filter(|balancer| is_in(&balancer.spec, place)))
}

fn create(call: &Call<'_>, region: Id, zone: Option<Id>) -> Result<Outcome, ApiError> {
    let project = call.object::<Project>(0)?;
    let (transaction, key) = plan::create(project, region, zone, call.body()?, call)?;
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let balancer = call.object::<Balancer>(0)?;
    crud::refuse_deleting(balancer)?;
    let change: wire::BalancerUpdate = crud::changed_body(balancer, &["id", "vip", "failover"], call)?;
    let current = balancer.spec.clone();
    let name = crud::changed_name::<Balancer>(&current.name, change.name)?;
    let claim = Balancer::name_claim(current.project, &name);
    crud::refuse_taken::<Balancer>(call.snapshot, &claim, Some(balancer.id()), &name)?;
    let spec = Balancer {
        name,
        description: crud::changed_description(current.description.as_deref(), change.description)?,
        endpoints: change.endpoints.unwrap_or(current.endpoints),
        ..current
    };
    plan::endpoints(&spec.endpoints)?;
    let mut transaction = Transaction::default();
    transaction.update(balancer, spec);
    Ok(Outcome::object(transaction, balancer.key()).waiting(Wait::Settled(balancer.key())))
}
