//! What HAProxy knows of its backends, asked at its socket (`show stat`, a table of comma-separated values).

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use freehold_types::service::{BackendState, Balancer, Endpoint};
use freehold_types::wire::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long it may take to answer, and how much it may say.
const PATIENCE: Duration = Duration::from_secs(1);
const LIMIT: u64 = 4 << 20;

/// The backends of TCP endpoints; of UDP ones nobody knows. Nothing while HAProxy does not answer.
pub(super) async fn backends(balancer: &Balancer, directory: &Path) -> Vec<BackendState> {
    let tcp = || balancer.endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp);
    if tcp().next().is_none() {
        return Vec::new();
    }
    let asked = tokio::time::timeout(PATIENCE, ask(directory)).await;
    // It may be starting; the next look tells.
    let Ok(Ok(table)) = asked else { return Vec::new() };
    let known = read(&table);
    tcp().flat_map(|endpoint| of_endpoint(endpoint, &known)).collect()
}

async fn ask(directory: &Path) -> std::io::Result<String> {
    // Names of sockets must be short, and the directory's may be long.
    let directory = std::fs::File::open(directory)?;
    let socket = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), super::haproxy::SOCKET);
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"show stat\n").await?;
    let mut table = String::new();
    stream.take(LIMIT).read_to_string(&mut table).await?;
    Ok(table)
}

/// By endpoint and backend: whether it is up, and how many connections it had.
fn read(table: &str) -> BTreeMap<(&str, &str), (bool, u64)> {
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let column = |name: &str| head.iter().position(|found| *found == name);
    let Some((status, total)) = column("status").zip(column("stot")) else { return BTreeMap::new() };
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let key = (*fields.first()?, *fields.get(1)?);
            // `UP`, or `UP 1/2` on its way down.
            let up = fields.get(status)?.starts_with("UP");
            Some((key, (up, fields.get(total)?.parse().unwrap_or(0))))
        })
        .collect()
}

fn of_endpoint<'a>(
    endpoint: &'a Endpoint,
    known: &'a BTreeMap<(&str, &str), (bool, u64)>,
) -> impl Iterator<Item = BackendState> + 'a {
    endpoint.backends.iter().map(move |address| {
        let found = known.get(&(endpoint.name.as_str(), address.to_string().as_str())).copied();
        let (healthy, connections) = found.unwrap_or((false, 0));
        BackendState { endpoint: endpoint.name.clone(), address: *address, healthy, connections }
    })
}
