//! What a machine may know of itself: the document at [`PATH`], as existing guests read it, and the same as a
//! tree of texts below it, as tools for other clouds do. Pure.
//!
//! *Guarantees:* a machine is known by its id *and* the token that only its seed holds; what else a request says
//! is checked against the store. Nothing of another machine or of a service can be had, and whoever asks with a
//! wrong token cannot tell whether the machine exists.

use freehold_store::{Entity, Object, Snapshot};
use freehold_types::size::GIB;
use freehold_types::{Id, Secret};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Instance, local_address_of};
use crate::environment::Environment;
use crate::hypervisor::Hypervisor;
use crate::image::Image;
use crate::project::Project;
use crate::region::Region;
use crate::subnet::Subnet;
use crate::volume::{self, Volume};
use crate::zone::Zone;
use crate::{cost, key};

/// Where a machine asks.
pub const PATH: &str = "/latest/meta-data";

/// Headers that say who asks. The first two are those of existing guests.
pub const SOURCE_HEADER: &str = "x-kowabunga-source-ip";
pub const INSTANCE_HEADER: &str = "x-kowabunga-instance-id";
pub const TOKEN_HEADER: &str = "x-freehold-metadata-token";

/// Who says to ask for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'a> {
    pub instance: Option<&'a str>,
    /// The text before the first colon is the address.
    pub source: Option<&'a str>,
    pub token: Option<&'a str>,
    /// The rest of the path; `None` for the document itself.
    pub below: Option<&'a str>,
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Json(String),
    Text(String),
}

/// The token of a machine, which its seed holds. It follows from the controller's own secret, so that it is
/// stored nowhere.
pub fn token(instance: Id, environment: &Environment) -> Secret<String> {
    // Any length of key will do.
    let mac = Hmac::<Sha256>::new_from_slice(environment.session_key.expose());
    let bytes = mac.map(|mut mac| {
        mac.update(format!("metadata/{instance}").as_bytes());
        mac.finalize().into_bytes().into()
    });
    Secret::new(bytes.map(|bytes: [u8; 32]| key::hex(&bytes)).unwrap_or_default())
}

/// What a machine may know, if it is the one that it says it is.
pub fn answer(question: &Question<'_>, snapshot: &Snapshot, environment: &Environment) -> Option<Answer> {
    let id = question.instance?.parse::<Id>().ok()?;
    let expected = token(id, environment);
    let presented = question.token?;
    if expected.expose().is_empty() || !bool::from(presented.as_bytes().ct_eq(expected.expose().as_bytes())) {
        return None;
    }
    let instance = snapshot.get::<Instance>(id).filter(|instance| !instance.is_deleting())?;
    let address = local_address_of(&instance.spec, snapshot).map(|address| address.to_string());
    let claimed = question.source?.split(':').next()?;
    if address.is_some_and(|address| address != claimed) {
        return None;
    }
    let document = document(instance, snapshot)?;
    match question.below {
        None => Some(Answer::Json(Value::Object(document).to_string())),
        Some(path) => leaf(&document, path).map(Answer::Text),
    }
}

/// A value of the document as a text; of the document itself, or of a list, the names that are below.
fn leaf(document: &Map<String, Value>, path: &str) -> Option<String> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Some(lines(document.keys().map(String::as_str)));
    }
    match document.get(path)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(lines(items.iter().filter_map(Value::as_str))),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}

/// Texts, each on a line of its own.
fn lines<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.flat_map(|text| [text, "\n"]).collect()
}

/// Everything that a machine may know.
fn document(object: &Object<Instance>, snapshot: &Snapshot) -> Option<Map<String, Value>> {
    let instance = &object.spec;
    let project = &snapshot.get::<Project>(instance.project)?.spec;
    let subnet = project.subnets.get(&instance.region).and_then(|id| snapshot.get::<Subnet>(*id));
    let mut document = Map::new();
    let mut say = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    say("instance-id", json!(object.id()));
    say("local-hostname", json!(instance.name));
    say("description", json!(instance.description.clone().unwrap_or_default()));
    say("kaktus", json!(name_of::<Hypervisor>(instance.hypervisor, snapshot)));
    say("vcpu", json!(instance.vcpus));
    say("mem_gb", json!(instance.memory / GIB));
    say("local-ipv4", json!(local_address_of(instance, snapshot)));
    say("subnet_cidr", json!(subnet.map(|subnet| subnet.spec.cidr.to_string())));
    say("template", json!(template(instance, snapshot)));
    let cost = monthly_cost(instance, snapshot);
    say("monthly_cost", json!(format!("{:.6} {}", cost.amount, cost.currency)));
    say("project", json!(project.name));
    say("domain", json!(project.domain.clone().unwrap_or_default()));
    say("region", json!(name_of::<Region>(instance.region, snapshot)));
    say("zone", json!(name_of::<Zone>(instance.zone, snapshot)));
    say("tags", json!(project.tags));
    Some(document)
}

fn name_of<E: Entity>(id: Id, snapshot: &Snapshot) -> String {
    snapshot.get::<E>(id).and_then(|object| object.spec.label().map(str::to_owned)).unwrap_or_default()
}

/// The name of the image that its system disk was cloned from.
fn template(instance: &Instance, snapshot: &Snapshot) -> String {
    let volumes = instance.volumes.iter().filter_map(|id| snapshot.get::<Volume>(*id));
    let image = volumes.filter(|volume| volume::plan::is_system(volume)).find_map(|volume| volume.spec.image);
    image.map(|image| name_of::<Image>(image, snapshot)).unwrap_or_default()
}

fn monthly_cost(instance: &Instance, snapshot: &Snapshot) -> cost::Price {
    let volumes = instance.volumes.iter().filter_map(|id| snapshot.get::<Volume>(*id));
    let volumes = volumes.map(|volume| cost::of_volume(&volume.spec, snapshot));
    cost::sum(std::iter::once(cost::of_instance(instance, snapshot)).chain(volumes))
}

#[cfg(test)]
mod tests {
    use freehold_types::size::GIB;

    use super::*;
    use crate::testing::World;

    fn machine(world: &World, project: Id, zone: Id, name: &str) -> Object<Instance> {
        let body = json!({ "name": name, "vcpus": 2, "memory": GIB * 3 / 2, "disk": 4 * GIB });
        world.call("create_project_zone_kompute").to([project, zone]).body(body).ok();
        world.all::<Instance>().into_iter().find(|instance| instance.spec.name == name).unwrap()
    }

    fn ask(world: &World, id: &str, source: &str, token: &str, below: Option<&str>) -> Option<Answer> {
        let question = Question { instance: Some(id), source: Some(source), token: Some(token), below };
        answer(&question, &world.snapshot(), &world.environment)
    }

    #[test]
    fn a_machine_reads_what_it_is() {
        let world = World::new();
        let site = world.site("eu");
        let project = world.project("shop", [], [site.region]);
        let machine = machine(&world, project, site.zone, "web");
        let id = machine.id().to_string();
        let token = token(machine.id(), &world.environment).expose().clone();
        let Some(Answer::Json(text)) = ask(&world, &id, "10.1.0.10:4711", &token, None) else { panic!() };
        let document: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "instance-id": id, "local-hostname": "web", "description": "", "kaktus": "eu-a1", "vcpu": 2, "mem_gb": 1,
            "local-ipv4": "10.1.0.10", "subnet_cidr": "10.1.0.0/24", "template": "debian",
            "monthly_cost": "0.000000 EUR", "project": "shop", "domain": "", "region": "eu", "zone": "eu-a", "tags": [],
        });
        assert_eq!(document, expected);
        let text = |below| match ask(&world, &id, "10.1.0.10", &token, Some(below)) {
            Some(Answer::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!((text("zone"), text("vcpu/")), ("eu-a".to_owned(), "2".to_owned()));
        assert!(text("").contains("local-ipv4\n"));
        assert_eq!(ask(&world, &id, "10.1.0.10", &token, Some("nothing")), None);
    }

    #[test]
    fn a_machine_reads_nothing_of_another() {
        let world = World::new();
        let site = world.site("eu");
        let project = world.project("shop", [], [site.region]);
        let (one, two) =
            (machine(&world, project, site.zone, "one"), machine(&world, project, site.zone, "other"));
        let own = token(one.id(), &world.environment).expose().clone();
        let (one, two) = (one.id().to_string(), two.id().to_string());
        assert!(ask(&world, &one, "10.1.0.10", &own, None).is_some());
        // Another's id, another's address, no token, a wrong one.
        assert_eq!(ask(&world, &two, "10.1.0.11", &own, None), None);
        assert_eq!(ask(&world, &one, "10.1.0.11", &own, None), None);
        assert_eq!(ask(&world, &two, "10.1.0.11", "", None), None);
        assert_eq!(ask(&world, &two, "10.1.0.11", &"0".repeat(64), None), None);
        assert_eq!(ask(&world, "nothing", "10.1.0.11", &own, None), None);
        for question in [
            Question { instance: Some(&one), source: Some("10.1.0.10"), ..Question::default() },
            Question { instance: Some(&one), token: Some(&own), ..Question::default() },
            Question { source: Some("10.1.0.10"), token: Some(&own), ..Question::default() },
        ] {
            assert_eq!(answer(&question, &world.snapshot(), &world.environment), None);
        }
    }
}
