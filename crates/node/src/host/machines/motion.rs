//! Moves of machines between hosts.
//!
//! Libvirt moves them, daemon to daemon, with the disks that the other host does not see. A machine that is to
//! be cold is shut down, started again without running a single instruction, and moved in that state: so its disks
//! go the same way, over the same connection, and what arrives boots when it is resumed.
//!
//! Promises: of a move one side alone ever runs the guest; a move that failed leaves the machine here as it was,
//! and is not tried again under the same id; a node that was ended in the middle finds out what libvirt made
//! of it. All of it blocks.

use std::time::{Duration, Instant};

use freehold_types::agent::{Departure, Landing, MachineDetail, Outcome, Outgoing};
use virt::domain::{Domain, MigrateParameters};
use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::apply::{Found, Hand, Order};
use super::devices;
use super::plan::Life;
use super::profile::Profile;
use super::xml;
use crate::host::storage::libvirt::Connection;
use crate::host::{HostError, MachineMemory};

/// How long a guest that was asked to shut down has before it is cut off; the contract's.
const SHUTDOWN: Duration = Duration::from_mins(1);
/// How often libvirt is asked how far it is, where it has no event for it.
const POLL: Duration = Duration::from_millis(500);

/// State and reason of a machine that is expected, in the manner of the contract's texts.
const EXPECTED: (&str, &str) = ("No State", "Migration");

impl Hand {
    /// Makes what a machine that comes needs besides its disks and networks.
    pub(super) fn receive(&self, order: &Order, profile: &Profile) -> Result<MachineDetail, HostError> {
        self.furnish(order, profile)?;
        let arrived = self.observe()?;
        Ok(arrived.unwrap_or_else(|| MachineDetail::new(EXPECTED.0, EXPECTED.1)))
    }

    /// Sends the machine away, once. What came of it is in the memory and in the answer.
    pub(super) fn send(
        &self,
        outgoing: &Outgoing,
        order: &Order,
        profile: &Profile,
        memory: &mut MachineMemory,
    ) -> Result<MachineDetail, HostError> {
        let departure = match memory.departure.take().filter(|done| done.id == outgoing.id) {
            Some(done) => done,
            None => Departure { id: outgoing.id, outcome: self.depart(outgoing, order, profile)? },
        };
        memory.departure = Some(departure.clone());
        let detail = self.observe()?.unwrap_or_else(|| MachineDetail::new("Shutoff", "Migrated"));
        Ok(MachineDetail { departure: Some(departure), ..detail })
    }

    /// # Errors
    /// When libvirt cannot be asked, so that nothing is known; a move that failed is an outcome.
    fn depart(&self, outgoing: &Outgoing, order: &Order, profile: &Profile) -> Result<Outcome, HostError> {
        let Some(mut found) = self.domain()? else {
            return Ok(stayed("it is not on this host, so there is nothing to move"));
        };
        if is_moving(&found.domain) {
            self.wait_for_job(&found.domain);
            found = self.domain()?.ok_or_else(|| self.vanished())?;
        }
        if found.has_migrated {
            return Ok(Outcome::Left);
        }
        let is_off = |life| matches!(life, Life::Off { .. } | Life::Crashed);
        // One that is off may have gone before this host lost its memory of that, and must then not start here.
        if is_off(found.life) && self.is_there(&outgoing.landing)? {
            return Ok(Outcome::Left);
        }
        let frozen = !outgoing.live || is_off(found.life);
        if frozen && let Err(error) = self.freeze(&found) {
            return Ok(self.recover(&found.domain, outgoing, error.to_string()));
        }
        match self.migrate(&found.domain, outgoing, order, profile) {
            Ok(()) => Ok(Outcome::Left),
            // It may have gone over all the same, and then must not start here.
            Err(_) if self.domain()?.is_some_and(|found| found.has_migrated) => Ok(Outcome::Left),
            Err(error) => {
                let reason =
                    format!("libvirt could not move it to {}: {}", outgoing.landing.uri, error.message());
                tracing::warn!(machine = %self.id, name = self.name, reason, "the machine stays");
                Ok(if frozen { self.recover(&found.domain, outgoing, reason) } else { stayed(reason) })
            }
        }
    }

    /// Whether the machine is on the other host, and not only about to come there.
    ///
    /// # Errors
    /// When that host's libvirt cannot be asked.
    fn is_there(&self, landing: &Landing) -> Result<bool, HostError> {
        let ask = || {
            let connection = Connection::open(&landing.uri)?;
            let domain = match Domain::lookup_by_name(connection.connect(), &xml::domain_name(self.id)) {
                Ok(domain) => domain,
                Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(false),
                Err(error) => return Err(error),
            };
            let (state, reason) = domain.get_state()?;
            let arrives = [sys::VIR_DOMAIN_PAUSED_MIGRATION, sys::VIR_DOMAIN_PAUSED_STARTING_UP];
            let waits = state == sys::VIR_DOMAIN_PAUSED
                && u32::try_from(reason).is_ok_and(|reason| arrives.contains(&reason));
            Ok(domain.is_active()? && !waits)
        };
        ask().map_err(|error: Error| {
            HostError::Failed(format!(
                "machine {} ({}) is off, and {} cannot be asked whether it went there before: {}",
                self.name,
                self.id,
                landing.uri,
                error.message()
            ))
        })
    }

    /// Brings it to a start that runs no instruction.
    fn freeze(&self, found: &Found) -> Result<(), HostError> {
        let domain = &found.domain;
        match found.life {
            // The controller asks no machine to leave cold that its user has paused: this is our own doing.
            Life::Paused => return Ok(()),
            Life::Running | Life::Asleep | Life::Stopping => self.shut_down(domain)?,
            Life::Crashed => domain.destroy().map_err(|error| self.libvirt("be stopped", &error))?,
            Life::Off { .. } => {}
        }
        domain
            .create_with_flags(sys::VIR_DOMAIN_START_PAUSED)
            .map(drop)
            .map_err(|error| self.libvirt("be started, frozen, for its move", &error))
    }

    /// Asks the guest to shut down, and cuts it off when it does not.
    fn shut_down(&self, domain: &Domain) -> Result<(), HostError> {
        tracing::info!(machine = %self.id, name = self.name, "asking to shut down, to move it");
        // A guest that hears nothing is cut off below.
        if let Err(error) = domain.shutdown() {
            tracing::debug!(machine = %self.id, error = error.message(), "cannot be asked to shut down");
        }
        let deadline = Instant::now() + SHUTDOWN;
        let active = || domain.is_active().map_err(|error| self.libvirt("be read", &error));
        while active()? {
            if Instant::now() >= deadline {
                domain.destroy().map_err(|error| self.libvirt("be stopped", &error))?;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn migrate(
        &self,
        domain: &Domain,
        outgoing: &Outgoing,
        order: &Order,
        profile: &Profile,
    ) -> Result<(), Error> {
        let landing = &outgoing.landing;
        let xml = domain.get_xml_desc(sys::VIR_DOMAIN_XML_MIGRATABLE | sys::VIR_DOMAIN_XML_SECURE)?;
        let copied = |(_, disk): &(usize, &freehold_types::Id)| outgoing.copies.contains(disk);
        let disks: Vec<String> = order
            .disks
            .iter()
            .enumerate()
            .filter(copied)
            .map(|(position, _)| devices::target("vd", position))
            .collect();
        let mut flags = sys::VIR_MIGRATE_LIVE
            | sys::VIR_MIGRATE_PEER2PEER
            | sys::VIR_MIGRATE_AUTO_CONVERGE
            | sys::VIR_MIGRATE_ABORT_ON_ERROR;
        if !disks.is_empty() {
            flags |= sys::VIR_MIGRATE_NON_SHARED_DISK;
        }
        // What keeps the daemons' words private keeps memory and disks private too.
        if landing.uri.starts_with("qemu+tls:") {
            flags |= sys::VIR_MIGRATE_TLS;
        }
        let address = address_of(&landing.uri);
        let parameters = MigrateParameters {
            dest_xml: Some(relocate(&xml, profile, landing)),
            uri: address.map(|address| format!("tcp://{address}")),
            listen_address: address
                .map(|address| address.trim_matches(['[', ']']))
                .filter(|address| address.parse::<std::net::IpAddr>().is_ok())
                .map(str::to_owned),
            migrate_disks: disks,
            ..MigrateParameters::default()
        };
        tracing::info!(machine = %self.id, name = self.name, to = landing.uri, "moving it");
        domain.migrate_to_uri3(Some(&landing.uri), parameters, flags)
    }

    /// After a move that failed: takes away the frozen start, and starts it anew if it ran.
    fn recover(&self, domain: &Domain, outgoing: &Outgoing, reason: String) -> Outcome {
        // Where it was not started, there is nothing to stop.
        if let Err(error) = domain.destroy() {
            tracing::debug!(machine = %self.id, error = error.message(), "nothing to stop after a failed move");
        }
        if outgoing.restart
            && let Err(error) = domain.create()
        {
            return stayed(format!("{reason}; and it could not be started again: {}", error.message()));
        }
        stayed(reason)
    }

    fn wait_for_job(&self, domain: &Domain) {
        tracing::info!(machine = %self.id, name = self.name, "waiting for a move that began before this node");
        while is_moving(domain) {
            std::thread::sleep(POLL);
        }
    }
}

/// Whether libvirt is moving it already.
fn is_moving(domain: &Domain) -> bool {
    let job = domain.get_job_info();
    job.is_ok_and(|job| u32::try_from(job.r#type).is_ok_and(|kind| kind != sys::VIR_DOMAIN_JOB_NONE))
}

fn stayed(reason: impl Into<String>) -> Outcome {
    Outcome::Stayed { reason: reason.into() }
}

/// The host in a libvirt URI, as written: `qemu+tls://HOST[:PORT]/system`.
fn address_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.find(']') {
        Some(end) => host.get(..=end)?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// The definition as it must be on the other host: its seed and serial log lie in that node's directory, and its
/// screen listens on an address of that host.
fn relocate(xml: &str, profile: &Profile, landing: &Landing) -> String {
    let own = profile.state_directory.display().to_string();
    let xml = xml.replace(
        &format!("='{}/", escaped(own.trim_end_matches('/'))),
        &format!("='{}/", escaped(landing.directory.trim_end_matches('/'))),
    );
    let (here, there) = (profile.display_listen, landing.display_listen);
    let Some((start, end)) = xml.find("<graphics ").zip(xml.find("</graphics>")).filter(|(s, e)| s < e)
    else {
        return xml;
    };
    let (before, rest) = xml.split_at(start);
    let (screen, after) = rest.split_at(end - start);
    let screen = ["listen", "address"].iter().fold(screen.to_owned(), |screen, attribute| {
        screen.replace(&format!("{attribute}='{here}'"), &format!("{attribute}='{there}'"))
    });
    format!("{before}{screen}{after}")
}

/// A path as libvirt writes it into an attribute.
fn escaped(path: &str) -> String {
    path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::PathBuf;

    use super::super::profile::{Accelerator, Architecture, Display};
    use super::*;

    #[test]
    fn the_address_of_a_libvirt_is_found_in_its_uri() {
        for (uri, address) in [
            ("qemu+tls://host2.example.org/system", Some("host2.example.org")),
            ("qemu+tls://192.0.2.7:16514/system?no_verify=0", Some("192.0.2.7")),
            ("qemu+ssh://root@[2001:db8::7]:22/system", Some("[2001:db8::7]")),
            ("qemu:///system", None),
            ("nonsense", None),
        ] {
            assert_eq!(address_of(uri), address, "{uri}");
        }
    }

    #[test]
    fn only_what_lies_elsewhere_changes_on_the_way() {
        let profile = Profile {
            architecture: Architecture::X86_64,
            accelerator: Accelerator::Tcg,
            display: Display::Vnc,
            display_listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            state_directory: PathBuf::from("/srv/o'ne"),
        };
        let landing = Landing {
            uri: "qemu+tls://b/system".to_owned(),
            directory: "/srv/two".to_owned(),
            display_listen: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
        };
        let xml = "<domain><source file='/srv/o&apos;ne/seeds/1.iso'/><source file='/srv/o&apos;ne-b/x'/>\
                   <address='127.0.0.1'/><graphics type='vnc' listen='127.0.0.1'>\
                   <listen type='address' address='127.0.0.1'/></graphics></domain>";
        assert_eq!(
            relocate(xml, &profile, &landing),
            "<domain><source file='/srv/two/seeds/1.iso'/><source file='/srv/o&apos;ne-b/x'/>\
             <address='127.0.0.1'/><graphics type='vnc' listen='192.0.2.2'>\
             <listen type='address' address='192.0.2.2'/></graphics></domain>"
        );
    }
}
