//! The guard of machines' ports, against guests that speak in the name of others: what a neighbour on the same
//! bridge captures is what counts. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it fails")]

#[cfg(test)]
#[path = "network/namespace.rs"]
#[allow(dead_code, reason = "shared with the tests of segments")]
mod namespace;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use freehold_node::host::machines::ports;
use freehold_types::Id;
use freehold_types::agent::Nic;
use freehold_types::net::Mac;

use crate::namespace::Namespace;

/// Prints each frame that comes in, whoever it is for, as hexadecimal.
const CAPTURE: &str = "
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind(('eth0', 0))
print('ready', flush=True)
while True:
    frame, source = s.recvfrom(2048)
    if source[2] != 4:
        print(frame.hex(), flush=True)
";

/// Sends one frame, given as hexadecimal.
const SEND: &str = "
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
s.send(bytes.fromhex(sys.argv[1]))
";

/// A guest on the bridge: its port on the host has the name that libvirt would give it.
struct Guest {
    space: Namespace,
    nic: Nic,
}

impl Guest {
    fn new(host: &Namespace, last: u8) -> Self {
        let mac = Mac::new([0x52, 0x54, 0, 0, 9, last]);
        let (space, port) = (Namespace::new(), ports::port(mac));
        host.ip(&format!("link add {port} type veth peer name eth0 netns {}", space.name));
        host.ip(&format!("link set {port} master br0 up"));
        space.ip(&format!("link set eth0 address {mac} up"));
        let address = format!("10.9.0.{last}").parse().unwrap();
        space.ip(&format!("addr add {address}/24 dev eth0"));
        Self { space, nic: Nic { segment: Id::from_u64(1), mac, addresses: vec![address] } }
    }

    fn python(&self, program: &str, argument: &str) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &self.space.name, "python3", "-c", program, argument])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 must be installed")
    }

    /// Sends a frame as it stands.
    fn send(&self, frame: &str) {
        assert!(self.python(SEND, frame).wait().unwrap().success());
    }

    /// What comes in while something is done.
    fn captures(&self, act: impl FnOnce()) -> Vec<String> {
        use std::io::{BufRead, BufReader};
        let mut child = self.python(CAPTURE, "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        act();
        std::thread::sleep(Duration::from_millis(200));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).collect()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let texts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    texts.concat()
}

/// A frame of ARP that tells everybody who has an address.
fn announcement(source: &str, sender: &str, address: [u8; 4]) -> String {
    let address = hexadecimal(&address);
    format!("ffffffffffff{source}08060001080006040002{sender}{address}ffffffffffff{address}")
}

/// A frame with an empty UDP packet to everybody.
fn datagram(source: &str, from: [u8; 4], ports: [u16; 2]) -> String {
    let [sender, receiver] = ports;
    let mut header: Vec<u16> = vec![0x4500, 28, 0, 0, 0x4011, 0];
    header.extend([from[..2].try_into().unwrap(), from[2..].try_into().unwrap()].map(u16::from_be_bytes));
    header.extend([0xffff, 0xffff]);
    // The ones' complement sum of RFC 1071; a kernel that looks at bridged packets drops wrong ones.
    let sum = header.iter().fold(0_u32, |sum, word| sum + u32::from(*word));
    let sum = (sum & 0xffff) + (sum >> 16);
    header[5] = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header.extend([sender, receiver, 8, 0]);
    let words: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
    format!("ffffffffffff{source}0800{}", hexadecimal(&words))
}

#[test]
fn nobody_speaks_in_the_name_of_another() {
    let host = Namespace::new();
    host.ip("link add br0 type bridge");
    host.ip("link set br0 up");
    let (eve, bob, stranger) = (Guest::new(&host, 5), Guest::new(&host, 6), Guest::new(&host, 7));
    let guarded = [eve.nic.clone(), bob.nic.clone()];
    let guard = {
        let guarded = guarded.clone();
        move || guarded.iter().try_for_each(|nic| ports::guard(std::slice::from_ref(nic)))
    };
    host.inside(guard.clone()).unwrap();
    host.inside(guard).unwrap();

    // What is true gets through.
    assert!(eve.space.reaches(&bob.space, "10.9.0.6") && bob.space.reaches(&eve.space, "10.9.0.5"));
    let (own, other) = ("525400000905", "525400000906");
    let heard = |frame: &str| {
        let captured = bob.captures(|| eve.send(frame));
        captured.iter().any(|line| line.starts_with(frame))
    };
    for (frame, passes) in [
        (announcement(own, own, [10, 9, 0, 5]), true),
        (announcement(own, own, [0, 0, 0, 0]), true),
        // An address of somebody else, a hardware address of somebody else, inside and outside.
        (announcement(own, own, [10, 9, 0, 1]), false),
        (announcement(own, other, [10, 9, 0, 5]), false),
        (announcement(other, other, [10, 9, 0, 5]), false),
        (datagram(own, [10, 9, 0, 5], [1000, 2000]), true),
        (datagram(own, [10, 9, 0, 6], [1000, 2000]), false),
        (datagram(other, [10, 9, 0, 5], [1000, 2000]), false),
        // Asking for an address is allowed, giving addresses out is not.
        (datagram(own, [0, 0, 0, 0], [68, 67]), true),
        (datagram(own, [10, 9, 0, 5], [67, 68]), false),
        (datagram(own, [0, 0, 0, 0], [1000, 67]), false),
        // A tagged frame, and one of spanning tree.
        (format!("ffffffffffff{own}81000007{}", "00".repeat(46)), false),
        (format!("0180c2000000{own}0026424203{}", "00".repeat(43)), false),
    ] {
        assert_eq!(heard(&frame), passes, "{frame}");
    }
    // A port that nobody has guarded yet passes nothing.
    let silent = bob.captures(|| stranger.send(&announcement("525400000907", "525400000907", [10, 9, 0, 7])));
    assert!(!silent.iter().any(|line| line.contains("525400000907")), "{silent:?}");

    // With another address, only that one is its own; connections of others are not touched.
    let moved = Nic { addresses: vec!["10.9.0.9".parse().unwrap()], ..eve.nic.clone() };
    host.inside(move || ports::guard(&[moved])).unwrap();
    assert!(!heard(&datagram(own, [10, 9, 0, 5], [1000, 2000])));
    assert!(heard(&datagram(own, [10, 9, 0, 9], [1000, 2000])));

    // What goes leaves nothing, and can go twice.
    let release = move || ports::release(&guarded);
    host.inside(release.clone()).unwrap();
    host.inside(release).unwrap();
    let left =
        Command::new("ip").args(["netns", "exec", &host.name, "nft", "list", "ruleset"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    assert!(heard(&datagram(own, [10, 9, 0, 6], [1000, 2000])));
}
