//! Tunnels to foreign networks: strongSwan in the gateway's namespace.
//!
//! It runs on each instance, but knows the tunnels whose address is here now, so that a tunnel follows its
//! address. The others are reached by way of the instance that holds them ([`relays`]).
//!
//! *Guarantees:* a change of one tunnel leaves the others up; secrets are in one file that only root reads.

mod relays;
mod render;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use freehold_types::agent::ObjectKey;
use freehold_types::service::{Gateway, Tunnel, TunnelState};
use freehold_types::wire::StartAction;
use futures::future::join_all;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use self::state::Stage;
use crate::host::HostError;
use crate::host::services::NetworkServices;
use crate::host::services::daemon::{record_file, replace};
use crate::host::services::namespace::Namespace;

/// Its program, which needs no systemd.
const PROGRAM: &str = "charon-systemd";
/// What speaks to it.
const CLIENT: &str = "swanctl";
/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a tunnel that begins is waited for, so that the first report tells how it went.
const BEGINNING: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// How much of the log is read for reasons, and how long it may become.
const LOG_TAIL: u64 = 64 << 10;
const LOG_LIMIT: u64 = 4 << 20;

impl NetworkServices {
    /// Makes the tunnels of a gateway that holds some addresses.
    pub(super) async fn tunnels(
        &self,
        key: ObjectKey,
        gateway: &Gateway,
        directory: &Path,
        namespace: &Namespace,
        held: &BTreeSet<Ipv4Addr>,
    ) -> Result<Vec<TunnelState>, HostError> {
        relays::ensure(namespace, &relays::wanted(gateway, held)).await?;
        if gateway.tunnels.is_empty() {
            self.daemons.stop(directory, PROGRAM).await?;
            return Ok(Vec::new());
        }
        let settings = render::settings(&gateway.tunnels);
        replace(&directory.join(render::SETTINGS), settings.as_bytes())?;
        let daemon = render::daemon(directory, namespace.path(), &settings);
        self.daemons.ensure(key, &daemon).await?;
        let client = Client { directory };
        let here: Vec<&Tunnel> =
            gateway.tunnels.iter().filter(|tunnel| held.contains(&tunnel.local)).collect();
        let loaded = client.load(&here).await?;
        let stages = client.settle(&here, &loaded).await?;
        let log = client.log();
        let told = gateway.tunnels.iter().map(|tunnel| {
            let name = render::name(tunnel);
            let up = stages.get(&name) == Some(&Stage::Up);
            let reason = if up { String::new() } else { why(gateway, tunnel, held, &log) };
            TunnelState { id: tunnel.id, up, reason }
        });
        Ok(told.collect())
    }
}

/// Why a tunnel is not up, in words.
fn why(gateway: &Gateway, tunnel: &Tunnel, held: &BTreeSet<Ipv4Addr>, log: &str) -> String {
    if !held.contains(&tunnel.local) {
        let holder =
            if gateway.peers.is_empty() { "the gateway does not hold" } else { "another instance holds" };
        return format!("{holder} its address {}", tunnel.local);
    }
    let waits = match tunnel.start_action {
        StartAction::None => "it waits for the other end to begin",
        StartAction::Trap => "it waits for packets",
        StartAction::Start => "the other end is being asked",
    };
    state::reason(log, &render::name(tunnel)).unwrap_or(waits).to_owned()
}

/// What the daemon was told.
#[derive(Debug, PartialEq, Eq)]
enum Loaded {
    /// It knew everything.
    Nothing,
    /// Everything anew; these connections were up with what they had before, and were ended.
    Anew { changed: Vec<String> },
}

/// What is remembered of the daemon: which process it is, and a digest of each connection that it knows.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Known {
    process: String,
    connections: BTreeMap<String, String>,
}

/// The line to the daemon of a directory.
struct Client<'a> {
    directory: &'a Path,
}

impl Client<'_> {
    /// Tells it the connections, unless it knows them. One that changed does not go on with what it was before: an old
    /// key must not keep a tunnel up.
    async fn load(&self, here: &[&Tunnel]) -> Result<Loaded, HostError> {
        let connections = render::connections(here.iter().copied());
        replace(&self.directory.join("swanctl.conf"), connections.as_bytes())?;
        let file = self.directory.join("swanctl.loaded");
        // One that was started anew knows nothing.
        let process = std::fs::read_to_string(record_file(self.directory, PROGRAM)).unwrap_or_default();
        let digest = |tunnel: &&Tunnel| {
            let text = render::connections(std::iter::once(*tunnel));
            (render::name(tunnel), format!("{:x}", Sha256::digest(text)))
        };
        let wanted = Known { process, connections: here.iter().map(digest).collect() };
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let known: Known = serde_json::from_str(&text).unwrap_or_default();
        if known == wanted {
            return Ok(Loaded::Nothing);
        }
        let is_changed = |name: &&String| {
            let before = known.connections.get(*name);
            known.process == wanted.process
                && before.is_some_and(|before| before != &wanted.connections[*name])
        };
        let changed: Vec<String> = wanted.connections.keys().filter(is_changed).cloned().collect();
        let until = Instant::now() + PATIENCE;
        while !self.directory.join(render::SOCKET).exists() && Instant::now() < until {
            sleep(LOOK).await;
        }
        for name in &changed {
            self.end(name).await;
        }
        self.run(&["--load-all", "--clear", "--noprompt"]).await?;
        let text = serde_json::to_string(&wanted).map_err(|error| {
            HostError::Failed(format!("what strongSwan knows cannot be written: {error}"))
        })?;
        replace(&file, text.as_bytes())?;
        Ok(Loaded::Anew { changed })
    }

    /// Ends a connection with all that it carries; that it is gone by now is as good.
    async fn end(&self, name: &str) {
        let _ = self.run(&["--terminate", "--ike", name, "--force", "--timeout", "1"]).await;
    }

    /// Ends what it must not keep, begins what has to be, and waits a little for what begins.
    async fn settle(&self, here: &[&Tunnel], loaded: &Loaded) -> Result<BTreeMap<String, Stage>, HostError> {
        let names: BTreeMap<String, &Tunnel> =
            here.iter().map(|tunnel| (render::name(tunnel), *tunnel)).collect();
        let mut stages = state::stages(&self.run(&["--list-sas"]).await?);
        for name in stages.keys().filter(|name| !names.contains_key(*name)) {
            self.end(name).await;
        }
        let idle = names.iter().filter(|(name, tunnel)| {
            let asked = matches!(stages.get(*name), Some(Stage::Up | Stage::Connecting));
            // What is new to it, it begins by itself.
            let knew = match loaded {
                Loaded::Nothing => true,
                Loaded::Anew { changed } => changed.contains(*name),
            };
            tunnel.start_action == StartAction::Start && !asked && knew
        });
        // How that went is told by the log.
        join_all(idle.map(|(name, _)| self.begin(name))).await;
        let until = Instant::now() + BEGINNING;
        loop {
            stages = state::stages(&self.run(&["--list-sas"]).await?);
            let begins = |name: &String| stages.get(name) == Some(&Stage::Connecting);
            if !names.keys().any(begins) || Instant::now() > until {
                return Ok(stages);
            }
            sleep(LOOK).await;
        }
    }

    async fn begin(&self, name: &str) {
        let _ = self.run(&["--initiate", "--child", name, "--timeout", "2"]).await;
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, HostError> {
        let spawned = Command::new(CLIENT)
            .args(arguments)
            .args(["--uri", &format!("unix://{}", render::SOCKET)])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("STRONGSWAN_CONF", self.directory.join(render::SETTINGS))
            .env("SWANCTL_DIR", self.directory)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match timeout(PATIENCE, spawned).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
                return Err(HostError::Refused(
                    "swanctl is not installed: apt-get install strongswan-swanctl".to_owned(),
                ));
            }
            Ok(Err(error)) => return Err(HostError::Failed(format!("swanctl cannot be run: {error}"))),
            Err(_) => return Err(HostError::Failed("strongSwan does not answer to swanctl".to_owned())),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        // It complains of directories for certificates that nobody uses as well.
        let complaints: Vec<&str> =
            complaint.lines().filter(|line| !line.starts_with("opening directory")).collect();
        Err(HostError::Failed(format!(
            "strongSwan does not take `swanctl {}`: {}",
            arguments.first().unwrap_or(&""),
            complaints.join("; ")
        )))
    }

    /// The end of its log, which is begun anew when it is long.
    fn log(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::options().read(true).write(true).open(self.directory.join(render::LOG))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            if length > LOG_LIMIT {
                file.set_len(0)?;
            }
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}
