use std::collections::BTreeMap;

use freehold_types::agent::Slice;
use proptest::prelude::*;

use super::*;
use crate::fixture::{
    IMAGE, MACHINE, POOL, SEGMENT, VOLUME, absent, change, cloud, full, id, image, key, machine, partial,
    pool, segment, volume,
};
use crate::ledger::Change;

fn state(objects: Vec<Desired>) -> State {
    let mut state = State::default();
    apply(&mut state, full(1, objects));
    state
}

fn apply(state: &mut State, slice: Slice) {
    let update = state.judge(slice).unwrap();
    state.apply(Change::Update(update));
}

fn ready(made: bool) -> Standing<'static> {
    Standing { phase: Phase::Ready, generation: 1, made, message: "" }
}

fn failed(made: bool) -> Standing<'static> {
    Standing { phase: Phase::Failed, made, message: "no room", ..ready(made) }
}

/// What an object waits for when the others stand as given.
fn reason(state: &State, of: ObjectKey, standings: &[(ObjectKey, Standing<'static>)]) -> String {
    let standings: BTreeMap<_, _> = standings.iter().copied().collect();
    let desired = Arc::clone(&state.get(of).unwrap().desired);
    waits_for(state, &desired, |key| standings.get(&key).copied()).unwrap_or_default()
}

#[test]
fn what_an_object_refers_to() {
    let refers = |object: Desired| needs(object.state.specification());
    assert_eq!(refers(pool(POOL)), []);
    assert_eq!(refers(segment(SEGMENT)), []);
    assert_eq!(refers(image(IMAGE, POOL)), [key(ObjectKind::Pool, POOL)]);
    assert_eq!(
        refers(volume(VOLUME, POOL, Some(IMAGE))),
        [key(ObjectKind::Pool, POOL), key(ObjectKind::Image, IMAGE)]
    );
    assert_eq!(
        refers(machine(MACHINE, &[VOLUME, VOLUME + 1], &[SEGMENT, SEGMENT])),
        [
            key(ObjectKind::Volume, VOLUME),
            key(ObjectKind::Volume, VOLUME + 1),
            key(ObjectKind::Segment, SEGMENT)
        ]
    );
}

#[test]
fn a_machine_waits_for_each_thing_below_it() {
    let state = state(cloud(1));
    let [own, disk, net] = [
        key(ObjectKind::Machine, MACHINE),
        key(ObjectKind::Volume, VOLUME),
        key(ObjectKind::Segment, SEGMENT),
    ];
    let working = Standing { phase: Phase::Working, ..ready(false) };
    let waiting = |standings: &[_]| reason(&state, own, standings);
    assert!(
        waiting(&[(own, working), (disk, working), (net, working)])
            .starts_with("waits for volume `volume-400`")
    );
    assert!(
        waiting(&[(own, working), (disk, ready(true)), (net, failed(false))])
            .ends_with("which failed: no room")
    );
    assert_eq!(waiting(&[(own, working), (disk, ready(true)), (net, ready(true))]), "");
    let outdated = Standing { generation: 0, ..ready(true) };
    assert_ne!(
        waiting(&[(own, working), (disk, outdated), (net, ready(true))]),
        "",
        "an older one is not enough"
    );
    // A machine that runs is not held up by what fails below it, but by what is new.
    assert_eq!(waiting(&[(own, ready(true)), (disk, failed(true)), (net, ready(true))]), "");
    assert_ne!(waiting(&[(own, ready(true)), (disk, failed(false)), (net, ready(true))]), "");
}

#[test]
fn what_is_absent_waits_for_its_users() {
    let mut state = state(cloud(1));
    let disk = key(ObjectKind::Volume, VOLUME);
    let user = key(ObjectKind::Machine, MACHINE);
    apply(&mut state, partial(2, absent(vec![volume(VOLUME, POOL, Some(IMAGE))])));
    let below = key(ObjectKind::Pool, POOL);
    let standings = [(disk, ready(true)), (user, ready(true)), (below, ready(true))];
    assert!(reason(&state, disk, &standings).contains("does not use it any more"));
    assert!(reason(&state, user, &standings).contains("which is to be removed"));
    apply(&mut state, partial(3, absent(vec![machine(MACHINE, &[VOLUME], &[SEGMENT])])));
    assert!(reason(&state, disk, &standings).starts_with("waits for the removal of machine"));
    let gone = Standing { phase: Phase::Absent, generation: 2, made: false, message: "" };
    assert_eq!(reason(&state, disk, &[(disk, ready(true)), (user, gone), (below, ready(true))]), "");
    let unknown = Standing { phase: Phase::Working, ..ready(false) };
    assert_ne!(
        reason(&state, disk, &[(disk, unknown), (user, gone), (below, unknown)]),
        "",
        "a pool that was not looked at may seem empty"
    );
}

#[test]
fn objects_that_do_not_fit_are_refused_by_name() {
    let mut odd = pool(POOL);
    odd.state = segment(SEGMENT).state;
    let state = state(vec![odd.clone(), machine(MACHINE, &[VOLUME], &[])]);
    let refused = |of: ObjectKey| job(&state, &state.get(of).unwrap().desired).unwrap_err();
    assert!(refused(odd.key).contains("is not specified as a pool"), "{}", refused(odd.key));
    let missing = refused(key(ObjectKind::Machine, MACHINE));
    assert!(missing.contains("volume/") && missing.contains("did not send"), "{missing}");
}

#[test]
fn a_machine_is_made_anew_when_what_it_is_made_of_changes() {
    let mut state = state(cloud(1));
    let of =
        |state: &State| job(state, &state.get(key(ObjectKind::Machine, MACHINE)).unwrap().desired).unwrap();
    let before = of(&state);
    // Peers of a segment come and go without any change for the machines on it.
    let mut other = segment(SEGMENT);
    other.generation = 2;
    apply(&mut state, partial(2, vec![other.clone()]));
    assert_eq!(of(&state), before);
    if let Wanted::Present(Specification::Segment(segment)) = &mut other.state {
        segment.bridge = "other".to_owned();
    }
    apply(&mut state, partial(3, vec![other]));
    assert_ne!(of(&state), before);
}

proptest! {
    /// From any mix of present and absent objects, doing what does not wait ends with everything done,
    /// and never does anything too early.
    #[test]
    fn everything_gets_its_turn(
        machines in 1_u64..5,
        gone in proptest::collection::vec(any::<bool>(), 5),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        // Machines that go take their volumes with them; the rest goes when all machines do.
        let mut objects = cloud(machines);
        let last = gone.iter().take(usize::try_from(machines).unwrap()).all(|gone| *gone);
        for object in &mut objects {
            let number = object.key.id.as_bytes()[11];
            let goes = match object.key.kind {
                ObjectKind::Machine | ObjectKind::Volume => gone[usize::from(number)],
                ObjectKind::Pool
                | ObjectKind::Image
                | ObjectKind::Segment
                | ObjectKind::Gateway
                | ObjectKind::Balancer
                | ObjectKind::Share
                | ObjectKind::DnsZone => last,
            };
            if goes {
                *object = absent(vec![object.clone()]).remove(0);
            }
        }
        let state = state(objects);
        let mut done: BTreeMap<ObjectKey, Standing<'static>> = BTreeMap::new();
        for pick in picks {
            let open: Vec<ObjectKey> = state
                .keys()
                .filter(|key| !done.contains_key(key))
                .filter(|key| {
                    let desired = &state.get(*key).unwrap().desired;
                    let unknown = Standing { phase: Phase::Working, generation: 0, made: false, message: "" };
                    waits_for(&state, desired, |key| Some(*done.get(&key).unwrap_or(&unknown))).is_none()
                })
                .collect();
            if open.is_empty() {
                break;
            }
            let key = *pick.get(&open);
            let desired = &state.get(key).unwrap().desired;
            let present = matches!(desired.state, Wanted::Present(_));
            for need in needs(desired.state.specification()) {
                let below = done.get(&need).map(|standing| standing.phase);
                if present {
                    prop_assert_eq!(below, Some(Phase::Ready));
                } else {
                    prop_assert_ne!(below, Some(Phase::Absent));
                }
            }
            let phase = if present { Phase::Ready } else { Phase::Absent };
            done.insert(key, Standing { phase, generation: desired.generation, made: present, message: "" });
        }
        prop_assert_eq!(done.len(), state.keys().count());
    }
}

#[test]
fn names_help_people() {
    assert_eq!(describe(&machine(MACHINE, &[], &[])), format!("machine `machine-500` ({})", id(MACHINE)));
    let changed = change(machine(MACHINE, &[], &[]), |machine| machine.vcpus = 9);
    assert_eq!(changed.generation, 2);
}
