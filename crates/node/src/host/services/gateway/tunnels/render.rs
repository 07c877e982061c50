//! What strongSwan reads. Pure.

use std::fmt::Write as _;
use std::path::Path;

use freehold_types::service::{Proposal, Tunnel};
use freehold_types::wire::{DpdAction, EncryptionAlgorithm, IntegrityAlgorithm, StartAction};
use rustix::process::Signal;

use crate::host::services::daemon::Daemon;

/// Socket of its control, in its directory: it and its client are told by the name alone, since the path of a
/// socket has at most 107 bytes.
pub(super) const SOCKET: &str = "charon.vici";
pub(super) const LOG: &str = "charon-ike.log";
pub(super) const SETTINGS: &str = "strongswan.conf";

/// Plugins in the order in which they are asked: packets are transformed by the program itself, which works on
/// every kernel that has tun devices, and gives the packet filter an interface to go by.
const PLUGINS: &str =
    "random nonce aes sha1 sha2 hmac kdf openssl gmp kernel-libipsec kernel-netlink socket-default vici";

/// Seconds between questions whether the other end is there, at most and at least.
const ASK: (u64, u64) = (30, 5);
/// Time until an unanswered question counts as lost, as a multiple of the first wait (six waits, each 1.8 times the
/// one before).
const TRIES: u64 = 41;

/// Name of a tunnel's connection.
pub(super) fn name(tunnel: &Tunnel) -> String {
    format!("tunnel-{}", tunnel.id)
}

/// Settings of the daemon, which it reads at its start.
pub(super) fn settings(tunnels: &[Tunnel]) -> String {
    let least = tunnels.iter().map(|tunnel| tunnel.dpd_timeout).min().unwrap_or(240);
    let tenths = (least.saturating_sub(ask(least)) * 10 / TRIES).clamp(5, 40);
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!(
        "charon-systemd {{\n  load_modular = no\n  load = {PLUGINS}\n  retransmit_timeout = {whole}.{tenth}\n  \
         filelog {{\n    charon {{\n      path = {LOG}\n      default = 1\n      enc = 0\n      net = 0\n      \
         ike_name = yes\n      flush_line = yes\n    }}\n  }}\n  plugins {{\n    vici {{\n      \
         socket = unix://{SOCKET}\n    }}\n  }}\n}}\n"
    )
}

/// Seconds between questions, for a time after which the other end counts as dead.
fn ask(timeout: u64) -> u64 {
    (timeout / 8).clamp(ASK.1, ASK.0)
}

/// Connections and their secrets; only root may read this.
pub(super) fn connections<'a>(tunnels: impl Iterator<Item = &'a Tunnel> + Clone) -> String {
    let mut text = "connections {\n".to_owned();
    for tunnel in tunnels.clone() {
        connection(&mut text, tunnel);
    }
    text.push_str("}\nsecrets {\n");
    for tunnel in tunnels {
        // In hexadecimal digits no secret can end the text that it stands in.
        let secret = tunnel.secret.expose().bytes().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let _ = write!(
            text,
            "  ike-{} {{\n    id-1 = {}\n    id-2 = {}\n    secret = {secret}\n  }}\n",
            name(tunnel),
            tunnel.local,
            tunnel.remote
        );
    }
    text.push_str("}\n");
    text
}

fn connection(text: &mut String, tunnel: &Tunnel) {
    let name = name(tunnel);
    let (first, second) = (&tunnel.phase1, &tunnel.phase2);
    // Keys are made anew in time, without a break; a lifetime is a bound on that.
    let rekey = |lifetime: u64| tunnel.rekey_time.min(lifetime - lifetime / 10);
    let lines = [
        "version = 2".to_owned(),
        // The address says which instance holds the tunnel: it must not wander to another.
        "mobike = no".to_owned(),
        "keyingtries = 0".to_owned(),
        "unique = replace".to_owned(),
        format!("local_addrs = {}", tunnel.local),
        format!("remote_addrs = {}", tunnel.remote),
        format!("proposals = {}", proposal(first)),
        format!("rekey_time = {}s", rekey(first.lifetime)),
        format!("over_time = {}s", first.lifetime / 10),
        format!("dpd_delay = {}s", ask(tunnel.dpd_timeout)),
        format!("dpd_timeout = {}s", tunnel.dpd_timeout),
    ];
    let _ = writeln!(text, "  {name} {{");
    for line in lines {
        let _ = writeln!(text, "    {line}");
    }
    for (side, id) in [("local", tunnel.local), ("remote", tunnel.remote)] {
        let _ = writeln!(text, "    {side} {{\n      auth = psk\n      id = {id}\n    }}");
    }
    let child = [
        format!("local_ts = {}", tunnel.local_subnet),
        format!("remote_ts = {}", tunnel.remote_subnet),
        format!("esp_proposals = {}", proposal(second)),
        format!("life_time = {}s", second.lifetime),
        format!("rekey_time = {}s", rekey(second.lifetime)),
        format!("dpd_action = {}", dpd_action(tunnel.dpd_action)),
        format!("start_action = {}", start_action(tunnel.start_action)),
    ];
    let _ = writeln!(text, "    children {{\n      {name} {{");
    for line in child {
        let _ = writeln!(text, "        {line}");
    }
    text.push_str("      }\n    }\n  }\n");
}

const fn dpd_action(action: DpdAction) -> &'static str {
    match action {
        DpdAction::Clear => "clear",
        DpdAction::Trap => "trap",
        DpdAction::Restart => "restart",
    }
}

const fn start_action(action: StartAction) -> &'static str {
    match action {
        StartAction::None => "none",
        StartAction::Start => "start",
        StartAction::Trap => "trap",
    }
}

fn proposal(proposal: &Proposal) -> String {
    let encryption = match proposal.encryption {
        EncryptionAlgorithm::Aes128 => "aes128",
        EncryptionAlgorithm::Aes256 => "aes256",
        EncryptionAlgorithm::Camellia128 => "camellia128",
        EncryptionAlgorithm::Camellia256 => "camellia256",
    };
    let integrity = match proposal.integrity {
        IntegrityAlgorithm::Sha1 => "sha1",
        IntegrityAlgorithm::Sha256 => "sha256",
        IntegrityAlgorithm::Sha384 => "sha384",
        IntegrityAlgorithm::Sha512 => "sha512",
    };
    format!("{encryption}-{integrity}-{}", group(proposal.group))
}

/// The name of a Diffie-Hellman group (IANA, IKEv2 transform type 4).
const fn group(number: u8) -> &'static str {
    match number {
        2 => "modp1024",
        5 => "modp1536",
        15 => "modp3072",
        16 => "modp4096",
        17 => "modp6144",
        18 => "modp8192",
        19 => "ecp256",
        20 => "ecp384",
        21 => "ecp521",
        22 => "modp1024s160",
        23 => "modp2048s224",
        24 => "modp2048s256",
        // 14; others are refused where they are asked for.
        _ => "modp2048",
    }
}

/// The daemon that keeps tunnels.
pub(super) fn daemon(directory: &Path, namespace: &Path, settings: &str) -> Daemon {
    Daemon {
        program: super::PROGRAM,
        package: "charon-systemd libcharon-extra-plugins libstrongswan-standard-plugins",
        arguments: Vec::new(),
        environment: vec![("STRONGSWAN_CONF", directory.join(SETTINGS).display().to_string())],
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &[SOCKET],
        reloads: String::new(),
        restarts: settings.to_owned(),
        reload: Signal::HUP,
    }
}
