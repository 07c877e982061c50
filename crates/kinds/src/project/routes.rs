//! Operations on projects.

use std::collections::BTreeMap;

use freehold_store::{Entity, Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::{Project, network, usage};
use crate::kind::{Kind, Updatable};
use crate::region::Region;
use crate::route::Permission::{Account, ProjectAdministrator};
use crate::route::{Call, Link, Outcome, Row, Success};
use crate::subnet::Subnet;
use crate::team::Team;
use crate::{crud, domain, mail, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::Project>);
const LINKS: &[Link] = &[Link::Body("teams", Team::KIND), Link::Body("regions", Region::KIND)];
const CREATE: &[Parameter] = &[Parameter {
    name: "subnetSize",
    kind: "integer",
    description: "Prefix length of the private subnet in each region, 8 to 30; 26 when absent.",
}];

/// Prefix length of private subnets unless another is asked for.
const SUBNET_SIZE: u8 = 26;
/// Longest password of machines, in bytes: its hash takes time with the square of the length.
const PASSWORD_LIMIT: usize = 256;
/// Most tags, and most metadata, of a project.
const LABEL_LIMIT: usize = 64;

pub const ROWS: &[Row] = &[
    Row::new("GET", "/project", "list_projects", Account, IDS, crud::list::<Project>).query(crud::LIST),
    Row::new(
        "POST",
        "/project",
        "create_project",
        ProjectAdministrator,
        Success::Created(schema_of::<wire::Project>),
        create,
    )
    .body(schema_of::<wire::Project>)
    .query(CREATE)
    .links(LINKS),
    Row::new("GET", "/project/{projectId}", "read_project", Account, MODEL, crud::read::<Project>),
    Row::new("PUT", "/project/{projectId}", "update_project", ProjectAdministrator, MODEL, update)
        .body(schema_of::<wire::ProjectUpdate>)
        .links(LINKS),
    Row::new("DELETE", "/project/{projectId}", "delete_project", ProjectAdministrator, Success::Done, delete),
    Row::new(
        "GET",
        "/project/{projectId}/cost",
        "read_project_cost",
        Account,
        Success::Model(schema_of::<wire::Cost>),
        |call| Outcome::json(&wire::Cost::from(usage::cost(call.object::<Project>(0)?, call.snapshot))),
    ),
    Row::new(
        "GET",
        "/project/{projectId}/usage",
        "read_project_usage",
        Account,
        Success::Model(schema_of::<wire::ProjectResources>),
        |call| Outcome::json(&usage::usage(call.object::<Project>(0)?, call.snapshot)),
    ),
];

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let body: wire::Project = call.body()?;
    text::name(Project::NOUN, &body.name)?;
    let domain = body.domain.filter(|domain| !domain.is_empty());
    if let Some(domain) = &domain {
        text::domain("domain", domain)?;
        domain::refuse_foreign(domain, call)?;
    }
    let subnet_size =
        call.query.parse::<u8>("subnetSize", "a prefix length from 8 to 30")?.unwrap_or(SUBNET_SIZE);
    if !(8..=30).contains(&subnet_size) {
        return Err(ApiError::invalid(format!("`subnetSize` is {subnet_size}, and must be 8 to 30")));
    }
    crud::refuse_taken::<Project>(call.snapshot, &Project::name_claim(&body.name), None, &body.name)?;
    let mut project = Project {
        name: body.name,
        description: text::description(body.description)?,
        domain,
        root_password: body.root_password.filter(|password| !password.expose().is_empty()),
        bootstrap_user: given(body.bootstrap_user).unwrap_or_else(|| call.environment.bootstrap_user.clone()),
        bootstrap_pubkey: given(body.bootstrap_pubkey)
            .unwrap_or_else(|| call.environment.bootstrap_key.clone()),
        tags: body.tags,
        metadata: body.metadatas,
        quotas: body.quotas,
        teams: teams(body.teams, call)?,
        regions: Vec::new(),
        subnet_size,
        subnets: BTreeMap::new(),
        zone_gateways: BTreeMap::new(),
    };
    check(&project)?;
    let id = Id::generate();
    let mut transaction = Transaction::default();
    set_regions(&mut project, id, body.regions, call, &mut transaction)?;
    let key = Key::of::<Project>(id);
    if let Some(domain) = &project.domain {
        domain::join(domain, domain::Owner::Project(id), call.snapshot, call.now, &mut transaction);
    }
    mail::announce_project(id, &project, call, &mut transaction);
    transaction.create(id, project, call.now);
    Ok(Outcome::object(transaction, key))
}

/// The teams of a new project. An administrator who names none opens it to the own teams.
fn teams(named: Vec<Id>, call: &Call<'_>) -> Result<Vec<Id>, ApiError> {
    let Some(user) = call.caller.user().filter(|_| !call.caller.is_operator()) else {
        return unique("teams", named);
    };
    let mut own = call.snapshot.referrers::<Team>(user).map(Object::id).peekable();
    if own.peek().is_none() {
        return Err(ApiError::invalid(
            "you are in no team, so you could not enter the project; ask to be put in one",
        ));
    }
    if named.is_empty() { Ok(own.collect()) } else { unique("teams", named) }
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn unique(field: &str, ids: Vec<Id>) -> Result<Vec<Id>, ApiError> {
    for (position, id) in ids.iter().enumerate() {
        if ids.iter().take(position).any(|earlier| earlier == id) {
            return Err(ApiError::invalid(format!("`{field}` lists {id} twice")));
        }
    }
    Ok(ids)
}

fn is_password(text: &str) -> bool {
    text.len() <= PASSWORD_LIMIT && !text.chars().any(char::is_control)
}

/// Checks what create and update have in common.
fn check(project: &Project) -> Result<(), ApiError> {
    let user = &project.bootstrap_user;
    let starts_well = user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts_well
        || user.len() > 32
        || !user.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
    {
        return Err(ApiError::invalid(format!(
            "`bootstrap_user` is `{user}`, and must be a Unix account name: lower-case letters, digits, `_` and `-`"
        )));
    }
    if project.root_password.as_ref().is_some_and(|password| !is_password(password.expose())) {
        return Err(ApiError::invalid(format!(
            "`root_password` must have at most {PASSWORD_LIMIT} bytes, and no control characters"
        )));
    }
    let key = &project.bootstrap_pubkey;
    if key.lines().count() > 1 || key.split_whitespace().count() < 2 || key.len() > 16_384 {
        return Err(ApiError::invalid(
            "`bootstrap_pubkey` must be one line as in `authorized_keys`: a type and a key, such as `ssh-ed25519 AAAA…`",
        ));
    }
    if project.tags.len() > LABEL_LIMIT || project.metadata.len() > LABEL_LIMIT {
        return Err(ApiError::invalid(format!(
            "a project has at most {LABEL_LIMIT} tags and as many metadata"
        )));
    }
    project.tags.iter().try_for_each(|tag| text::free("tags", tag))?;
    project.metadata.iter().try_for_each(|pair| {
        text::free("metadatas", &pair.key)?;
        text::free("metadatas", &pair.value)
    })
}

/// Gives a project its regions: a private subnet in each new one, and back those of regions that go.
fn set_regions(
    project: &mut Project,
    id: Id,
    regions: Vec<Id>,
    call: &Call<'_>,
    transaction: &mut Transaction,
) -> Result<(), ApiError> {
    let regions = unique("regions", regions)?;
    let gone: Vec<Id> = project.subnets.keys().copied().filter(|region| !regions.contains(region)).collect();
    for region in gone {
        leave_region(project, region, call, transaction)?;
    }
    for region in &regions {
        if project.subnets.contains_key(region) {
            continue;
        }
        let region = call.find::<Region>(*region)?;
        let subnet = network::free_subnet(region, project.subnet_size, call.snapshot)?;
        project.subnets.insert(region.id(), subnet.id());
        transaction.update(subnet, Subnet { project: Some(id), ..subnet.spec.clone() });
    }
    for (region, subnet) in project.subnets.clone() {
        let subnet = call.find::<Subnet>(subnet)?;
        let gateways = network::zone_gateways(region, &subnet.spec, &project.zone_gateways, call.snapshot);
        project.zone_gateways.extend(gateways);
    }
    project.regions = regions;
    Ok(())
}

fn leave_region(
    project: &mut Project,
    region: Id,
    call: &Call<'_>,
    transaction: &mut Transaction,
) -> Result<(), ApiError> {
    let Some(subnet) = project.subnets.remove(&region).and_then(|id| call.snapshot.get::<Subnet>(id)) else {
        return Ok(());
    };
    refuse_occupied(subnet, "leave the region", call)?;
    project.zone_gateways.retain(|_, address| !subnet.spec.cidr.contains(&*address));
    transaction.update(subnet, Subnet { project: None, ..subnet.spec.clone() });
    Ok(())
}

/// Refuses to give a subnet back while anything stands in it: adapters, and gateways, balancers and shares, also
/// those of projects that peer with it. The next project would have them inside.
fn refuse_occupied(subnet: &Object<Subnet>, verb: &str, call: &Call<'_>) -> Result<(), ApiError> {
    let mut blockers = call.snapshot.blockers(subnet.id());
    let occupant = blockers.find(|blocker| blocker.key().kind != Project::KIND);
    let Some(occupant) = occupant else { return Ok(()) };
    Err(ApiError::conflict(format!(
        "the project cannot {verb}: its subnet `{}` is in use by {}",
        subnet.spec.name,
        call.caller.describe(occupant.as_ref(), call.snapshot),
    )))
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let object = call.object::<Project>(0)?;
    let read_only = <Project as Updatable>::READ_ONLY;
    let change: wire::ProjectUpdate = crud::changed_body(object, read_only, call)?;
    let regions = change.regions.clone();
    let mut spec = Project::updated(object, change, call)?;
    let mut transaction = Transaction::default();
    let regions = regions.unwrap_or_else(|| spec.regions.clone());
    set_regions(&mut spec, object.id(), regions, call, &mut transaction)?;
    transaction.update(object, spec);
    Ok(Outcome::object(transaction, object.key()))
}

/// The fields that a change gives, beyond name and description; regions need a transaction of their own.
pub(super) fn changed(
    object: &Object<Project>,
    base: Project,
    change: wire::ProjectUpdate,
    call: &Call<'_>,
) -> Result<Project, ApiError> {
    let quotas_change = change.quotas.is_some_and(|quotas| quotas != object.spec.quotas);
    if quotas_change && !call.caller.is_operator() {
        return Err(ApiError::forbidden("quotas are set by the role superAdmin; ask an administrator"));
    }
    let spec = Project {
        root_password: change.root_password.map_or(base.root_password, |password| {
            Some(password).filter(|password| !password.expose().is_empty())
        }),
        bootstrap_user: given(change.bootstrap_user).unwrap_or(base.bootstrap_user),
        bootstrap_pubkey: given(change.bootstrap_pubkey).unwrap_or(base.bootstrap_pubkey),
        tags: change.tags.unwrap_or(base.tags),
        metadata: change.metadatas.unwrap_or(base.metadata),
        quotas: change.quotas.unwrap_or(base.quotas),
        teams: change.teams.map_or(Ok(base.teams), |teams| unique("teams", teams))?,
        ..base
    };
    check(&spec)?;
    Ok(spec)
}

fn delete(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let project = call.object::<Project>(0)?;
    crud::refuse_used(project, call.snapshot)?;
    let mut transaction = Transaction::default();
    for subnet in project.spec.subnets.values().filter_map(|id| call.snapshot.get::<Subnet>(*id)) {
        refuse_occupied(subnet, "be removed", call)?;
        transaction.update(subnet, Subnet { project: None, ..subnet.spec.clone() });
    }
    if let Some(domain) = &project.spec.domain {
        let owner = domain::Owner::Project(project.id());
        domain::leave(domain, owner, call.snapshot, call.now, &mut transaction);
    }
    transaction.delete(project);
    Ok(Outcome::done(transaction))
}
