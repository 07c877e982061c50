use std::time::Duration;

use freehold_store::{Amounts, Key};
use freehold_types::agent::{Specification, State};
use freehold_types::size::GIB;
use freehold_types::wire::Role;
use serde_json::{Value, json};

use super::*;
use crate::compute::Compute;
use crate::instance::Moving;
use crate::testing::{Site, World};
use crate::volume::Volume as Disk;

/// Two hosts in one zone that share no storage, and a machine on the first.
struct Stage {
    world: World,
    site: Site,
    second: (Id, Id),
    project: Id,
    instance: Id,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let site = world.site("eu");
        let project = world.project("shop", [], [site.region]);
        let mut stage =
            Self { world, site, second: (site.agent, site.hypervisor), project, instance: site.region };
        stage.instance = stage.machine("web");
        stage.second = stage.host("eu-a2");
        stage
    }

    /// One more host with a part of the pool.
    fn host(&self, name: &str) -> (Id, Id) {
        let host = self.world.host(self.site.zone, name);
        let mut agents: Vec<Id> = self.world.get::<crate::pool::Pool>(self.site.pool).spec.agents;
        agents.push(host.0);
        self.world.call("update_storage_pool").to([self.site.pool]).body(json!({ "agents": agents })).ok();
        self.world.converge();
        host
    }

    fn machine(&self, name: &str) -> Id {
        let body = json!({ "name": name, "vcpus": 1, "memory": GIB, "disk": 4 * GIB });
        let call = self.world.call("create_project_zone_kompute").to([self.project, self.site.zone]);
        let compute = call.body(body).id();
        self.world.converge();
        self.world.get::<Compute>(compute).spec.instance
    }

    fn get(&self) -> Object<Instance> {
        self.world.get::<Instance>(self.instance)
    }

    fn plan(&self, body: Value) -> Value {
        self.world.call("plan_instance_k_motion").to([self.instance]).body(body).ok()
    }

    fn commit(&self, plan: &Value) {
        let body = json!({ "plan": plan["id"] });
        self.world.call("commit_instance_k_motion").to([self.instance]).body(body).ok();
    }

    fn go(&self) {
        let plan = self.plan(json!({}));
        self.commit(&plan);
    }

    fn status(&self) -> Value {
        self.world.call("read_instance_k_motion").to([self.instance]).ok()
    }

    /// What a node is asked for a kind of object of the machine.
    fn asked(&self, agent: Id, kind: freehold_types::agent::ObjectKind) -> Vec<State> {
        let desired = self.world.desired(agent).into_iter().filter(|desired| desired.key.kind == kind);
        desired.map(|desired| desired.state).collect()
    }
}

#[test]
fn a_machine_moves_with_its_disks_and_nothing_stays_behind() {
    use freehold_types::agent::ObjectKind::{Machine, Segment, Volume};
    let stage = Stage::new();
    let (one, two) = (stage.site, stage.second);
    let plan = stage.plan(json!({}));
    let expected = json!({
        "id": plan["id"], "instance": stage.instance, "source": one.hypervisor, "target": two.1, "live": true,
    });
    assert_eq!(plan, expected);
    assert_eq!(stage.status()["state"], "none");
    stage.commit(&plan);
    assert_eq!(stage.status()["state"], "preparing");

    // The target is asked to make ready before the source is asked for anything.
    let incoming = |state: &State| matches!(state, State::Present(Specification::Machine(machine)) if machine.motion == Some(Motion::Incoming));
    let plain = |state: &State| matches!(state, State::Present(Specification::Machine(machine)) if machine.motion.is_none());
    assert!(
        stage.asked(two.0, Machine).iter().all(incoming) && stage.asked(one.agent, Machine).iter().all(plain)
    );
    assert_eq!((stage.asked(two.0, Volume).len(), stage.asked(two.0, Segment).len()), (1, 1));
    let usage = |host| stage.world.snapshot().usage(host);
    assert_eq!(usage(one.hypervisor), usage(two.1), "it takes room on both");

    stage.world.converge();
    let instance = stage.get();
    assert_eq!((instance.spec.hypervisor, &instance.spec.moving), (two.1, &None));
    assert_eq!(stage.status()["state"], "done");
    for kind in [Machine, Volume, Segment] {
        assert_eq!((stage.asked(one.agent, kind).len(), stage.asked(two.0, kind).len()), (0, 1), "{kind}");
    }
    assert_eq!((usage(one.hypervisor), usage(two.1).instances), (Amounts::default(), 1));
    assert_eq!(stage.world.call("read_instance_state").to([stage.instance]).ok()["state"], "Running");
    assert_eq!(stage.world.call("list_kaktus_instances").to([two.1]).ids(), [stage.instance]);

    // And back again, by its compute.
    let compute = instance.spec.compute.unwrap();
    let plan = stage.world.call("plan_kompute_k_motion").to([compute]).body(json!({ "live": false })).ok();
    assert_eq!((&plan["instance"], &plan["live"]), (&json!(stage.instance), &json!(false)));
    stage.world.call("commit_kompute_k_motion").to([compute]).body(json!({ "plan": plan["id"] })).ok();
    stage.world.converge();
    assert_eq!(stage.get().spec.hypervisor, one.hypervisor);
    stage.world.call("delete_kompute").to([compute]).ok();
    stage.world.converge();
    assert_eq!(stage.world.all::<Disk>().len(), 0);
}

#[test]
fn a_machine_that_cannot_leave_stays_and_says_why() {
    let mut stage = Stage::new();
    stage.world.rooted = Some("the other libvirt does not answer".to_owned());
    stage.go();
    stage.world.converge();
    let instance = stage.get();
    assert_eq!((instance.spec.hypervisor, &instance.spec.moving), (stage.site.hypervisor, &None));
    let status = stage.status();
    assert_eq!(
        (&status["state"], &status["message"]),
        (&json!("failed"), &json!("the other libvirt does not answer"))
    );
    assert_eq!(stage.world.snapshot().usage(stage.second.1), Amounts::default());
    assert!(stage.world.all::<Disk>().iter().all(|volume| volume.spec.twin.is_none()));
    stage.world.rooted = None;
    stage.go();
    stage.world.converge();
    assert_eq!(stage.get().spec.hypervisor, stage.second.1);
}

#[test]
fn a_target_that_never_makes_ready_ends_the_move() {
    let mut stage = Stage::new();
    stage.go();
    stage.world.disconnect(stage.second.0);
    stage.world.converge();
    assert!(stage.get().spec.going_to().is_some());
    let refused = |operation: &str| stage.world.call(operation).to([stage.instance]).refused(409);
    assert!(refused("stop_instance").contains("on its way to another host"));
    stage.world.advance(follow::PREPARATION);
    stage.world.converge();
    let status = stage.status();
    assert_eq!(status["state"], "failed");
    assert!(
        status["message"].as_str().unwrap().contains("`eu-a2` did not make ready within 30 minutes"),
        "{status}"
    );
    // What it may have is removed before the machine moves again.
    let plan = stage.world.call("plan_instance_k_motion").to([stage.instance]).body(json!({}));
    assert!(plan.refused(409).contains("left on the host `eu-a2`"));
    stage.world.call("stop_instance").to([stage.instance]).ok();
    stage.world.connect(stage.second.0);
    stage.world.converge();
    assert_eq!(stage.get().spec.moving, None);
}

#[test]
fn what_was_off_stays_off() {
    let stage = Stage::new();
    stage.world.call("shutdown_instance").to([stage.instance]).ok();
    stage.world.converge();
    // A guest that ended by itself is off too, though its target is to run.
    stage.world.change::<Instance>(stage.instance, |instance| {
        instance.spec.power.target = freehold_types::agent::PowerTarget::Running;
    });
    stage.go();
    stage.world.converge();
    let spec = stage.get().spec;
    assert_eq!(
        (spec.hypervisor, spec.power.target),
        (stage.second.1, freehold_types::agent::PowerTarget::Off)
    );
    assert_eq!(stage.world.call("read_instance_state").to([stage.instance]).ok()["state"], "Shutoff");
}

#[test]
fn plans_are_refused_with_the_reason() {
    let stage = Stage::new();
    let world = &stage.world;
    let plan = |body: Value| world.call("plan_instance_k_motion").to([stage.instance]).body(body);
    assert!(plan(json!({ "destination": "manual" })).refused(422).contains("name the host"));
    plan(json!({ "destination": "manual", "kaktus": Id::generate() })).refused(404);
    assert!(plan(json!({ "kaktus": stage.second.1 })).refused(422).contains("`manual`"));
    let here = plan(json!({ "destination": "manual", "kaktus": stage.site.hypervisor })).refused(422);
    assert!(here.contains("it is there already"), "{here}");

    world.call("enable_kaktus_maintenance").to([stage.second.1]).ok();
    let manual = json!({ "destination": "manual", "kaktus": stage.second.1 });
    assert!(plan(manual.clone()).refused(422).contains("it is in maintenance"));
    for destination in ["zone", "region", "auto"] {
        let reason = plan(json!({ "destination": destination })).refused(422);
        assert!(reason.contains("1 in maintenance"), "{reason}");
    }
    world.call("disable_kaktus_maintenance").to([stage.second.1]).ok();

    world.change::<crate::agent::Agent>(stage.second.0, |agent| {
        agent.status.facts.as_mut().unwrap().landing = None;
    });
    assert!(plan(manual.clone()).refused(422).contains("migration_uri"));
    world.connect(stage.second.0);
    world.change::<crate::agent::Agent>(stage.second.0, |agent| {
        "tcg".clone_into(&mut agent.status.facts.as_mut().unwrap().accelerator);
    });
    assert!(plan(manual.clone()).refused(422).contains("accelerator"));
    world.connect(stage.second.0);

    world.call("suspend_instance").to([stage.instance]).ok();
    world.converge();
    assert!(plan(json!({ "live": false })).refused(422).contains("is suspended"));
    world.call("resume_instance").to([stage.instance]).ok();
    world.converge();

    let compute = stage.get().spec.compute.unwrap();
    world.call("update_kompute").to([compute]).body(json!({ "kmotion_enabled": false })).ok();
    assert!(plan(json!({})).refused(422).contains("kmotion_enabled"));
    world.call("update_kompute").to([compute]).body(json!({ "kmotion_enabled": true })).ok();
    world.converge();

    // Nobody but operators learns of hosts.
    let member = world.user("alice", Role::ProjectAdmin);
    world.call("plan_instance_k_motion").to([stage.instance]).body(json!({})).by(member).refused(403);
}

#[test]
fn groups_hold_for_moves_too() {
    let stage = Stage::new();
    let other = stage.machine("db");
    assert_eq!(stage.world.get::<Instance>(other).spec.hypervisor, stage.second.1);
    let group = stage
        .world
        .call("create_project_kwarantine")
        .to([stage.project])
        .body(json!({ "name": "apart", "policy": "host" }))
        .id();
    for id in [stage.instance, other] {
        let compute = stage.world.get::<Instance>(id).spec.compute.unwrap();
        stage.world.call("add_kwarantine_kompute").to([group, compute]).ok();
    }
    let call = stage.world.call("plan_instance_k_motion").to([stage.instance]).body(json!({}));
    assert!(call.refused(422).contains("anti-affinity"));
    stage.host("eu-a3");
    let plan = stage.plan(json!({}));
    assert_ne!(plan["target"], json!(stage.second.1));
}

fn commit<'a>(stage: &'a Stage, plan: &Value) -> crate::testing::Request<'a> {
    stage.world.call("commit_instance_k_motion").to([stage.instance]).body(json!({ "plan": plan }))
}

#[test]
fn a_plan_is_good_for_one_commit_of_its_machine_within_the_hour() {
    let mut stage = Stage::new();
    commit(&stage, &json!("")).refused(400);
    commit(&stage, &json!("nonsense")).refused(404);
    let other = stage.machine("db");
    let plan = stage.world.call("plan_instance_k_motion").to([other]).body(json!({})).ok();
    assert!(commit(&stage, &plan["id"]).refused(422).contains("another machine"));

    let old = stage.plan(json!({}));
    stage.world.advance(Duration::from_hours(1));
    assert!(commit(&stage, &old["id"]).refused(404).contains("make a new one"));

    let (first, second) = (stage.plan(json!({})), stage.plan(json!({})));
    stage.commit(&first);
    commit(&stage, &first["id"]).refused(404);
    stage.world.converge();
    assert!(commit(&stage, &second["id"]).refused(422).contains("any more"));
}

#[test]
fn a_machine_that_is_removed_on_its_way_leaves_nothing_anywhere() {
    let stage = Stage::new();
    stage.go();
    let compute = stage.get().spec.compute.unwrap();
    stage.world.call("delete_kompute").to([compute]).ok();
    stage.world.converge();
    assert_eq!(stage.world.all::<Instance>().len() + stage.world.all::<Disk>().len(), 0);
    for agent in [stage.site.agent, stage.second.0] {
        assert!(stage.asked(agent, freehold_types::agent::ObjectKind::Volume).is_empty());
    }
}

#[test]
fn volumes_outlive_a_machine_that_is_removed_on_its_way() {
    let stage = Stage::new();
    let volume = stage.get().spec.volumes[0];
    stage.go();
    stage.world.change::<Disk>(volume, |volume| volume.spec.compute = None);
    let mut transaction = freehold_store::Transaction::default();
    let snapshot = stage.world.snapshot();
    crate::instance::plan::remove(&stage.get(), &snapshot, stage.world.now, &mut transaction);
    let compute = snapshot.get::<Compute>(stage.get().spec.compute.unwrap()).unwrap();
    transaction.delete(compute);
    stage.world.commit(transaction);
    stage.world.converge();
    let volume = stage.world.get::<Disk>(volume);
    assert_eq!((volume.spec.agent, volume.spec.twin), (stage.site.agent, None));
}

#[test]
fn a_host_in_maintenance_is_emptied_as_far_as_it_goes() {
    let mut stage = Stage::new();
    // Three machines on the first host, one of which may not move.
    stage.world.call("enable_kaktus_maintenance").to([stage.second.1]).ok();
    let (two, three) = (stage.machine("two"), stage.machine("three"));
    stage.world.call("disable_kaktus_maintenance").to([stage.second.1]).ok();
    let compute = stage.world.get::<Instance>(three).spec.compute.unwrap();
    stage.world.call("update_kompute").to([compute]).body(json!({ "kmotion_enabled": false })).ok();
    stage.world.converge();

    let outlook = || stage.world.call("read_kaktus_evacuation").to([stage.site.hypervisor]).ok();
    let shown = outlook();
    assert_eq!((&shown["active"], shown["moves"].as_array().unwrap().len()), (&json!(false), 2));
    assert_eq!((&shown["stuck"][0]["name"], shown["stuck"].as_array().unwrap().len()), (&json!("three"), 1));
    assert!(shown["stuck"][0]["reason"].as_str().unwrap().contains("kmotion_enabled"));

    let evacuate = |query: &str| stage.world.call("evacuate_kaktus").to([stage.site.hypervisor]).query(query);
    evacuate("deadline=0").refused(400);
    let told = evacuate("deadline=3600&live=false").ok();
    assert_eq!((&told["active"], told["moves"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(outlook()["active"], true);
    let step = |stage: &Stage| {
        let next = evacuation::next(stage.site.hypervisor, &stage.world.snapshot(), stage.world.now);
        next.map(|transaction| stage.world.commit(transaction)).is_some()
    };
    assert!(step(&stage) && step(&stage) && !step(&stage));
    let going = stage.world.all::<Instance>().into_iter().filter_map(|instance| instance.spec.moving);
    assert!(
        going.clone().count() == 2 && going.into_iter().all(|moving: Moving| moving.other == stage.second.1)
    );
    stage.world.converge();
    assert!(!step(&stage), "one cannot move");
    assert_eq!(stage.world.call("list_kaktus_instances").to([stage.site.hypervisor]).ids(), [three]);
    assert_eq!(stage.world.get::<Instance>(two).spec.hypervisor, stage.second.1);

    // When it may, it goes; but not after the deadline.
    stage.world.call("update_kompute").to([compute]).body(json!({ "kmotion_enabled": true })).ok();
    stage.world.converge();
    stage.world.advance(Duration::from_hours(1));
    assert!(!step(&stage));
    stage.world.call("evacuate_kaktus").to([stage.site.hypervisor]).ok();
    // One that failed is left alone for a while.
    stage.world.rooted = Some("no".to_owned());
    assert!(step(&stage));
    stage.world.converge();
    assert!(!step(&stage));
    stage.world.rooted = None;
    stage.world.advance(Duration::from_mins(1));
    assert!(step(&stage));
    stage.world.converge();
    assert!(stage.world.call("list_kaktus_instances").to([stage.site.hypervisor]).ids().is_empty());
    stage.world.call("disable_kaktus_maintenance").to([stage.site.hypervisor]).ok();
    let host = stage.world.get::<Hypervisor>(stage.site.hypervisor);
    assert_eq!((host.spec.maintenance, host.spec.evacuation), (false, None));
}

#[test]
fn what_is_under_way_is_found_again_by_key() {
    let stage = Stage::new();
    let key = Key::of::<Instance>(stage.instance);
    assert!(!follow::is_under_way(key, &stage.world.snapshot()));
    stage.go();
    assert!(follow::is_under_way(key, &stage.world.snapshot()));
    let volume = Key::of::<Disk>(stage.get().spec.volumes[0]);
    assert!(follow::is_under_way(volume, &stage.world.snapshot()));
}
