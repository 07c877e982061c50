//! Tests of the sources of images, and of the operations.

use freehold_store::Object;
use freehold_types::size::GIB;
use freehold_types::wire::{OperatingSystem, Role};
use freehold_types::{ErrorKind, Id};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Image, default_of, spec};
use crate::pool::Pool;
use crate::route::Wait;
use crate::testing::World;

const DIGEST: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";

fn image(source: String) -> Image {
    Image {
        pool: Id::from_u64(1),
        name: "debian".to_owned(),
        description: None,
        os: OperatingSystem::Linux,
        source,
        limit: 1 << 40,
    }
}

#[test]
fn sources_are_urls_of_files() {
    for good in [
        "https://example.org/a.qcow2".to_owned(),
        "https://example.org:8443/a.raw.xz?x=1".to_owned(),
        "http://10.0.0.1/a.img".to_owned(),
        "file:///srv/images/a.qcow2".to_owned(),
        format!("file:///srv/a.img#sha256={DIGEST}"),
        format!("https://example.org/a.img#sha256={DIGEST}"),
    ] {
        assert!(spec::check_source(&good, true).is_ok(), "{good}");
    }
    for bad in [
        "a.img",
        "/srv/a.img",
        "ftp://example.org/a.img",
        "https://",
        "https:///",
        "file://host/a.img",
        "file:/a.img",
        "file:///",
        "file:///srv/",
        "file:///srv/../etc/shadow",
        "https://example.org/a b",
        "https://example.org/a\n",
        "https://example.org/a#sha256=",
        "https://example.org/a#sha256=zz",
        "https://example.org/a#part",
        "data:,x",
        "https://example.org/a#md5=d41d8cd98f00b204e9800998ecf8427e",
    ] {
        assert_eq!(spec::check_source(bad, true).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(spec::check_source("", true).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn plain_http_is_a_choice_of_the_operator() {
    assert!(spec::check_source("http://example.org/a.img", false).is_err());
    assert!(spec::check_source("https://example.org/a.img", false).is_ok());
}

#[test]
fn passwords_are_refused_and_not_repeated() {
    for source in
        ["https://me:s3cret@example.org/a", "https://s3cret@example.org/a", "http://:s3cret@example.org/a"]
    {
        let error = spec::check_source(source, true).unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && !error.reason.contains("s3cret"), "{error}");
    }
}

#[test]
fn the_checksum_is_apart_from_the_location() {
    let location = |source: String| {
        let image = image(source);
        let (url, digest) = image.location();
        (url.to_owned(), digest.map(str::to_owned))
    };
    let url = "https://example.org/a".to_owned();
    assert_eq!(location(format!("{url}#sha256={DIGEST}")), (url.clone(), Some(DIGEST.to_owned())));
    assert_eq!(location(url.clone()), (url, None));
}

proptest! {
    #[test]
    fn no_source_panics(source in "(https?://|file:///)?\\PC{0,40}") {
        let _ = spec::check_source(&source, true);
    }
}

fn create(world: &World, pool: Id, name: &str) -> Id {
    let body = json!({ "name": name, "source": "https://example.org/a.qcow2" });
    world.call("create_storage_pool_template").to([pool]).body(body).id()
}

#[test]
fn what_was_given_comes_back() {
    let world = World::new();
    let site = world.site("eu");
    let source = format!("https://example.org/a.qcow2#sha256={DIGEST}");
    let given = json!({ "name": "win", "description": "big", "os": "windows", "source": source });
    let answer =
        world.call("create_storage_pool_template").to([site.pool]).body(given.clone()).send().unwrap();
    let mut made = answer.body;
    let id: Id = made["id"].as_str().unwrap().parse().unwrap();
    assert!(matches!(answer.wait, Some(Wait::Settled(key)) if key.id == id));
    assert_eq!(world.call("read_template").to([id]).ok(), made);
    assert_eq!(world.call("update_template").to([id]).body(made.clone()).ok(), made);
    made.as_object_mut().unwrap().remove("id");
    assert_eq!(made, given);
    assert_eq!(world.call("list_storage_pool_templates").to([site.pool]).ids(), [site.image, id]);
}

#[test]
fn only_texts_of_an_image_change() {
    let world = World::new();
    let site = world.site("eu");
    let update = |change: Value| world.call("update_template").to([site.image]).body(change);
    let changed = update(json!({ "name": "debian-13", "description": "stable" })).ok();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("debian-13"), &json!("stable")));
    assert!(update(json!({ "source": "https://example.org/b" })).refused(422).contains("fixed at creation"));
    assert!(update(json!({ "os": "windows" })).refused(422).contains("fixed at creation"));
    create(&world, site.pool, "other");
    update(json!({ "name": "other" })).refused(409);
}

#[test]
fn the_first_image_is_the_default_until_another_is() {
    let world = World::new();
    let region = world.call("create_region").body(json!({ "name": "eu", "domain": "example.org" })).id();
    let pool = |name: &str| {
        let body = json!({ "name": name, "pool": "rbd", "agents": [] });
        world.call("create_region_storage_pool").to([region]).body(body).id()
    };
    let (main, spare) = (pool("main"), pool("spare"));
    let default = |explicit: Option<Id>| {
        let snapshot = world.snapshot();
        default_of(&world.get::<Pool>(main), &snapshot, explicit).map(Object::id).map_err(|error| error.kind)
    };
    assert_eq!(default(None), Err(ErrorKind::NotFound));
    let ids = ["a", "b", "c"].map(|name| create(&world, main, name));
    assert_eq!(default(None), Ok(ids[0]));
    assert_eq!(default(Some(ids[1])), Ok(ids[1]));
    world.call("set_storage_pool_default_template").to([main, ids[2]]).ok();
    assert_eq!(default(None), Ok(ids[2]));
    world.call("delete_template").to([ids[2]]).ok();
    assert_eq!(default(None), Ok(ids[0]));
    assert_eq!(default(Some(ids[2])), Err(ErrorKind::Conflict));
    world.call("set_storage_pool_default_template").to([main, ids[2]]).refused(409);
    // A name is unique within its pool only.
    let elsewhere = create(&world, spare, "a");
    assert_eq!(default(Some(elsewhere)), Err(ErrorKind::Invalid));
    assert_eq!(default(Some(Id::from_u64(1))), Err(ErrorKind::NotFound));
    world.call("set_storage_pool_default_template").to([main, elsewhere]).refused(404);
}

#[test]
fn an_image_with_clones_stays() {
    let world = World::new();
    let site = world.site("eu");
    let project = world.project("shop", [], [site.region]);
    let body = json!({ "name": "system", "type": "os", "size": 4 * GIB });
    let volume = world.call("create_project_region_volume").to([project, site.region]).body(body).id();
    assert!(world.call("delete_template").to([site.image]).refused(409).contains("volume `system`"));
    world.call("delete_volume").to([volume]).ok();
    world.converge();
    world.call("delete_template").to([site.image]).ok();
    world.converge();
    assert!(world.find::<Image>(site.image).is_none());
    assert_eq!(world.get::<Pool>(site.pool).spec.default_image, None);
}

#[test]
fn the_progress_of_an_image_is_told() {
    let world = World::new();
    let site = world.site("eu");
    let user = world.user("ann", Role::User);
    let fresh = create(&world, site.pool, "fresh");
    let status = world.call("read_template_status").to([fresh]).ok();
    assert_eq!((&status["ready"], &status["nodes"][0]["phase"]), (&json!(false), &json!("working")));
    world.converge();
    let status = world.call("read_template_status").to([fresh]).ok();
    assert_eq!((&status["ready"], &status["virtual_size"]), (&json!(true), &json!(2 * GIB)));
    assert_eq!(status["nodes"][0]["agent"], json!(site.agent));
    // Members may know of it, but not of hosts.
    let status = world.call("read_template_status").to([fresh]).by(user).ok();
    assert_eq!((&status["ready"], status["nodes"][0].get("agent")), (&json!(true), None));
}

#[test]
fn images_are_for_all_and_made_by_operators() {
    let world = World::new();
    let site = world.site("eu");
    let user = world.user("ann", Role::ProjectAdmin);
    assert_eq!(world.call("list_templates").by(user).ids(), [site.image]);
    world.call("read_template").to([site.image]).by(user).ok();
    let body = json!({ "name": "mine", "source": "https://example.org/a" });
    world.call("create_storage_pool_template").to([site.pool]).by(user).body(body.clone()).refused(403);
    world.call("delete_template").to([site.image]).by(user).refused(403);
    world
        .call("create_storage_pool_template")
        .to([site.pool])
        .body(json!({ "name": "x", "source": "" }))
        .refused(400);
    let taken = json!({ "name": "debian", "source": "https://example.org/a" });
    world.call("create_storage_pool_template").to([site.pool]).body(taken).refused(409);
}
