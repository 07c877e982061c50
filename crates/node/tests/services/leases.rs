//! DHCP and names for machines, asked for as a machine does.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use freehold_node::host::Services;
use freehold_types::net::Mac;
use freehold_types::service::Lease;

use crate::namespace::Namespace;
use crate::site::{GATEWAY, Site, State, active, ensure, gateway, processes};

/// What a DHCP server offers.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    address: Ipv4Addr,
    router: Option<Ipv4Addr>,
    resolver: Option<Ipv4Addr>,
    mtu: Option<u16>,
}

fn lease(last: u8, host: &str) -> Lease {
    Lease {
        mac: Mac::new([0xda, 0x1e, 0x70, 9, 9, last]),
        address: Ipv4Addr::new(10, 1, 0, last),
        host: host.to_owned(),
        router: Ipv4Addr::new(10, 1, 0, 2),
    }
}

/// Asks for an address with a hardware address (RFC 2131): `None` when nobody offers one.
fn discover(machine: &Namespace, mac: Mac) -> Option<Offer> {
    const COOKIE: [u8; 4] = [99, 130, 83, 99];
    const TRANSACTION: [u8; 4] = [1, 2, 3, 4];
    let mut question = vec![0; 236];
    question[..3].copy_from_slice(&[1, 1, 6]);
    question[4..8].copy_from_slice(&TRANSACTION);
    // The answer is to be broadcast, since the address is not there yet.
    question[10] = 0x80;
    question[28..34].copy_from_slice(&mac.octets());
    question.extend(COOKIE);
    question.extend([53, 1, 1, 55, 3, 3, 6, 26, 255]);
    let answer = machine.inside(move || {
        let socket = UdpSocket::bind("0.0.0.0:68").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        socket.send_to(&question, "255.255.255.255:67").unwrap();
        let mut buffer = [0; 1_500];
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    })?;
    assert_eq!((answer[0], &answer[4..8], &answer[236..240]), (2, &TRANSACTION[..], &COOKIE[..]));
    let option = |wanted: u8| {
        let mut rest = &answer[240..];
        while let [code, length, tail @ ..] = rest {
            let (value, tail) = tail.split_at(usize::from(*length).min(tail.len()));
            if *code == wanted {
                return Some(value.to_vec());
            }
            rest = tail;
        }
        None
    };
    let address = |bytes: Vec<u8>| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap());
    Some(Offer {
        address: address(answer[16..20].to_vec()),
        router: option(3).map(address),
        resolver: option(6).map(address),
        mtu: option(26).map(|bytes| u16::from_be_bytes(bytes.try_into().unwrap())),
    })
}

/// Asks a resolver for the address of `a.example` (RFC 1035), and gives the last four bytes of what it answers.
fn resolve(machine: &Namespace, resolver: &str) -> Option<Ipv4Addr> {
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
    let target: SocketAddr = format!("{resolver}:53").parse().unwrap();
    machine.inside(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.send_to(&question, target).ok()?;
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).ok()?;
        let last: [u8; 4] = buffer[length.checked_sub(4)?..length].try_into().ok()?;
        (buffer[7] == 1).then(|| Ipv4Addr::from(last))
    })
}

/// A name server of the world, which answers one question with 203.0.113.5.
fn answer_once(world: &Namespace) -> std::thread::JoinHandle<()> {
    let socket = world.inside(|| UdpSocket::bind("198.51.100.1:53").unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let Ok((_, peer)) = socket.recv_from(&mut buffer) else { return };
        // The header and the question, which is 11 bytes of a name and 4 of what is asked.
        let mut answer = buffer[..12 + 11 + 4].to_vec();
        (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 5]);
        socket.send_to(&answer, peer).unwrap();
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_get_their_address_their_way_out_and_names() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut spec = gateway(0);
    spec.resolvers = vec!["198.51.100.1".parse().unwrap()];
    spec.leases = vec![lease(50, "web")];
    active(&services, &spec).await;
    let virtual_address = Some(Ipv4Addr::new(10, 1, 0, 2));
    let offer = |last| Offer {
        address: Ipv4Addr::new(10, 1, 0, last),
        router: virtual_address,
        resolver: virtual_address,
        mtu: Some(1_500),
    };
    let start = Instant::now();
    assert_eq!(discover(&site.a, lease(50, "").mac), Some(offer(50)));
    println!("an address is offered after {} ms", start.elapsed().as_millis());
    assert_eq!(discover(&site.a, lease(51, "").mac), None, "nobody knows this machine");
    // A machine more is known soon, and nothing else notices.
    let others = || processes(&state).into_iter().filter(|(name, _)| name != "dnsmasq").collect::<Vec<_>>();
    let before = others();
    spec.leases.push(lease(51, "db"));
    ensure(&services, &spec).await;
    assert_eq!(discover(&site.a, lease(51, "").mac), Some(offer(51)));
    assert_eq!(others(), before);
    // Names are asked for at the address that moves, and remembered.
    let server = answer_once(&site.world);
    assert_eq!(resolve(&site.a, "10.1.0.2"), Some(Ipv4Addr::new(203, 0, 113, 5)));
    server.join().unwrap();
    assert_eq!(resolve(&site.b, "10.1.0.2"), Some(Ipv4Addr::new(203, 0, 113, 5)));
    // Nobody in the world may ask.
    assert_eq!(resolve(&site.stranger, "192.0.2.10"), None);
    services.remove_gateway(GATEWAY).await.unwrap();
}
