//! HAProxy: TCP, with active checks. Pure.

use std::fmt::Write as _;
use std::path::Path;

use freehold_types::service::Balancer;
use freehold_types::wire::Protocol;
use rustix::process::Signal;

use crate::host::services::daemon::Daemon;

/// Where it tells of its backends, in its directory.
pub(super) const SOCKET: &str = "haproxy.sock";

/// Renders its configuration.
pub(super) fn render(balancer: &Balancer) -> String {
    // Relative to its directory, since the names of sockets must be short.
    let mut text = format!(
        "global\n  log stdout format raw daemon notice\n  stats socket unix@{SOCKET} mode 600 level user expose-fd \
         listeners\n  hard-stop-after 12h\n\ndefaults\n  mode tcp\n  log global\n  option dontlognull\n  option redispatch\n  \
         option tcpka\n  retries 2\n  timeout connect 3s\n  timeout client 1h\n  timeout server 1h\n  timeout check 2s\n  \
         default-server check inter 1s fastinter 500ms downinter 1s fall 2 rise 2 on-marked-down shutdown-sessions\n"
    );
    let address = balancer.virtual_address.addr();
    for endpoint in balancer.endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp) {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\nlisten {}\n  bind {address}:{}\n  balance roundrobin",
            endpoint.name, endpoint.port
        );
        for backend in &endpoint.backends {
            let _ = writeln!(text, "  server {backend} {backend}");
        }
    }
    text
}

/// The daemon that does it: a master that starts a worker with each configuration, and lets the old one end its
/// connections.
pub(super) fn daemon(directory: &Path, namespace: &Path, configuration: &str) -> Daemon {
    Daemon {
        program: "haproxy",
        package: "haproxy",
        arguments: vec![
            "-W".to_owned(),
            "-db".to_owned(),
            "-f".to_owned(),
            directory.join("haproxy.conf").display().to_string(),
        ],
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &[],
        reloads: configuration.to_owned(),
        restarts: String::new(),
        reload: Signal::USR2,
    }
}
