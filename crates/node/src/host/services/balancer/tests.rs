use std::path::Path;
use std::process::Command;

use freehold_types::Id;
use freehold_types::net::Mac;
use freehold_types::service::{Endpoint, Port};

use super::*;

fn balancer() -> Balancer {
    let endpoint = |name: &str, protocol, port: u16, backends: &[&str]| Endpoint {
        name: name.to_owned(),
        protocol,
        port,
        backends: backends.iter().map(|backend| backend.parse().unwrap()).collect(),
    };
    Balancer {
        name: "front".to_owned(),
        private: Port {
            segment: Id::from_u64(1),
            mac: Mac::new([0xda, 0x1e, 0x70, 0, 0, 1]),
            address: Some("10.1.0.30/24".parse().unwrap()),
        },
        virtual_address: "10.1.0.40/24".parse().unwrap(),
        vrid: 9,
        priority: 150,
        peers: vec!["10.1.0.31".parse().unwrap()],
        router: Some("10.1.0.2".parse().unwrap()),
        endpoints: vec![
            endpoint("web", Protocol::Tcp, 80, &["10.1.0.20:8080", "10.1.0.21:8080"]),
            endpoint("names", Protocol::Udp, 53, &["10.1.0.20:53"]),
        ],
    }
}

#[test]
fn what_is_rendered_is_what_people_see() {
    let directory = Path::new("/run/balancer");
    insta::assert_snapshot!("haproxy", haproxy::render(&balancer()));
    insta::assert_snapshot!("nginx", nginx::render(&balancer(), directory));
    insta::assert_snapshot!("rules", rules(&balancer()));
}

#[test]
fn the_proxies_take_their_configurations() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let tcp = file("haproxy.conf", haproxy::render(&balancer()));
    let checked = Command::new("haproxy")
        .current_dir(directory.path())
        .arg("-c")
        .arg("-f")
        .arg(tcp)
        .output()
        .expect("haproxy must be installed");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let udp = file("nginx.conf", nginx::render(&balancer(), directory.path()));
    let checked = Command::new("nginx").arg("-t").arg("-e").arg("stderr").arg("-c").arg(udp).output();
    let checked = checked.expect("nginx must be installed");
    // It would listen at once, for which the address is missing here.
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(told.contains("syntax is ok"), "{told}");
}
