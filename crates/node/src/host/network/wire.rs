//! The line to the kernel: a netlink connection in the right network namespace, and errors in words.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use nix::sched::{CloneFlags, setns};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Error, Handle};
use tokio::task::JoinSet;

use crate::host::HostError;

/// A connection for one call; dropping it closes it.
pub(in crate::host) struct Wire {
    pub(in crate::host) handle: Handle,
    namespace: Option<PathBuf>,
    /// The task that moves messages, ended with the connection.
    _pump: JoinSet<()>,
}

impl Wire {
    pub(in crate::host) async fn open(namespace: Option<&Path>) -> Result<Self, HostError> {
        let runtime = tokio::runtime::Handle::current();
        let opened = within(namespace, move || {
            // The socket joins the reactor of the runtime when it is made.
            let _guard = runtime.enter();
            rtnetlink::new_connection()
        })
        .await?;
        let (connection, handle, _) = opened
            .map_err(|error| HostError::Failed(format!("no netlink connection to the kernel: {error}")))?;
        let mut pump = JoinSet::new();
        pump.spawn(connection);
        Ok(Self { handle, namespace: namespace.map(Path::to_owned), _pump: pump })
    }

    /// Runs work on the files of the kernel, which depend on the namespace of the thread.
    pub(in crate::host) async fn files<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HostError> {
        within(self.namespace.as_deref(), act).await
    }

    /// Sends a message that no wrapper of the netlink crate covers, and waits for its acknowledgement.
    pub(in crate::host) async fn request(
        &self,
        message: NetlinkMessage<RouteNetlinkMessage>,
    ) -> Result<(), Error> {
        let mut answers = self.handle.clone().request(message)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload
                && error.code.is_some()
            {
                return Err(Error::NetlinkError(error));
            }
        }
        Ok(())
    }
}

/// Runs work that blocks, on a thread in the namespace.
pub(in crate::host) async fn within<T: Send + 'static>(
    namespace: Option<&Path>,
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    let Some(path) = namespace.map(Path::to_owned) else {
        return tokio::task::spawn_blocking(act)
            .await
            .map_err(|error| HostError::Failed(format!("work on the network was cut off: {error}")));
    };
    isolated(move || {
        File::open(&path)
            .and_then(|file| setns(file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from))
            .map_err(|error| {
                HostError::Failed(format!("network namespace {} cannot be entered: {error}", path.display()))
            })?;
        Ok(act())
    })
    .await?
}

/// Runs work on a thread of its own, which may change its namespace since it ends after the work.
pub(in crate::host) async fn isolated<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("network-namespace".to_owned())
        .spawn(move || {
            // Nobody waits any more when the call was dropped.
            let _ = done.send(act());
        })
        .map_err(|error| HostError::Failed(format!("no thread for a network namespace: {error}")))?;
    result.await.map_err(|_| HostError::Failed("work in a network namespace was cut off".to_owned()))
}

/// What the kernel answered, where it is an error of its own.
pub(in crate::host) fn errno(error: &Error) -> Option<io::Error> {
    if let Error::NetlinkError(message) = error { Some(message.to_io()) } else { None }
}

/// An error of netlink in words, without the wrapping.
pub(in crate::host) fn describe(error: &Error) -> String {
    errno(error).map_or_else(|| error.to_string(), |error| error.to_string())
}
