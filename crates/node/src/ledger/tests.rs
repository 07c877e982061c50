use std::os::unix::fs::PermissionsExt;

use freehold_types::agent::ObjectKind;
use proptest::prelude::*;

use super::journal::{Replayed, replay};
use super::*;
use crate::fixture::{
    IMAGE, LINEAGE, MACHINE, POOL, SEGMENT, VOLUME, absent, change, cloud, full, id, key, machine, partial,
    pool,
};

fn update(state: &mut State, slice: Slice) -> Update {
    let update = state.judge(slice).unwrap();
    state.apply(Change::Update(update.clone()));
    update
}

fn referrers(state: &State, key: ObjectKey) -> Vec<ObjectKey> {
    state.referrers(key).collect()
}

#[test]
fn only_what_differs_is_put() {
    let mut state = State::default();
    assert_eq!(update(&mut state, full(1, cloud(2))).put.len(), 7);
    let same = update(&mut state, full(2, cloud(2)));
    assert_eq!((same.put.len(), same.dropped.len()), (0, 0));
    let fewer = update(&mut state, full(3, cloud(1)));
    assert_eq!(fewer.dropped, [key(ObjectKind::Volume, VOLUME + 1), key(ObjectKind::Machine, MACHINE + 1)]);
    assert_eq!(state.held(), Some((id(LINEAGE), 3)));
}

#[test]
fn a_partial_slice_touches_what_it_names() {
    let mut state = State::default();
    update(&mut state, full(1, cloud(1)));
    let mut slice = partial(2, absent(vec![machine(MACHINE, &[VOLUME], &[SEGMENT])]));
    slice.forget = vec![key(ObjectKind::Image, IMAGE), key(ObjectKind::Image, 99)];
    let update = update(&mut state, slice);
    assert_eq!(update.dropped, [key(ObjectKind::Image, IMAGE)]);
    assert_eq!(state.keys().count(), 4);
}

#[test]
fn a_slice_of_the_revision_held_is_taken_and_an_older_one_is_not() {
    let mut state = State::default();
    update(&mut state, full(5, cloud(1)));
    assert!(state.judge(partial(5, Vec::new())).is_ok());
    assert_eq!(state.judge(full(4, Vec::new())), Err(Refused { lineage: id(LINEAGE), revision: 4, held: 5 }));
    let restored = Slice { lineage: id(LINEAGE + 1), ..full(1, cloud(1)) };
    assert!(state.judge(restored).is_ok(), "a restored store begins anew");
}

#[test]
fn references_linger_until_the_object_is_settled() {
    let mut state = State::default();
    let (old, new) = (key(ObjectKind::Volume, VOLUME), key(ObjectKind::Volume, VOLUME + 1));
    let machine_key = key(ObjectKind::Machine, MACHINE);
    let first = machine(MACHINE, &[VOLUME], &[]);
    update(&mut state, full(1, vec![first.clone()]));
    let second = change(first, |machine| machine.disks = vec![id(VOLUME + 1)]);
    update(&mut state, partial(2, vec![second]));
    assert_eq!(referrers(&state, old), [machine_key]);
    assert_eq!(referrers(&state, new), [machine_key]);
    let mut again = State::default();
    again.apply(state.snapshot());
    assert_eq!(again, state, "a restart knows it too");
    assert_eq!(state.settle(machine_key), [old]);
    assert_eq!(referrers(&state, old), []);
    assert_eq!(referrers(&state, new), [machine_key]);
    assert_eq!(state.settle(machine_key), []);
}

#[test]
fn the_past_verbs_of_a_machine_are_taken_as_done_when_it_is_first_met() {
    let mut state = State::default();
    let born = change(machine(MACHINE, &[], &[]), |machine| (machine.reboots, machine.resets) = (3, 2));
    update(&mut state, full(1, vec![born.clone()]));
    let first = MachineMemory { reboots: 3, resets: 2, ..MachineMemory::default() };
    let memory = |state: &State| state.get(key(ObjectKind::Machine, MACHINE)).unwrap().memory.clone();
    assert_eq!(memory(&state), first);
    let asked = change(born.clone(), |machine| machine.reboots = 4);
    update(&mut state, partial(2, vec![asked.clone()]));
    assert_eq!(memory(&state), first, "the fourth is to be done");
    let done = MachineMemory { power_serial: 1, reboots: 4, ..first };
    state.apply(Change::Memories(vec![(id(MACHINE), done.clone()), (id(99), done.clone())]));
    update(&mut state, partial(3, absent(vec![asked.clone()])));
    assert_eq!(memory(&state), done);
    let back = Desired { generation: 9, ..asked };
    update(&mut state, partial(4, vec![back]));
    assert_eq!(memory(&state), MachineMemory { reboots: 4, resets: 2, ..MachineMemory::default() });
}

/// What happened to a ledger: each with the length of the file after it, and the state.
async fn history(directory: &Path) -> Vec<(u64, State)> {
    let mut ledger = Ledger::open(directory).unwrap();
    let length = || std::fs::metadata(directory.join("ledger.log")).unwrap().len();
    let mut history = vec![(length(), ledger.state().clone())];
    let rebooted = change(machine(MACHINE, &[VOLUME], &[SEGMENT]), |machine| machine.reboots = 1);
    let done = MachineMemory { power_serial: 1, reboots: 1, guest_off: true, ..MachineMemory::default() };
    let mut forget = partial(4, Vec::new());
    forget.forget = vec![key(ObjectKind::Machine, MACHINE)];
    for step in [
        Err(full(1, cloud(1))),
        Err(partial(2, vec![rebooted])),
        Ok(Change::Memories(vec![(id(MACHINE), done)])),
        Err(partial(3, absent(cloud(1)))),
        Err(forget),
    ] {
        let change = step.unwrap_or_else(|slice| Change::Update(ledger.state().judge(slice).unwrap()));
        ledger.commit(&change).await.unwrap();
        history.push((length(), ledger.state().clone()));
    }
    history
}

fn damaged(directory: &Path) -> usize {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains(".damaged-")).count()
}

#[tokio::test]
async fn cut_at_any_byte_it_holds_the_last_change_before() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(directory.path()).await;
    let log = directory.path().join("ledger.log");
    let whole = std::fs::read(&log).unwrap();
    assert_eq!(whole.len() as u64, history.last().unwrap().0);
    for length in history[0].0..=whole.len() as u64 {
        let bytes = &whole[..usize::try_from(length).unwrap()];
        let expected = &history.iter().rfind(|(end, _)| *end <= length).unwrap().1;
        let Replayed::Whole { state, .. } = replay(bytes) else { panic!("cut at {length}") };
        assert_eq!(state, *expected, "cut at {length}");
        // What follows a cut is read as well.
        if length % 97 == 0 {
            let cut = tempfile::tempdir().unwrap();
            std::fs::write(cut.path().join("ledger.log"), bytes).unwrap();
            let mut ledger = Ledger::open(cut.path()).unwrap();
            assert_eq!((ledger.state(), damaged(cut.path())), (expected, 0));
            let change = Change::Update(ledger.state().judge(full(9, vec![pool(POOL)])).unwrap());
            ledger.commit(&change).await.unwrap();
            let state = ledger.state().clone();
            drop(ledger);
            assert_eq!(*Ledger::open(cut.path()).unwrap().state(), state);
        }
    }
    for length in 1..history[0].0 {
        let head = &whole[..usize::try_from(length).unwrap()];
        assert!(matches!(replay(head), Replayed::Damaged { .. }), "a journal never begins in part");
    }
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_never_stops_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(directory.path()).await;
    let whole = std::fs::read(directory.path().join("ledger.log")).unwrap();
    let last = history[history.len() - 2].0;
    for place in (0..whole.len()).step_by(41) {
        let broken = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes[place] ^= 0x15;
        std::fs::write(broken.path().join("ledger.log"), &bytes).unwrap();
        let ledger = Ledger::open(broken.path()).unwrap();
        let (state, aside) = (ledger.state(), damaged(broken.path()));
        if place as u64 >= last {
            assert_eq!((state, aside), (&history[history.len() - 2].1, 0), "byte {place} of the last record");
        } else {
            assert_eq!((state, aside), (&State::default(), 1), "byte {place}");
        }
    }
}

#[tokio::test]
async fn a_rewrite_that_was_cut_off_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let expected = history(directory.path()).await.pop().unwrap().1;
    std::fs::write(directory.path().join("ledger.new"), b"half a rec").unwrap();
    assert_eq!(*Ledger::open(directory.path()).unwrap().state(), expected);
}

#[tokio::test]
async fn a_journal_that_grew_is_rewritten_and_private() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("deep/state");
    let mut ledger = Ledger::open(&state).unwrap();
    let mut largest = 0;
    for revision in 1..2_000 {
        let mut object = pool(POOL);
        object.generation = revision;
        if let Wanted::Present(Specification::Pool(pool)) = &mut object.state {
            pool.name = "x".repeat(4_000);
        }
        let change = Change::Update(ledger.state().judge(full(revision, vec![object])).unwrap());
        ledger.commit(&change).await.unwrap();
        largest = largest.max(std::fs::metadata(state.join("ledger.log")).unwrap().len());
    }
    assert!(largest < 2 << 20, "{largest}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("ledger.log"))), (0o700, 0o600));
    let expected = ledger.state().clone();
    drop(ledger);
    assert_eq!(*Ledger::open(&state).unwrap().state(), expected);
}

#[test]
fn two_nodes_cannot_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = Ledger::open(directory.path()).unwrap();
    let error = Ledger::open(directory.path()).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    drop(first);
    Ledger::open(directory.path()).unwrap();
}

#[tokio::test]
async fn after_a_failed_write_the_next_one_writes_everything() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.commit(&Change::Update(ledger.state().judge(full(1, cloud(1))).unwrap())).await.unwrap();
    ledger.break_file();
    let change = Change::Update(ledger.state().judge(full(2, cloud(2))).unwrap());
    let held = ledger.state().clone();
    ledger.commit(&change).await.unwrap_err();
    assert_eq!(*ledger.state(), held, "a change that is not durable does not count");
    ledger.commit(&change).await.unwrap();
    let expected = ledger.state().clone();
    drop(ledger);
    assert_eq!(*Ledger::open(&state).unwrap().state(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the bytes, the node starts.
    #[test]
    fn no_bytes_stop_a_node(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = replay(&bytes);
    }

    /// A snapshot restores the state that any slices led to.
    #[test]
    fn a_snapshot_restores(sizes in proptest::collection::vec((0_u64..4, any::<bool>(), any::<bool>()), 1..8)) {
        let mut state = State::default();
        for (revision, (machines, whole, remove)) in sizes.into_iter().enumerate() {
            let objects = if remove { absent(cloud(machines)) } else { cloud(machines) };
            let revision = revision as u64 + 1;
            let slice = if whole || revision == 1 { full(revision, objects) } else { partial(revision, objects) };
            update(&mut state, slice);
        }
        let mut restored = State::default();
        restored.apply(state.snapshot());
        prop_assert_eq!(restored, state);
    }
}
