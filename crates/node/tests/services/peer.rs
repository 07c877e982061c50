//! IPsec with a peer that Freehold did not configure: a strongSwan set up by hand, with names and proposals of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use freehold_types::service::{Firewall, Gateway, TunnelState};
use freehold_types::wire::FirewallPolicy;
use freehold_types::wire::Protocol::Tcp;
use tempfile::TempDir;

use crate::namespace::Namespace;
use crate::site::{self, Server, Site, State, ask, attach, gateway};
use crate::tunnels::{tunnel, until, within};

/// ESP in user space: the kernel of a test need not have it.
const SETTINGS: &str = "charon-systemd {
  load_modular = no
  load = random nonce aes sha1 sha2 hmac kdf openssl gmp kernel-libipsec kernel-netlink socket-default vici
  plugins { vici { socket = unix://charon.vici } }
}
";

/// A branch with a network behind a strongSwan.
struct Branch {
    space: Namespace,
    directory: TempDir,
    daemon: Child,
}

impl Branch {
    fn new(site: &Site, secret: &str) -> Self {
        let space = Namespace::new();
        attach(&site.host, &space, "vm-p", "br-public", "192.0.2.20/24");
        space.ip("addr add 10.7.0.20/32 dev lo");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("strongswan.conf"), SETTINGS).unwrap();
        let daemon = start(&space, directory.path());
        let branch = Self { space, directory, daemon };
        branch.load(secret);
        branch
    }

    /// Loads what an administrator of the other side would have written.
    fn load(&self, secret: &str) {
        let text = format!(
            "connections {{
  head-office {{
    version = 2
    local_addrs = 192.0.2.20
    remote_addrs = 192.0.2.10
    proposals = aes256-sha256-ecp256,aes128-sha256-modp2048
    local {{ auth = psk
      id = 192.0.2.20 }}
    remote {{ auth = psk
      id = 192.0.2.10 }}
    children {{
      lan {{
        local_ts = 10.7.0.0/24
        remote_ts = 10.1.0.0/24
        esp_proposals = aes256-sha256-ecp256,aes128gcm16
      }}
    }}
  }}
}}
secrets {{
  ike-head-office {{
    id-1 = 192.0.2.10
    id-2 = 192.0.2.20
    secret = \"{secret}\"
  }}
}}
"
        );
        std::fs::write(self.directory.path().join("swanctl.conf"), text).unwrap();
        let loaded = on(&self.space, self.directory.path(), "swanctl")
            .args(["--load-all", "--clear", "--noprompt", "--uri", "unix://charon.vici"])
            .output()
            .unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// It dies, and comes back knowing nothing.
    fn restart(&mut self, secret: &str) {
        self.end();
        self.daemon = start(&self.space, self.directory.path());
        self.load(secret);
    }

    fn end(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.end();
    }
}

fn on(space: &Namespace, directory: &Path, program: &str) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &space.name, program])
        .env("STRONGSWAN_CONF", directory.join("strongswan.conf"))
        .env("SWANCTL_DIR", directory)
        .current_dir(directory);
    command
}

fn start(space: &Namespace, directory: &Path) -> Child {
    // One that died leaves its socket behind.
    let socket = directory.join("charon.vici");
    let _ = std::fs::remove_file(&socket);
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let daemon = on(space, directory, "charon-systemd")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("strongSwan must be installed");
    let begin = Instant::now();
    while !socket.exists() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the peer does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_to_a_peer_made_by_hand_survives_what_the_peer_does() {
    let (site, state) = (Site::new(), State::new());
    let services = site.services(&state);
    let mut branch = Branch::new(&site, "winter");
    let mut spec = gateway(0);
    spec.firewall = Firewall { egress_policy: FirewallPolicy::Accept, ..spec.firewall };
    let with = |secret: &str| {
        let mut tunnel = tunnel(secret);
        // Seconds, the least that the contract has sense for.
        tunnel.dpd_timeout = 10;
        vec![tunnel]
    };
    spec.tunnels = with("winter");
    let state_of =
        async |spec: &Gateway| -> TunnelState { site::ensure(&services, spec).await.tunnels.remove(0) };
    let _servers =
        [Server::new(&branch.space, Tcp, "10.7.0.20", 80), Server::new(&site.a, Tcp, "10.1.0.20", 80)];
    until("the tunnel", async || state_of(&spec).await.up.then_some(())).await;
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80).as_deref(), Some("10.1.0.20"));

    // Another key: at one end first, which says what is wrong, then at the other.
    spec.tunnels = with("summer");
    let reason = until("a reason", async || {
        let state = state_of(&spec).await;
        state.reason.contains("wrong pre-shared key").then_some(state.reason)
    })
    .await;
    println!("{reason}");
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80), None);
    branch.load("summer");
    until("the tunnel with its new key", async || state_of(&spec).await.up.then_some(())).await;
    assert_eq!(ask(&site.a, Tcp, "10.7.0.20", 80).as_deref(), Some("10.1.0.20"));

    // The peer is started anew: the tunnel comes back by itself.
    branch.restart("summer");
    let begin = Instant::now();
    // The least time for questions without an answer is half a minute.
    within(Duration::from_mins(1), "traffic after the peer's restart", async || {
        state_of(&spec).await;
        (ask(&site.a, Tcp, "10.7.0.20", 80).as_deref() == Some("10.1.0.20")).then_some(())
    })
    .await;
    println!("the peer was started anew: traffic again after {} ms", begin.elapsed().as_millis());
}
