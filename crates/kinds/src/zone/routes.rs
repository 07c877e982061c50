//! Operations on zones.

use freehold_store::{Key, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::schema_of;

use super::Zone;
use crate::region::Region;
use crate::route::{
    Call, Outcome,
    Permission::{Account, Operator},
    Row, Success,
};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Zone>);

pub const ROWS: &[Row] = &[
    Row::new("GET", "/zone", "list_zones", Account, IDS, crud::list::<Zone>).query(crud::LIST),
    Row::new(
        "GET",
        "/region/{regionId}/zones",
        "list_region_zones",
        Account,
        IDS,
        crud::list_children::<Zone>,
    )
    .query(crud::LIST),
    Row::new(
        "POST",
        "/region/{regionId}/zone",
        "create_region_zone",
        Operator,
        Success::Created(schema_of::<wire::Zone>),
        create,
    )
    .body(schema_of::<wire::Zone>),
    Row::new("GET", "/zone/{zoneId}", "read_zone", Account, MODEL, crud::read::<Zone>),
    Row::new("PUT", "/zone/{zoneId}", "update_zone", Operator, MODEL, crud::update::<Zone>)
        .body(schema_of::<wire::ZoneUpdate>),
    Row::new("DELETE", "/zone/{zoneId}", "delete_zone", Operator, Success::Done, crud::delete::<Zone>),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.object::<Region>(0)?.id();
    let wire::Zone { name, description, .. } = call.body()?;
    text::name("zone", &name)?;
    crud::refuse_taken::<Zone>(call.snapshot, &Zone::name_claim(&name), None, &name)?;
    let id = Id::generate();
    let description = text::description(description)?;
    let mut transaction = Transaction::default();
    transaction.create(id, Zone { region, name, description }, call.now);
    Ok(Outcome::object(transaction, Key::of::<Zone>(id)))
}
