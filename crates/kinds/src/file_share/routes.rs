//! Operations on file shares.

use freehold_store::{Entity, Key, Object, Transaction};
use freehold_types::{ApiError, Id, wire};
use freehold_web::openapi::{Parameter, schema_of};

use super::FileShare;
use crate::agent;
use crate::file_backend::{self, FileBackend, Store};
use crate::hypervisor::Hypervisor;
use crate::kind::Kind;
use crate::pool::Pool;
use crate::project::Project;
use crate::region::Region;
use crate::route::Permission::{Account, Operator};
use crate::route::{Call, Link, Outcome, Row, Success, Wait};
use crate::service::{self, Allocation};
use crate::{crud, text};

const IDS: Success = Success::Model(schema_of::<Vec<Id>>);
const MODEL: Success = Success::Model(schema_of::<wire::FileShare>);
const BACKEND: Parameter = Parameter {
    name: "nfsId",
    kind: "string",
    description: "File backend; the region's default when absent.",
};
const LINKS: &[Link] = &[Link::Query("nfsId", FileBackend::KIND)];
const LIST: &[Parameter] = &[BACKEND, crud::LIST[0], crud::LIST[1], crud::LIST[2]];

/// Most file shares of a project: each is a server of its own.
const SHARE_LIMIT: usize = 32;

pub const ROWS: &[Row] = &[
    Row::new("GET", "/kylo", "list_kylos", Account, IDS, crud::list::<FileShare>).query(crud::LIST),
    Row::new(
        "GET",
        "/nfs/{nfsId}/kylos",
        "list_storage_nfs_kylos",
        Operator,
        IDS,
        crud::list_children::<FileShare>,
    )
    .query(crud::LIST),
    Row::new(
        "GET",
        "/project/{projectId}/region/{regionId}/kylos",
        "list_project_region_kylos",
        Account,
        IDS,
        list_in_region,
    )
    .query(LIST)
    .links(LINKS),
    Row::new(
        "POST",
        "/project/{projectId}/region/{regionId}/kylo",
        "create_project_region_kylo",
        Account,
        Success::Created(schema_of::<wire::FileShare>),
        create,
    )
    .body(schema_of::<wire::FileShare>)
    .query(&[BACKEND])
    .links(LINKS),
    Row::new("GET", "/kylo/{kyloId}", "read_kylo", Account, MODEL, crud::read::<FileShare>),
    Row::new("PUT", "/kylo/{kyloId}", "update_kylo", Account, MODEL, update)
        .body(schema_of::<wire::FileShareUpdate>),
    Row::new(
        "DELETE",
        "/kylo/{kyloId}",
        "delete_kylo",
        Account,
        Success::Done,
        crud::begin_removal::<FileShare>,
    ),
];

fn list_in_region(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let region = call.id(1);
    let backend = call.query.parse::<Id>("nfsId", "an id")?;
    let shares = call.snapshot.referrers::<FileShare>(call.id(0));
    let is_asked = |share: &&Object<FileShare>| {
        share.spec.region == region && backend.is_none_or(|backend| share.spec.backend == backend)
    };
    crud::list_of(call, shares.filter(is_asked))
}

fn create(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (project, region) = (call.object::<Project>(0)?, call.object::<Region>(1)?);
    let body: wire::FileShare = call.body()?;
    text::host_name(FileShare::NOUN, &body.name)?;
    let claim = FileShare::name_claim(project.id(), &body.name);
    crud::refuse_taken::<FileShare>(call.snapshot, &claim, None, &body.name)?;
    check_protocols(&body.protocols)?;
    let subnet = service::private_subnet(project, region.id(), call.snapshot)?;
    let backend =
        file_backend::default_of(region, call.query_object::<FileBackend>("nfsId")?, call.snapshot)?;
    if let Store::CephFs(name) = file_backend::store(&backend.spec.fs)? {
        return Err(ApiError::invalid(format!(
            "the file backend {} is the CephFS {name}, which hosts do not export yet; use one whose `fs` is dir:PATH",
            crud::named(backend)
        )));
    }
    if call.snapshot.referrers::<FileShare>(project.id()).count() >= SHARE_LIMIT {
        return Err(ApiError::no_room(format!(
            "a project has at most {SHARE_LIMIT} file shares; remove one first"
        )));
    }
    let host = host(backend, call)?;
    let mut allocation = Allocation::new(project.id(), call.snapshot);
    let share = FileShare {
        project: project.id(),
        region: region.id(),
        backend: backend.id(),
        name: body.name,
        description: text::description(body.description)?,
        access: body.access,
        protocols: body.protocols,
        subnet: subnet.id(),
        member: allocation.member_on(host, subnet)?,
    };
    let id = Id::generate();
    let mut transaction = Transaction::default();
    transaction.create(id, share, call.now);
    // The address was judged by its ranges.
    transaction.expect(subnet);
    let key = Key::of::<FileShare>(id);
    Ok(Outcome::object(transaction, key).waiting(Wait::Settled(key)))
}

/// The host that reaches the files: the first of the pool's that is connected, else the first.
fn host<'a>(backend: &Object<FileBackend>, call: &Call<'a>) -> Result<&'a Object<Hypervisor>, ApiError> {
    let pool = call.find::<Pool>(backend.spec.pool)?;
    let host = |agent: &Id| call.snapshot.referrers::<Hypervisor>(*agent).next();
    let agents = &pool.spec.agents;
    let connected = agents.iter().filter(|agent| agent::is_connected(**agent, call.snapshot));
    connected.chain(agents).find_map(host).ok_or_else(|| {
        ApiError::invalid(format!(
            "no hypervisor has an agent of the storage pool {}, which reaches the file backend {}; give the pool one",
            crud::named(pool),
            crud::named(backend)
        ))
    })
}

fn check_protocols(protocols: &[u8]) -> Result<(), ApiError> {
    if protocols == [3] {
        return Err(ApiError::invalid("`protocols`: shares are served by NFS version 4; name 4, or none"));
    }
    for (position, version) in protocols.iter().enumerate() {
        if !matches!(version, 3 | 4) {
            return Err(ApiError::malformed(format!("`protocols` names {version}, and may name 3 and 4")));
        }
        if protocols.iter().take(position).any(|earlier| earlier == version) {
            return Err(ApiError::invalid(format!("`protocols` names {version} twice")));
        }
    }
    Ok(())
}

fn update(call: &Call<'_>) -> Result<Outcome, ApiError> {
    let share = call.object::<FileShare>(0)?;
    crud::refuse_deleting(share)?;
    let change: wire::FileShareUpdate = crud::changed_body(share, &["id", "endpoint", "size"], call)?;
    let current = share.spec.clone();
    let name = crud::changed_name::<FileShare>(&current.name, change.name)?;
    if name != current.name {
        return Err(ApiError::invalid(format!(
            "the name of the file share {} is part of what clients mount, and cannot change",
            crud::named(share)
        )));
    }
    let protocols = change.protocols.unwrap_or(current.protocols);
    check_protocols(&protocols)?;
    let spec = FileShare {
        description: crud::changed_description(current.description.as_deref(), change.description)?,
        access: change.access.unwrap_or(current.access),
        protocols,
        ..current
    };
    let mut transaction = Transaction::default();
    transaction.update(share, spec);
    Ok(Outcome::object(transaction, share.key()).waiting(Wait::Settled(share.key())))
}
