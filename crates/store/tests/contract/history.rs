//! What outlives the process: the same state again, old documents, and what is refused at opening.

use std::error::Error;

use freehold_store::{
    BackendError, CommitError, DecodeError, Object, OpenError, Registry, Sealer, Sqlite, Store, Transaction,
};
use freehold_types::{Id, Secret};
use tokio::task::JoinSet;

use crate::entities::{Host, Machine, NoteV1, NoteV2, NoteV3, Team, Token, registry};
use crate::harness::{
    Medium, actor, commit, create, describe, get, machine, now, on_both_backends, team, write,
};

on_both_backends!(
    the_same_state_comes_back,
    old_documents_are_upgraded_once,
    every_step_of_an_upgrade_is_taken,
    a_newer_document_is_refused,
    an_unknown_kind_is_refused,
    closing_finishes_what_was_submitted,
    a_closed_store_says_so,
);

async fn the_same_state_comes_back(medium: Medium) {
    let store = medium.open();
    let red = team(&store, "red").await;
    let host = create(&store, Host { group: red.id(), handicap: 1 }).await;
    create(&store, Machine { host: Some(host.id()), ..Machine::new(red.id(), "one") }).await;
    let two = machine(&store, &red, "two").await;
    write(&store, |transaction| transaction.observe(&two, "up".to_owned())).await;
    write(&store, |transaction| transaction.delete(&get::<Machine>(&store, two.id()))).await;
    create(&store, Token { value: Secret::new("hunter2".to_owned()) }).await;
    let (described, revision, lineage) =
        (describe(&store.snapshot()), store.snapshot().revision(), store.lineage());
    store.close().await;
    for _ in 0..2 {
        let store = medium.open();
        assert_eq!(describe(&store.snapshot()), described);
        assert_eq!((store.snapshot().revision(), store.lineage()), (revision, lineage));
        store.close().await;
    }
}

fn notes_v1() -> Registry {
    registry().with::<NoteV1>()
}

fn notes_v3() -> Registry {
    registry().with::<NoteV3>()
}

async fn old_documents_are_upgraded_once(medium: Medium) {
    let store = medium.open_with(notes_v1()).unwrap();
    let note = create(&store, NoteV1 { text: "milk".to_owned() }).await;
    write(&store, |transaction| transaction.observe(&note, "read".to_owned())).await;
    team(&store, "red").await;
    store.close().await;

    let store = medium.open_with(notes_v3()).unwrap();
    let upgraded = get::<NoteV3>(&store, note.id());
    assert_eq!(upgraded.spec, NoteV3 { title: "untitled".to_owned(), tags: vec!["milk".to_owned()] });
    assert_eq!(upgraded.status, "read");
    // Nobody has changed what is wanted.
    assert_eq!((upgraded.meta.generation, upgraded.meta.updated_at), (1, note.meta.updated_at));
    assert_eq!((store.snapshot().revision(), upgraded.meta.revision), (4, 4));
    store.close().await;

    let store = medium.open_with(notes_v3()).unwrap();
    assert_eq!(get::<NoteV3>(&store, note.id()), upgraded);
    assert_eq!(store.snapshot().revision(), 4);
}

async fn every_step_of_an_upgrade_is_taken(medium: Medium) {
    let store = medium.open_with(notes_v1()).unwrap();
    let note = create(&store, NoteV1 { text: "milk".to_owned() }).await;
    store.close().await;
    let store = medium.open_with(registry().with::<NoteV2>()).unwrap();
    let titled = NoteV2 { title: "untitled".to_owned(), text: "milk".to_owned() };
    assert_eq!(get::<NoteV2>(&store, note.id()).spec, titled);
    store.close().await;
    let store = medium.open_with(notes_v3()).unwrap();
    assert_eq!(get::<NoteV3>(&store, note.id()).spec.tags, ["milk"]);
    assert_eq!(store.snapshot().revision(), 3);
}

async fn a_newer_document_is_refused(medium: Medium) {
    let store = medium.open_with(notes_v3()).unwrap();
    let note = create(&store, NoteV3 { title: "shopping".to_owned(), tags: Vec::new() }).await;
    store.close().await;
    let refused = medium.open_with(notes_v1()).unwrap_err();
    assert!(matches!(refused, OpenError::Decode(DecodeError::Newer { found: 3, known: 1, .. })));
    let message = format!(
        "note {} has schema 3, newer than the 1 known here; start the version that wrote it",
        note.id()
    );
    assert_eq!(refused.to_string(), message);
    // The refusal has touched nothing.
    assert_eq!(medium.open_with(notes_v3()).unwrap().snapshot().revision(), 1);
}

async fn an_unknown_kind_is_refused(medium: Medium) {
    let store = medium.open();
    team(&store, "red").await;
    store.close().await;
    let refused = medium.open_with(Registry::default().with::<Token>()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this version does not know the kind `team`; start the version that wrote it"
    );
}

async fn closing_finishes_what_was_submitted(medium: Medium) {
    let store = medium.open();
    let mut tasks = JoinSet::new();
    for number in 0..500 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut transaction = Transaction::default();
            transaction.create(Id::generate(), Team { name: number.to_string() }, now());
            match commit(&store, transaction).await {
                Ok(_) => true,
                Err(CommitError::Closed) => false,
                Err(other) => panic!("{other}"),
            }
        });
    }
    tokio::join!(store.close(), store.close());
    let done = tasks.join_all().await.into_iter().filter(|done| *done).count();
    // What was answered is there, and nothing else.
    assert_eq!(medium.open().snapshot().count::<Team>(), done);
}

async fn a_closed_store_says_so(medium: Medium) {
    let store = medium.open();
    team(&store, "red").await;
    store.close().await;
    store.close().await;
    let mut transaction = Transaction::default();
    transaction.create(Id::generate(), Team { name: "blue".to_owned() }, now());
    let refused = store.commit(transaction, actor()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store is closed");
    // Reading goes on.
    assert_eq!(store.snapshot().count::<Team>(), 1);
}

#[tokio::test]
async fn a_file_has_one_user() {
    let medium = Medium::sqlite();
    let path = medium.path().unwrap();
    let store = medium.open();
    let refused = Sqlite::open(&path, crate::harness::sealer()).unwrap_err();
    assert!(matches!(refused, BackendError::Locked { .. }), "{refused}");
    assert!(refused.to_string().ends_with("is used by another process; stop that one first"), "{refused}");
    store.close().await;
    medium.open();
}

#[tokio::test]
async fn a_forgotten_handle_releases_the_file() {
    let medium = Medium::sqlite();
    let store = medium.open();
    let mut watch = store.watch(None);
    team(&store, "red").await;
    drop(store);
    while watch.next().await.is_some() {}
    // The end of the watch is that of the writer; the file follows at once.
    for _ in 0..100 {
        if Sqlite::open(&medium.path().unwrap(), crate::harness::sealer()).is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the file is still locked");
}

#[tokio::test]
async fn sealed_documents_are_unreadable_at_rest() {
    let medium = Medium::sqlite();
    let path = medium.path().unwrap();
    let store = medium.open();
    let token: Object<Token> = create(&store, Token { value: Secret::new("correct horse".to_owned()) }).await;
    team(&store, "plainly visible").await;
    store.close().await;
    let content = std::fs::read(&path).unwrap();
    let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("plainly visible"));
    assert!(!holds("correct horse"));

    let other_key = Sqlite::open(&path, Sealer::new(&[1; 32])).unwrap();
    let refused = Store::open(other_key, registry()).unwrap_err();
    assert_eq!(refused.to_string(), format!("the document of token {} is sealed", token.id()));
    let OpenError::Backend(backend) = &refused else { panic!("{refused}") };
    let source = backend.source().unwrap().to_string();
    assert_eq!(source, "cannot be opened with this seal key; use the key file that belongs to this store");
    assert_eq!(get::<Token>(&medium.open(), token.id()), token);
}
