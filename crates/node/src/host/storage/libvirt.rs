//! What storage asks of libvirt: which running machines use a volume, and to tell them of a new size.
//!
//! Each question opens a connection of its own, since such questions are rare. When libvirt cannot be
//! reached the answer is an error and never "nobody", so that a volume in use is not removed.

use freehold_types::Id;
use roxmltree::Document;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt::sys;

use super::blocking;
use crate::host::HostError;

/// Prefix of the names of our machines in libvirt.
const PREFIX: &str = "fh-";

/// The libvirt of this host, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Libvirt {
    uri: Option<String>,
}

/// An open connection, closed when dropped.
pub(in crate::host) struct Connection(Connect);

impl Connection {
    /// Connects. Blocks.
    pub(in crate::host) fn open(uri: &str) -> Result<Self, virt::error::Error> {
        // Otherwise libvirt writes each error to standard error as well.
        virt::error::clear_error_callback();
        Connect::open(Some(uri)).map(Self)
    }

    pub(in crate::host) const fn connect(&self) -> &Connect {
        &self.0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Err(error) = self.0.close() {
            tracing::debug!(error = error.message(), "libvirt connection did not close in good order");
        }
    }
}

impl Libvirt {
    pub(super) const fn new(uri: Option<String>) -> Self {
        Self { uri }
    }

    /// Names of the running machines that use the volume.
    pub(super) async fn users(&self, volume: Id) -> Result<Vec<String>, HostError> {
        let Some(uri) = self.uri.clone() else { return Ok(Vec::new()) };
        blocking(move || {
            let connection = connect(&uri)?;
            let uses = uses(&connection, volume)?;
            Ok(uses.into_iter().map(|used| used.machine).collect())
        })
        .await?
    }

    /// Grows the volume through the machine of ours that runs with it; false when none does.
    pub(super) async fn grow(&self, volume: Id, bytes: u64) -> Result<bool, HostError> {
        let Some(uri) = self.uri.clone() else { return Ok(false) };
        blocking(move || {
            let connection = connect(&uri)?;
            let Some(used) = uses(&connection, volume)?.into_iter().next() else { return Ok(false) };
            if !used.machine.starts_with(PREFIX) {
                return Err(HostError::Failed(format!(
                    "volume {volume} is used by machine {}, which is not of Freehold: detach it there",
                    used.machine
                )));
            }
            used.domain.block_resize(&used.target, bytes, sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES).map_err(
                |error| {
                    HostError::Failed(format!(
                        "machine {} does not take the new size of volume {volume}: {}",
                        used.machine,
                        error.message()
                    ))
                },
            )?;
            Ok(true)
        })
        .await?
    }
}

fn connect(uri: &str) -> Result<Connection, HostError> {
    Connection::open(uri).map_err(|error| {
        HostError::Failed(format!(
            "libvirt at {uri} cannot be asked which machines use a volume ({}): see that libvirtd runs",
            error.message()
        ))
    })
}

/// A running machine and the disk of it that is a volume.
struct Use {
    domain: Domain,
    machine: String,
    target: String,
}

fn uses(connection: &Connection, volume: Id) -> Result<Vec<Use>, HostError> {
    let failed = |error: virt::error::Error| {
        HostError::Failed(format!("libvirt does not say which machines use a volume: {}", error.message()))
    };
    let domains =
        connection.connect().list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE).map_err(failed)?;
    let mut uses = Vec::new();
    for domain in domains {
        let xml = match domain.get_xml_desc(0) {
            Ok(xml) => xml,
            // A machine that ended meanwhile uses nothing any more.
            Err(error) if error.code() == ErrorNumber::NoDomain => continue,
            Err(error) => return Err(failed(error)),
        };
        let machine = domain.get_name().map_err(failed)?;
        if let Some(target) = target_of(&xml, volume) {
            uses.push(Use { domain, machine, target });
        }
    }
    Ok(uses)
}

/// The device name of the disk that is the volume's file. The file's name decides, since it holds the
/// id, and directories can be written in more than one way.
fn target_of(xml: &str, volume: Id) -> Option<String> {
    let file = format!("{volume}.qcow2");
    let document = Document::parse(xml).ok()?;
    let disks = document.descendants().filter(|node| node.has_tag_name("disk"));
    disks
        .filter(|disk| {
            disk.children()
                .filter(|node| node.has_tag_name("source"))
                .filter_map(|source| source.attribute("file"))
                .any(|path| path.rsplit('/').next() == Some(file.as_str()))
        })
        .find_map(|disk| disk.children().find(|node| node.has_tag_name("target"))?.attribute("dev"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_of_a_volume_is_found_by_the_name_of_its_file() {
        let xml = "<domain><devices>\
            <disk type='file' device='cdrom'><source file='/seed.iso'/><target dev='sda'/></disk>\
            <disk type='file' device='disk'>\
              <source file='/pool//000000000000000000000007.qcow2' index='1'/>\
              <backingStore><source file='/pool/images/000000000000000000000009.qcow2'/></backingStore>\
              <target dev='vdb'/></disk>\
            </devices></domain>";
        assert_eq!(target_of(xml, Id::from_u64(7)).as_deref(), Some("vdb"));
        assert_eq!(target_of(xml, Id::from_u64(9)), None);
        assert_eq!(target_of("<domain", Id::from_u64(7)), None);
    }
}
