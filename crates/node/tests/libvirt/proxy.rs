//! A line to libvirtd that can be cut without stopping the daemon, which others may be using.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const DAEMON: &str = "/run/libvirt/libvirt-sock";

#[derive(Debug)]
pub(crate) struct Proxy {
    socket: PathBuf,
    lines: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl Proxy {
    /// Listens, and joins each caller with the daemon.
    pub(crate) fn listen(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let lines = Arc::new(Mutex::new(Some(Vec::new())));
        let open = Arc::clone(&lines);
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let mut open = open.lock().unwrap();
                let Some(lines) = open.as_mut() else { break };
                let caller = caller.unwrap();
                let daemon = UnixStream::connect(DAEMON).unwrap();
                for (mut from, mut to) in [
                    (caller.try_clone().unwrap(), daemon.try_clone().unwrap()),
                    (daemon.try_clone().unwrap(), caller.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                lines.extend([caller, daemon]);
            }
        });
        Self { socket: socket.to_owned(), lines }
    }

    /// Cuts every line, and listens no more.
    pub(crate) fn cut(self) {
        for line in self.lines.lock().unwrap().take().unwrap_or_default() {
            let _ = line.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which then sees that it is to end.
        let _ = UnixStream::connect(&self.socket);
        std::fs::remove_file(&self.socket).unwrap();
    }
}
