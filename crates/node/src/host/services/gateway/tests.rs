use std::io::Write;
use std::process::{Command, Stdio};

use freehold_types::Id;
use freehold_types::net::Mac;
use freehold_types::service::{
    Firewall, Forward, Lease, Opening, PeeringRule, PublicAddress, Tunnel, {Pair, Peering, Proposal},
};
use freehold_types::wire::{
    DpdAction, EncryptionAlgorithm, FirewallPolicy, IntegrityAlgorithm, Protocol, StartAction,
};

use super::*;

fn mac(last: u8) -> Mac {
    Mac::new([0xda, 0x1e, 0x70, 0, 0, last])
}

fn opening(remote: &str, protocol: Protocol, ports: &str) -> Opening {
    Opening { remote: remote.parse().unwrap(), protocol, ports: ports.parse().unwrap() }
}

fn port(last: u8, address: Option<&str>) -> Port {
    let segment = Id::from_u64(u64::from(last));
    Port { segment, mac: mac(last), address: address.map(|address| address.parse().unwrap()) }
}

fn pair(vrid: u8, priority: u8, private: &str, public: &str) -> Pair {
    let (address, gateway) = (public.parse().unwrap(), "192.0.2.1".parse().unwrap());
    Pair {
        vrid,
        priority,
        private: private.parse().unwrap(),
        public: Some(PublicAddress { address, gateway }),
    }
}

fn peering(last: u8, third: u8, policy: FirewallPolicy) -> Peering {
    let rule = |protocol, ports: &str| PeeringRule { protocol, ports: ports.parse().unwrap() };
    Peering {
        port: port(last, Some(&format!("10.2.{third}.4/24"))),
        subnet: format!("10.2.{third}.0/24").parse().unwrap(),
        policy,
        ingress: vec![rule(Protocol::Tcp, "22")],
        egress: vec![rule(Protocol::Tcp, "111,2049"), rule(Protocol::Udp, "53")],
    }
}

fn tunnel() -> Tunnel {
    let phase = Proposal {
        lifetime: 3_600,
        group: 19,
        integrity: IntegrityAlgorithm::Sha256,
        encryption: EncryptionAlgorithm::Aes256,
    };
    Tunnel {
        id: Id::from_u64(9),
        name: "office".to_owned(),
        local: "192.0.2.10".parse().unwrap(),
        remote: "198.51.100.7".parse().unwrap(),
        local_subnet: "10.1.0.0/24".parse().unwrap(),
        remote_subnet: "172.16.0.0/24".parse().unwrap(),
        secret: freehold_types::Secret::new("correct horse".to_owned()),
        dpd_action: DpdAction::Restart,
        dpd_timeout: 240,
        start_action: StartAction::Start,
        rekey_time: 7_200,
        phase1: phase,
        phase2: phase,
        ingress: vec![opening("172.16.0.0/28", Protocol::Tcp, "5432")],
    }
}

/// Everything that a gateway can have.
pub(super) fn full() -> Gateway {
    Gateway {
        name: "shop".to_owned(),
        private: port(1, Some("10.1.0.10/24")),
        public: Some(port(2, None)),
        peerings: vec![peering(3, 1, FirewallPolicy::Drop), peering(4, 2, FirewallPolicy::Accept)],
        pairs: vec![
            pair(1, 150, "10.1.0.2/24", "192.0.2.10/24"),
            pair(2, 100, "10.1.0.3/24", "192.0.2.11/24"),
        ],
        peers: vec!["10.1.0.11".parse().unwrap(), "10.1.0.12".parse().unwrap()],
        firewall: Firewall {
            ingress: vec![
                opening("198.51.100.0/24", Protocol::Tcp, "22,8005-8020"),
                opening("0.0.0.0/0", Protocol::Udp, "51820"),
            ],
            egress_policy: FirewallPolicy::Drop,
            egress: vec![opening("203.0.113.0/24", Protocol::Tcp, "443")],
        },
        forwards: vec![
            Forward {
                to: "10.1.0.20".parse().unwrap(),
                protocol: Protocol::Tcp,
                ports: "80,443,8000-8010".parse().unwrap(),
            },
            Forward {
                to: "10.1.0.21".parse().unwrap(),
                protocol: Protocol::Udp,
                ports: "53".parse().unwrap(),
            },
        ],
        tunnels: vec![tunnel()],
        leases: vec![
            Lease {
                mac: mac(20),
                address: "10.1.0.20".parse().unwrap(),
                host: "web".to_owned(),
                router: "10.1.0.2".parse().unwrap(),
            },
            Lease {
                mac: mac(21),
                address: "10.1.0.21".parse().unwrap(),
                host: "dns".to_owned(),
                router: "10.1.0.3".parse().unwrap(),
            },
        ],
        resolvers: vec!["192.0.2.53".parse().unwrap()],
        domain: Some("shop.example.org".to_owned()),
    }
}

/// The least that a gateway can have: no world, no other instance.
fn least() -> Gateway {
    let mut gateway = Gateway { public: None, peerings: Vec::new(), peers: Vec::new(), ..full() };
    gateway.pairs = vec![Pair { public: None, ..gateway.pairs.remove(0) }];
    (gateway.forwards, gateway.tunnels, gateway.leases) = (Vec::new(), Vec::new(), Vec::new());
    (gateway.resolvers, gateway.domain) = (Vec::new(), None);
    gateway.firewall =
        Firewall { ingress: Vec::new(), egress_policy: FirewallPolicy::Accept, egress: Vec::new() };
    gateway
}

fn rules(gateway: &Gateway) -> String {
    ruleset::render(gateway, "10.1.0.0/24".parse().unwrap())
}

fn keepalived(gateway: &Gateway) -> String {
    vrrp::render(Id::from_u64(7), "10.1.0.10".parse().unwrap(), &gateway.peers, &instances(gateway))
}

fn dnsmasq(gateway: &Gateway) -> String {
    leases::render(gateway, "10.1.0.0/24".parse().unwrap(), 1_450, Path::new("/run/gateway"))
}

#[test]
fn what_is_rendered_is_what_people_see() {
    insta::assert_snapshot!("ruleset", rules(&full()));
    insta::assert_snapshot!("ruleset_least", rules(&least()));
    insta::assert_snapshot!("keepalived", keepalived(&full()));
    insta::assert_snapshot!("keepalived_least", keepalived(&least()));
    insta::assert_snapshot!("dnsmasq", dnsmasq(&full()));
    insta::assert_snapshot!("hosts", leases::hosts(&full()));
}

#[test]
fn nft_takes_the_rules() {
    for gateway in [full(), least()] {
        let mut nft = Command::new("nft")
            .args(["--check", "--file", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nftables must be installed");
        nft.stdin.take().unwrap().write_all(rules(&gateway).as_bytes()).unwrap();
        let output = nft.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn keepalived_takes_its_configuration() {
    for gateway in [full(), least()] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), keepalived(&gateway)).unwrap();
        // It looks for its interfaces.
        let check = "ip link add private type veth peer name public && exec keepalived --config-test --use-file=\"$0\"";
        let checked = Command::new("unshare").args(["--net", "sh", "-c", check]).arg(file.path()).output();
        let output = checked.expect("keepalived must be installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn dnsmasq_takes_its_configuration() {
    for gateway in [full(), least()] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dnsmasq.conf");
        let text = leases::render(&gateway, "10.1.0.0/24".parse().unwrap(), 1_450, directory.path());
        std::fs::write(&file, text).unwrap();
        std::fs::write(directory.path().join("hosts"), leases::hosts(&gateway)).unwrap();
        let checked =
            Command::new("dnsmasq").arg("--test").arg(format!("--conf-file={}", file.display())).output();
        let output = checked.expect("dnsmasq must be installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn no_secret_is_in_what_is_shown() {
    assert!(!rules(&full()).contains("horse") && !format!("{:?}", full()).contains("horse"));
}

#[test]
fn a_forwarded_port_that_an_opening_names_is_open_to_its_sources_only() {
    let text = rules(&full());
    assert!(text.contains("ip daddr 10.1.0.20 tcp dport 80 accept"));
    assert!(text.contains("ip saddr 198.51.100.0/24 ip daddr 10.1.0.20 tcp dport { 8005-8010 } accept"));
    assert!(!text.contains("ip daddr 10.1.0.20 tcp dport 8000-8010 accept"));
}
