use freehold_types::wire::Role;
use serde_json::{Value, json};

use super::*;
use crate::testing::World;

fn body(name: &str) -> Value {
    json!({ "name": name, "endpoint": "nfs.example.org", "fs": "dir:/srv/shares", "backends": ["n1"] })
}

fn id(value: &Value) -> Id {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_file_backend_is_made_read_changed_and_removed() {
    let world = World::new();
    let region = world.site("eu").region;
    let made = world.call("create_region_storage_nfs").to([region]).body(body("files")).ok();
    assert_eq!((&made["port"], &made["fs"]), (&json!(54_934), &json!("dir:/srv/shares")));
    let first = id(&made);
    assert_eq!(world.call("read_storage_nfs").to([first]).ok(), made);
    assert_eq!(world.call("update_storage_nfs").to([first]).body(made.clone()).ok(), made);
    let second = world.call("create_region_storage_nfs").to([region]).body(body("more")).id();
    assert_eq!(world.call("list_storage_nf_ses").ids(), [first, second]);
    assert_eq!(world.call("list_region_storage_nf_ses").to([region]).ids(), [first, second]);
    // The first is the default, until another is chosen; the next one takes the place of one that goes.
    assert_eq!(world.get::<Region>(region).spec.default_file_backend, Some(first));
    world.call("set_region_default_storage_nfs").to([region, second]).ok();
    assert_eq!(world.get::<Region>(region).spec.default_file_backend, Some(second));
    world.call("delete_storage_nfs").to([second]).ok();
    assert_eq!(world.get::<Region>(region).spec.default_file_backend, Some(first));
    assert!(world.call("delete_region").to([region]).refused(409).contains("in use"));
}

#[test]
fn a_file_backend_is_checked() {
    let world = World::new();
    let (eu, us) = (world.site("eu").region, world.site("us").region);
    let refused = |status: u16, change: Value| {
        let mut body = body("files");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.call("create_region_storage_nfs").to([eu]).body(body).refused(status)
    };
    refused(400, json!({ "name": "" }));
    refused(400, json!({ "endpoint": "" }));
    refused(400, json!({ "backends": [] }));
    refused(400, json!({ "port": 0 }));
    assert!(refused(422, json!({ "fs": "dir:srv" })).contains("absolute"));
    assert!(refused(422, json!({ "fs": "a b" })).contains("`a b`"));
    assert_eq!(store("nfs").unwrap(), Store::CephFs("nfs".to_owned()));
    world.call("create_region_storage_nfs").to([eu]).body(body("files")).ok();
    refused(409, json!({}));
    let far = world.call("create_region_storage_nfs").to([us]).body(body("files")).id();
    world.call("set_region_default_storage_nfs").to([eu, far]).refused(404);
}

#[test]
fn file_backends_are_for_operators() {
    let world = World::new();
    let region = world.site("eu").region;
    let id = world.call("create_region_storage_nfs").to([region]).body(body("files")).id();
    let account = world.user("ann", Role::ProjectAdmin);
    world.call("list_storage_nf_ses").by(account).refused(403);
    world.call("read_storage_nfs").by(account).to([id]).refused(403);
    world.call("delete_storage_nfs").by(account).to([id]).refused(403);
}
