use freehold_types::wire::{EncryptionAlgorithm, IntegrityAlgorithm};

use super::super::tests::full;
use super::*;

fn rendered(gateway: &Gateway) -> String {
    render::connections(gateway.tunnels.iter())
}

#[test]
fn what_strongswan_reads_is_what_people_see() {
    insta::assert_snapshot!("settings", render::settings(&full().tunnels));
    insta::assert_snapshot!("connections", rendered(&full()));
    insta::assert_snapshot!("connections_none", render::connections([].iter()));
}

#[test]
fn a_tunnel_goes_by_the_instance_that_holds_its_address() {
    let gateway = full();
    let held = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
    let subnet = gateway.tunnels[0].remote_subnet;
    let way = BTreeMap::from([(subnet, "10.1.0.2".parse().unwrap())]);
    assert_eq!(relays::wanted(&gateway, &held(&["10.1.0.3", "192.0.2.11"])), way);
    assert!(relays::wanted(&gateway, &held(&["10.1.0.2", "192.0.2.10"])).is_empty());
}

#[test]
fn no_secret_ends_the_text_that_it_stands_in() {
    let mut gateway = full();
    gateway.tunnels[0].secret = freehold_types::Secret::new("\"}\n#".to_owned());
    assert!(rendered(&gateway).contains("secret = 0x227d0a23\n"));
}

/// Loads every algorithm of the contract into the real daemon, for both phases.
#[tokio::test]
async fn strongswan_takes_every_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    let mut gateway = full();
    let template = gateway.tunnels.remove(0);
    let encryptions = [
        EncryptionAlgorithm::Aes128,
        EncryptionAlgorithm::Aes256,
        EncryptionAlgorithm::Camellia128,
        EncryptionAlgorithm::Camellia256,
    ];
    let integrities = [
        IntegrityAlgorithm::Sha1,
        IntegrityAlgorithm::Sha256,
        IntegrityAlgorithm::Sha384,
        IntegrityAlgorithm::Sha512,
    ];
    let groups = [2, 5].into_iter().chain(14..=24);
    for (number, group) in groups.enumerate() {
        let mut tunnel = template.clone();
        tunnel.id = freehold_types::Id::from_u64(number as u64);
        tunnel.start_action = StartAction::None;
        tunnel.phase1.group = group;
        tunnel.phase1.encryption = encryptions[number % encryptions.len()];
        tunnel.phase1.integrity = integrities[number / encryptions.len() % integrities.len()];
        tunnel.phase2 = tunnel.phase1;
        gateway.tunnels.push(tunnel);
    }
    let namespace = Namespace::new(directory.path());
    namespace.ensure(None).await.unwrap();
    let settings = render::settings(&gateway.tunnels);
    replace(&directory.path().join(render::SETTINGS), settings.as_bytes()).unwrap();
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let daemons = crate::host::services::daemon::Daemons::new(events);
    let key =
        ObjectKey { kind: freehold_types::agent::ObjectKind::Gateway, id: freehold_types::Id::from_u64(1) };
    daemons.ensure(key, &render::daemon(directory.path(), namespace.path(), &settings)).await.unwrap();
    let client = Client { directory: directory.path() };
    let tunnels: Vec<&Tunnel> = gateway.tunnels.iter().collect();
    let loaded = client.load(&tunnels).await;
    let again = client.load(&tunnels).await;
    let listed = client.run(&["--list-conns"]).await;
    daemons.stop(directory.path(), PROGRAM).await.unwrap();
    namespace.remove().unwrap();
    assert_eq!((loaded.unwrap(), again.unwrap()), (Loaded::Anew { changed: Vec::new() }, Loaded::Nothing));
    let listed = listed.unwrap();
    assert!(gateway.tunnels.iter().all(|tunnel| listed.contains(&render::name(tunnel))), "{listed}");
}
