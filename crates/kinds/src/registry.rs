//! The list of kinds. A kind is a folder and one line here.

use freehold_store::{Entity, Registry, Snapshot};
use freehold_types::{ApiError, Id};
use freehold_web::openapi::{SchemaOf, schema_of};

use crate::kind::{Kind, Scope};
use crate::route::Row;
use crate::{
    adapter, agent, antiaffinity, balancer, compute, domain, edge, file_backend, file_share, gateway,
    hypervisor, image, instance, ipsec, mail, migration, network, pool, project, record, region, session,
    subnet, team, token, user, volume, zone,
};

/// Makes the public form of an object.
type View = fn(&Snapshot, Id) -> Option<Result<Vec<u8>, ApiError>>;

/// What the rest of the program needs to know of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub kind: &'static str,
    pub noun: &'static str,
    /// Name of its id in paths.
    pub parameter: &'static str,
    /// Its public model, if it has one.
    pub model: Option<SchemaOf>,
    pub rows: &'static [Row],
    /// Who may know of an object; `None` when there is no such object.
    pub scope: fn(&Snapshot, Id) -> Option<Scope>,
    /// The public form of an object; `None` when there is no such object.
    pub view: View,
    /// How many objects there are.
    pub count: fn(&Snapshot) -> usize,
    register: fn(Registry) -> Registry,
}

impl Entry {
    /// A kind with a public face.
    const fn public<K: Kind>(rows: &'static [Row]) -> Self {
        Self {
            kind: K::KIND,
            noun: K::NOUN,
            parameter: K::PARAMETER,
            model: Some(schema_of::<K::View>),
            rows,
            scope: |snapshot, id| snapshot.get::<K>(id).map(|object| K::scope(object, snapshot)),
            view: |snapshot, id| snapshot.get::<K>(id).map(|object| json(&K::view(object, snapshot))),
            count: Snapshot::count::<K>,
            register: Registry::with::<K>,
        }
    }

    /// A kind that only the controller itself uses.
    const fn internal<E: Entity>(rows: &'static [Row]) -> Self {
        Self {
            kind: E::KIND,
            noun: E::KIND,
            parameter: "",
            model: None,
            rows,
            scope: |snapshot, id| snapshot.get::<E>(id).map(|_| Scope::Operators),
            view: |_, _| None,
            count: Snapshot::count::<E>,
            register: Registry::with::<E>,
        }
    }
}

fn json(view: &impl serde::Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(view)
        .map_err(|error| ApiError::internal(format!("the answer has no JSON form: {error}")))
}

/// Every kind.
pub const ENTRIES: &[Entry] = &[
    Entry::public::<user::User>(user::ROWS),
    Entry::internal::<session::Session>(session::ROWS),
    Entry::public::<team::Team>(team::ROWS),
    Entry::public::<token::Token>(token::ROWS),
    Entry::public::<agent::Agent>(agent::ROWS),
    Entry::public::<mail::Mail>(mail::ROWS),
    Entry::public::<region::Region>(region::ROWS),
    Entry::public::<zone::Zone>(zone::ROWS),
    Entry::public::<hypervisor::Hypervisor>(hypervisor::ROWS),
    Entry::public::<edge::Edge>(edge::ROWS),
    Entry::internal::<domain::Domain>(&[]),
    Entry::public::<record::Record>(record::ROWS),
    Entry::public::<network::Network>(network::ROWS),
    Entry::public::<subnet::Subnet>(subnet::ROWS),
    Entry::public::<adapter::Adapter>(adapter::ROWS),
    Entry::public::<pool::Pool>(pool::ROWS),
    Entry::public::<image::Image>(image::ROWS),
    Entry::public::<volume::Volume>(volume::ROWS),
    Entry::public::<project::Project>(project::ROWS),
    Entry::public::<instance::Instance>(instance::ROWS),
    Entry::public::<compute::Compute>(compute::ROWS),
    Entry::internal::<migration::Plan>(migration::ROWS),
    Entry::public::<antiaffinity::Group>(antiaffinity::ROWS),
    Entry::public::<gateway::Gateway>(gateway::ROWS),
    Entry::public::<ipsec::Connection>(ipsec::ROWS),
    Entry::public::<balancer::Balancer>(balancer::ROWS),
    Entry::public::<file_backend::FileBackend>(file_backend::ROWS),
    Entry::public::<file_share::FileShare>(file_share::ROWS),
];

/// The store's registry of all kinds.
pub fn store_registry() -> Registry {
    ENTRIES.iter().fold(Registry::default(), |registry, entry| (entry.register)(registry))
}

/// The kind with this name at rest.
pub fn by_kind(kind: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.kind == kind)
}

/// The kind whose id has this name in paths.
pub fn by_parameter(parameter: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.parameter == parameter)
}

/// The kind whose objects a path lists: its last part is the name of their id, without `Id` and perhaps in
/// the plural, such as `/kompute` or `/zone/{zoneId}/kaktuses`.
pub fn by_list(path: &str) -> Option<&'static Entry> {
    let (_, last) = path.rsplit_once('/')?;
    ENTRIES.iter().find(|entry| {
        let one = entry.parameter.strip_suffix("Id");
        let plural = one.and_then(|one| last.strip_prefix(one));
        // Children may be named without their parent: `/kawaii/{kawaiiId}/ipsec`.
        let child = one.is_some_and(|one| one.to_ascii_lowercase().ends_with(last));
        matches!(plural, Some("" | "s" | "es")) || child
    })
}

/// The whole route table, each row with its kind.
pub fn rows() -> impl Iterator<Item = (&'static Entry, &'static Row)> {
    ENTRIES.iter().flat_map(|entry| entry.rows.iter().map(move |row| (entry, row)))
}
