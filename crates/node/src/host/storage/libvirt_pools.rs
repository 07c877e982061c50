//! Shows our directory pools to operators as libvirt pools, named `fh-` and the pool's id.
//!
//! This is for people with `virsh` alone: Freehold does not depend on it. So it happens beside the work
//! on volumes, on a thread of its own, and its failures are logged and never reported. A thread is idle
//! until something changes; changes in quick succession lead to one refresh. A pool that goes is taken out at once,
//! also when the node is stopping.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use freehold_types::Id;
use roxmltree::Document;
use virt::error::{Error, ErrorNumber};
use virt::storage_pool::StoragePool;

use super::libvirt::Connection;

/// How long to wait for further changes.
const GATHER: Duration = Duration::from_millis(200);

/// The way to the thread; dropping it ends the thread after the change under way.
#[derive(Debug)]
pub(super) struct LibvirtPools {
    wishes: Option<Sender<(Id, Wish)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// Defined, started and read anew.
    Shown(PathBuf),
    Gone,
}

impl LibvirtPools {
    pub(super) fn new(uri: Option<String>) -> Self {
        let wishes = uri.and_then(|uri| {
            let (sender, receiver) = channel();
            let spawned = std::thread::Builder::new()
                .name("libvirt-pools".to_owned())
                .spawn(move || run(&uri, &receiver));
            match spawned {
                Ok(_) => Some(sender),
                Err(error) => {
                    tracing::warn!(%error, "no thread for the pools of libvirt; virsh will not show them");
                    None
                }
            }
        });
        Self { wishes }
    }

    /// The pool exists, or something in it changed.
    pub(super) fn show(&self, id: Id, path: PathBuf) {
        self.send(id, Wish::Shown(path));
    }

    /// The pool is no more.
    pub(super) fn hide(&self, id: Id) {
        self.send(id, Wish::Gone);
    }

    fn send(&self, id: Id, wish: Wish) {
        if let Some(wishes) = &self.wishes {
            // The thread ends before its sender only by a fault, which is not worth failing for.
            let _ = wishes.send((id, wish));
        }
    }
}

fn run(uri: &str, wishes: &Receiver<(Id, Wish)>) {
    while let Ok((id, wish)) = wishes.recv() {
        let mut pools = BTreeMap::from([(id, wish)]);
        if gather(wishes, &mut pools) {
            // The node is stopping. The next one shows its pools when it sees them, but not one that is gone.
            pools.retain(|_, wish| *wish == Wish::Gone);
        }
        let connection = match Connection::open(uri) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(
                    uri,
                    error = error.message(),
                    "libvirt is not reachable; virsh may show old pools"
                );
                continue;
            }
        };
        for (id, wish) in pools {
            if let Err(error) = apply(&connection, id, &wish) {
                tracing::warn!(pool = %id, error = error.message(), "virsh will not show this pool as it is");
            }
        }
    }
}

/// Takes further wishes for a while, the last one of each pool; none for long when a pool is to go. Tells whether
/// there will be no more.
fn gather(wishes: &Receiver<(Id, Wish)>, pools: &mut BTreeMap<Id, Wish>) -> bool {
    let until = Instant::now() + GATHER;
    loop {
        let is_urgent = pools.values().any(|wish| *wish == Wish::Gone);
        let patience =
            if is_urgent { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
        match wishes.recv_timeout(patience) {
            Ok((id, wish)) => pools.insert(id, wish),
            Err(error) => return error == RecvTimeoutError::Disconnected,
        };
    }
}

fn apply(connection: &Connection, id: Id, wish: &Wish) -> Result<(), Error> {
    let name = format!("fh-{id}");
    let found = match StoragePool::lookup_by_name(connection.connect(), &name) {
        Ok(pool) => Some(pool),
        Err(error) if error.code() == ErrorNumber::NoStoragePool => None,
        Err(error) => return Err(error),
    };
    match (wish, found) {
        (Wish::Gone, None) => Ok(()),
        (Wish::Gone, Some(pool)) => forget(&pool),
        (Wish::Shown(path), found) => {
            let pool = match found {
                Some(pool) if target(&pool)? == Some(path.clone()) => pool,
                other => {
                    if let Some(pool) = other {
                        forget(&pool)?;
                    }
                    StoragePool::define_xml(connection.connect(), &render(&name, &path.to_string_lossy()), 0)?
                }
            };
            if pool.is_active()? {
                pool.refresh(0)?
            } else {
                pool.create(0)?
            };
            Ok(())
        }
    }
}

/// Takes the pool out of libvirt; its files stay.
fn forget(pool: &StoragePool) -> Result<(), Error> {
    if pool.is_active()? {
        pool.destroy()?;
    }
    if pool.is_persistent()? { pool.undefine() } else { Ok(()) }
}

fn target(pool: &StoragePool) -> Result<Option<PathBuf>, Error> {
    let xml = pool.get_xml_desc(0)?;
    Ok(Document::parse(&xml).ok().and_then(|document| {
        let target = document.descendants().find(|node| node.has_tag_name("target"))?;
        let path = target.children().find(|node| node.has_tag_name("path"))?;
        path.text().map(PathBuf::from)
    }))
}

fn render(name: &str, path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    let mut xml = String::new();
    let _ = write!(xml, "<pool type='dir'><name>{name}</name><target><path>{escaped}</path></target></pool>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopping_node_still_takes_out_what_is_gone() {
        let (sender, receiver) = channel();
        let [gone, shown] = [1, 2].map(Id::from_u64);
        sender.send((gone, Wish::Shown("/srv".into()))).unwrap();
        sender.send((gone, Wish::Gone)).unwrap();
        sender.send((shown, Wish::Shown("/srv".into()))).unwrap();
        drop(sender);
        let mut pools = BTreeMap::new();
        assert!(gather(&receiver, &mut pools));
        assert_eq!(pools[&gone], Wish::Gone);
        assert_eq!(pools[&shown], Wish::Shown("/srv".into()));
    }

    #[test]
    fn a_path_is_escaped() {
        let xml = render("fh-1", "/a & <b>");
        let document = Document::parse(&xml).unwrap();
        let path = document.descendants().find(|node| node.has_tag_name("path")).unwrap();
        assert_eq!(path.text(), Some("/a & <b>"));
    }
}
