//! Talks to libvirt about one machine: finds it, does what a plan says, removes it. All of it blocks.
//!
//! Promise: a domain without our mark for this very machine is never changed, whatever its name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use freehold_types::Id;
use freehold_types::agent::{MachineDetail, Nic, Power};
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::plan::{self, Action, Life, Target};
use super::ports;
use super::profile::Profile;
use super::remedy;
use super::state::{self, Mark};
use super::virt_sys::Session;
use super::xml::{self, Definition};
use crate::host::{HostError, MachineMemory, seed};

/// Everything that makes one machine, free of borrowed things so that it can move to a blocking thread.
pub(super) struct Order {
    pub(super) definition: Definition,
    pub(super) seed: Vec<u8>,
    pub(super) power: Power,
    pub(super) reboots: u64,
    pub(super) resets: u64,
    /// The guest was asked to shut down in order to be started again.
    pub(super) restarting: bool,
    /// Its disks, in order.
    pub(super) disks: Vec<Id>,
    pub(super) nics: Vec<Nic>,
}

/// A domain of ours, as far as a move goes.
pub(super) struct Found {
    pub(super) domain: Domain,
    pub(super) life: Life,
    /// It went to another host.
    pub(super) has_migrated: bool,
}

/// A domain of ours, and what is known of it.
struct Ours {
    domain: Domain,
    found: plan::Found,
    texts: (&'static str, &'static str),
}

impl Ours {
    fn detail(&self, restart_needed: bool) -> MachineDetail {
        MachineDetail { restart_needed, ..MachineDetail::new(self.texts.0, self.texts.1) }
    }
}

/// Libvirt's calls about one machine, with errors that name it.
pub(super) struct Hand {
    pub(super) session: Arc<Session>,
    pub(super) id: Id,
    pub(super) name: String,
}

impl Hand {
    /// The machine as it is; `None` when libvirt has none.
    pub(super) fn observe(&self) -> Result<Option<MachineDetail>, HostError> {
        let Some((ours, mark)) = self.find()? else { return Ok(None) };
        let stored = mark.map(|mark| mark.hardware);
        let active = ours.found.running_hardware.is_some();
        Ok(Some(ours.detail(active && ours.found.running_hardware != stored)))
    }

    /// Brings the machine to what is desired. The memory holds what was done, also when an error follows.
    pub(super) fn ensure(
        &self,
        order: &Order,
        profile: &Profile,
        memory: &mut MachineMemory,
        restarting: &mut bool,
    ) -> Result<MachineDetail, HostError> {
        let ours = self.find()?.map(|(ours, _)| ours);
        self.furnish(order, profile)?;
        let target = Target {
            definition: &order.definition.digest,
            hardware: &order.definition.hardware,
            power: order.power,
            reboots: order.reboots,
            resets: order.resets,
        };
        let plan = plan::plan(ours.as_ref().map(|ours| &ours.found), memory, target, order.restarting);
        *restarting = order.restarting;
        let mut domain = ours.map(|ours| ours.domain);
        if let Some(domain) = &domain {
            self.never_by_itself(domain)?;
        }
        // A machine that cannot be redefined can still be stopped.
        let mut undefinable = None;
        for action in plan.actions {
            if let Action::Remember(done) = action {
                *memory = done;
                *restarting &= memory.reboots != order.reboots;
                continue;
            }
            tracing::info!(machine = %self.id, name = self.name, "{}", deed(&action));
            if action == Action::Define {
                match (self.define(&order.definition, profile), &domain) {
                    (Ok(defined), _) => domain = Some(defined),
                    (Err(error), None) => return Err(error),
                    (Err(error), Some(_)) => undefinable = Some(error),
                }
                continue;
            }
            let starts = matches!(action, Action::Start | Action::StartPaused);
            if starts && let Some(error) = undefinable {
                return Err(error);
            }
            let domain = domain.as_ref().ok_or_else(|| self.vanished())?;
            self.act(domain, &action).map_err(|error| {
                if starts { self.with_remedy(error, &order.definition, profile) } else { error }
            })?;
            *restarting |= action == Action::AskRestart;
        }
        if let Some(error) = undefinable {
            return Err(error);
        }
        let (ours, _) = self.find()?.ok_or_else(|| self.vanished())?;
        Ok(ours.detail(plan.restart_needed && ours.found.running_hardware.is_some()))
    }

    /// Makes what a machine needs beside its disks and networks: what lies on disk, and the guard of its ports.
    pub(super) fn furnish(&self, order: &Order, profile: &Profile) -> Result<(), HostError> {
        ports::guard(&order.nics)?;
        seed::write(&profile.state_directory, self.id, &order.seed)
            .map_err(|error| self.failed("write its seed", &error))?;
        seed::make_passable(&profile.serial_directory())
            .map_err(|error| self.failed("make the directory of its serial log", &error))
    }

    /// The domain, for a move.
    pub(super) fn domain(&self) -> Result<Option<Found>, HostError> {
        let Some((ours, _)) = self.find()? else { return Ok(None) };
        let has_migrated = ours.texts == ("Shutoff", "Migrated");
        Ok(Some(Found { life: ours.found.life, domain: ours.domain, has_migrated }))
    }

    /// Stops it hard and removes all that was made for it.
    pub(super) fn remove(&self, profile: &Profile, nics: &[Nic]) -> Result<(), HostError> {
        if let Some((ours, _)) = self.find()? {
            if ours.found.running_hardware.is_some() {
                self.act(&ours.domain, &Action::Stop)?;
            }
            self.undefine(&ours.domain)?;
        }
        ports::release(nics)?;
        seed::remove(&profile.state_directory, self.id)
            .map_err(|error| self.failed("remove its seed", &error))?;
        remove_logs(profile, self.id).map_err(|error| self.failed("remove its serial log", &error))
    }

    /// Where the screen is.
    pub(super) fn console(&self) -> Result<String, HostError> {
        let absent = || HostError::Refused(format!("machine {} is not on this host", self.id));
        let (ours, _) = self.find()?.ok_or_else(absent)?;
        if ours.found.running_hardware.is_none() {
            return Err(HostError::Refused(format!(
                "machine {} is off: start it to see its screen",
                self.name
            )));
        }
        let live = self.described(&ours.domain, 0)?;
        state::screen(&live)
            .ok_or_else(|| HostError::Refused(format!("machine {} runs without a screen", self.name)))
    }

    /// The domain of this machine with the mark in its stored definition; an error when a domain of that
    /// name is not ours.
    fn find(&self) -> Result<Option<(Ours, Option<Mark>)>, HostError> {
        let name = xml::domain_name(self.id);
        let domain = match Domain::lookup_by_name(self.session.connect(), &name) {
            Ok(domain) => domain,
            Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(None),
            Err(error) => return Err(self.libvirt("be looked up", &error)),
        };
        let own = |xml: &str| state::mark(xml).filter(|mark| mark.id == self.id.to_string());
        let read = || -> Result<_, Error> {
            let (state, reason) = domain.get_state()?;
            let live = if domain.is_active()? { Some(domain.get_xml_desc(0)?) } else { None };
            let stored = if domain.is_persistent()? {
                Some(domain.get_xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?)
            } else {
                None
            };
            Ok((state, reason, live, stored))
        };
        let (state, reason, live, stored) = match read() {
            Ok(read) => read,
            // It went away between the questions.
            Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(None),
            Err(error) => return Err(self.libvirt("be read", &error)),
        };
        let active = live.is_some();
        let live = live.as_deref().and_then(own);
        let stored = stored.as_deref().and_then(own);
        if live.is_none() && stored.is_none() {
            return Err(HostError::Refused(format!(
                "libvirt has a domain {name} that Freehold did not make: rename or remove it (virsh domrename, virsh \
                 undefine), then the machine is made"
            )));
        }
        let found = plan::Found {
            definition: stored.as_ref().map(|mark| mark.definition.clone()),
            running_hardware: active.then(|| live.map(|mark| mark.hardware).unwrap_or_default()),
            life: state::life(state, reason),
        };
        Ok(Some((Ours { domain, found, texts: state::texts(state, reason) }, stored)))
    }

    fn define(&self, definition: &Definition, profile: &Profile) -> Result<Domain, HostError> {
        Domain::define_xml(self.session.connect(), &definition.xml).map_err(|error| {
            let failed = self.libvirt("be defined", &error);
            let failed = match (error.code(), failed) {
                (
                    ErrorNumber::ConfigUnsupported
                    | ErrorNumber::XmlError
                    | ErrorNumber::XmlDetail
                    | ErrorNumber::InvalidArg,
                    HostError::Failed(reason),
                ) => HostError::Refused(reason),
                (_, failed) => failed,
            };
            self.with_remedy(failed, definition, profile)
        })
    }

    /// Libvirt's own autostart knows nothing of targets, so a domain that someone gave it loses it.
    fn never_by_itself(&self, domain: &Domain) -> Result<(), HostError> {
        let clear = || {
            if domain.is_persistent()? && domain.get_autostart()? {
                domain.set_autostart(false)?;
            }
            Ok(())
        };
        clear().map_err(|error: Error| self.libvirt("be kept from starting by itself", &error))
    }

    fn act(&self, domain: &Domain, action: &Action) -> Result<(), HostError> {
        let outcome = match action {
            Action::Start => domain.create().map(drop),
            Action::StartPaused => domain.create_with_flags(sys::VIR_DOMAIN_START_PAUSED).map(drop),
            Action::Resume => domain.resume().map(drop),
            Action::Wake => domain.pm_wakeup(0).map(drop),
            Action::Pause => domain.suspend().map(drop),
            Action::AskShutdown | Action::AskRestart => domain.shutdown().map(drop),
            Action::Stop => domain.destroy(),
            Action::AskReboot => domain.reboot(0),
            Action::Reset => domain.reset().map(drop),
            Action::Define | Action::Remember(_) => Ok(()),
        };
        match outcome {
            Ok(()) => Ok(()),
            // It came to be off by itself meanwhile.
            Err(error) if *action == Action::Stop && error.code() == ErrorNumber::OperationInvalid => Ok(()),
            Err(error) => Err(self.libvirt(words(action), &error)),
        }
    }

    /// Takes the definition away with all that hangs on it. Libvirt before 8.9 does not know the flag for
    /// TPM state (and removes that state unasked).
    fn undefine(&self, domain: &Domain) -> Result<(), HostError> {
        let all = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | sys::VIR_DOMAIN_UNDEFINE_NVRAM;
        let outcome = match domain.undefine_flags(all | sys::VIR_DOMAIN_UNDEFINE_TPM) {
            Err(error) if error.code() == ErrorNumber::InvalidArg => domain.undefine_flags(all),
            outcome => outcome,
        };
        match outcome {
            // A transient domain went away when it stopped.
            Err(error) if error.code() != ErrorNumber::NoDomain => Err(self.libvirt("be undefined", &error)),
            _ => Ok(()),
        }
    }

    fn described(&self, domain: &Domain, flags: sys::virDomainXMLFlags) -> Result<String, HostError> {
        domain.get_xml_desc(flags).map_err(|error| self.libvirt("be read", &error))
    }

    pub(super) fn libvirt(&self, what: &str, error: &Error) -> HostError {
        HostError::Failed(format!("machine {} ({}) cannot {what}: {}", self.name, self.id, error.message()))
    }

    fn with_remedy(&self, error: HostError, definition: &Definition, profile: &Profile) -> HostError {
        let remedy = || remedy::find(&definition.needs, &self.session, profile);
        match error {
            HostError::Refused(reason) => HostError::Refused(reason + &remedy()),
            HostError::Failed(reason) => HostError::Failed(reason + &remedy()),
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> HostError {
        HostError::Failed(format!("machine {} ({}): cannot {what}: {error}", self.name, self.id))
    }

    pub(super) fn vanished(&self) -> HostError {
        HostError::Failed(format!(
            "machine {} ({}) vanished from libvirt while it was being made",
            self.name, self.id
        ))
    }
}

/// What cannot be done, for errors.
fn words(action: &Action) -> &'static str {
    match action {
        Action::Define => "be defined",
        Action::Start | Action::StartPaused => "start",
        Action::Resume => "resume",
        Action::Wake => "wake up",
        Action::Pause => "be paused",
        Action::AskShutdown | Action::AskRestart => "be asked to shut down",
        Action::Stop => "be stopped",
        Action::AskReboot => "be asked to reboot",
        Action::Reset => "be reset",
        Action::Remember(_) => "be remembered",
    }
}

/// What is being done, for the log.
fn deed(action: &Action) -> &'static str {
    match action {
        Action::Define => "defining",
        Action::Start => "starting",
        Action::StartPaused => "starting, paused",
        Action::Resume => "resuming",
        Action::Wake => "waking",
        Action::Pause => "pausing",
        Action::AskShutdown => "asking to shut down",
        Action::AskRestart => "asking to shut down, to start it with its new definition",
        Action::Stop => "stopping hard",
        Action::AskReboot => "asking to reboot",
        Action::Reset => "resetting",
        Action::Remember(_) => "remembering",
    }
}

/// Removes the serial log and the parts that virtlogd rotated away (`….log.0`, `….log.1`).
fn remove_logs(profile: &Profile, id: Id) -> io::Result<()> {
    let name = format!("{id}.log");
    let entries = match std::fs::read_dir(profile.serial_directory()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name();
        let part = Path::new(&file).to_str().and_then(|file| file.strip_prefix(&name));
        if part.is_some_and(|part| part.is_empty() || part.starts_with('.')) {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
