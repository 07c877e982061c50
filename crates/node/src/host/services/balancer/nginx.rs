//! nginx: UDP, whose backends are passed over for a while when they do not answer. Pure.

use std::fmt::Write as _;
use std::path::Path;

use freehold_types::service::Balancer;
use freehold_types::wire::Protocol;
use rustix::process::Signal;

use crate::host::services::daemon::Daemon;

/// Where Debian has the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Renders its configuration.
pub(super) fn render(balancer: &Balancer, directory: &Path) -> String {
    let mut text = format!(
        "load_module {MODULE};\ndaemon off;\nuser root;\nworker_processes 1;\npid {};\nerror_log stderr warn;\n\
         events {{ worker_connections 8192; }}\nstream {{\n  proxy_timeout 30s;\n  proxy_connect_timeout 1s;\n",
        directory.join("nginx.pid").display()
    );
    let address = balancer.virtual_address.addr();
    for endpoint in balancer.endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Udp) {
        let name = &endpoint.name;
        // Writing to a string does not fail.
        let _ = writeln!(text, "  upstream {name} {{");
        for backend in &endpoint.backends {
            let _ = writeln!(text, "    server {backend} max_fails=1 fail_timeout=5s;");
        }
        let _ = writeln!(
            text,
            "  }}\n  server {{\n    listen {address}:{} udp reuseport;\n    proxy_pass {name};\n  }}",
            endpoint.port
        );
    }
    text.push_str("}\n");
    text
}

/// The daemon that does it.
pub(super) fn daemon(directory: &Path, namespace: &Path, configuration: &str) -> Daemon {
    Daemon {
        program: "nginx",
        package: "nginx-light libnginx-mod-stream",
        arguments: vec![
            "-c".to_owned(),
            directory.join("nginx.conf").display().to_string(),
            "-e".to_owned(),
            "stderr".to_owned(),
        ],
        environment: Vec::new(),
        directory: directory.to_owned(),
        namespace: Some(namespace.to_owned()),
        pid_files: &["nginx.pid"],
        reloads: configuration.to_owned(),
        restarts: String::new(),
        reload: Signal::HUP,
    }
}
