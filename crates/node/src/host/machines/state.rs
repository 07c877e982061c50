//! What libvirt says of a domain, put into our words: the public texts, what decisions need, and the
//! marks that we left in its definition. Pure.

use virt::sys;

use super::plan::Life;
use super::xml::NAMESPACE;

/// What we wrote into a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: String,
    pub(super) definition: String,
    pub(super) hardware: String,
}

/// Our mark in a domain's definition; none when it is not ours, or is no XML.
pub(super) fn mark(xml: &str) -> Option<Mark> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let mark = document
        .root_element()
        .children()
        .find(|node| node.has_tag_name("metadata"))?
        .children()
        .find(|node| node.has_tag_name((NAMESPACE, "machine")))?;
    let attribute = |name| mark.attribute(name).map(str::to_owned);
    Some(Mark {
        id: attribute("id")?,
        definition: attribute("definition")?,
        hardware: attribute("hardware")?,
    })
}

/// Where the screen of a running domain is, as `vnc://host:port` or `spice://host:port`.
pub(super) fn screen(xml: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    document.descendants().filter(|node| node.has_tag_name("graphics")).find_map(|graphics| {
        let kind = graphics.attribute("type").filter(|kind| matches!(*kind, "vnc" | "spice"))?;
        let port: u16 = graphics.attribute("port")?.parse().ok().filter(|port| *port > 0)?;
        let listen = graphics
            .children()
            .find_map(|node| node.attribute("address"))
            .or_else(|| graphics.attribute("listen"))?;
        Some(if listen.contains(':') {
            format!("{kind}://[{listen}]:{port}")
        } else {
            format!("{kind}://{listen}:{port}")
        })
    })
}

/// What decisions need of a state and its reason.
pub(super) fn life(state: sys::virDomainState, reason: i32) -> Life {
    match state {
        sys::VIR_DOMAIN_PAUSED => Life::Paused,
        sys::VIR_DOMAIN_SHUTDOWN => Life::Stopping,
        sys::VIR_DOMAIN_SHUTOFF => {
            // One that went to another host runs there: here it is as if its guest had ended.
            let ended = [sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN, sys::VIR_DOMAIN_SHUTOFF_MIGRATED];
            Life::Off { by_guest: u32::try_from(reason).is_ok_and(|reason| ended.contains(&reason)) }
        }
        sys::VIR_DOMAIN_CRASHED => Life::Crashed,
        sys::VIR_DOMAIN_PMSUSPENDED => Life::Asleep,
        _ => Life::Running,
    }
}

/// The public texts of a state and its reason.
pub(super) fn texts(state: sys::virDomainState, reason: i32) -> (&'static str, &'static str) {
    let (state, reasons): (_, &[_]) = match state {
        sys::VIR_DOMAIN_RUNNING => ("Running", &RUNNING),
        sys::VIR_DOMAIN_BLOCKED => ("Blocked", &[]),
        sys::VIR_DOMAIN_PAUSED => ("Paused", &PAUSED),
        sys::VIR_DOMAIN_SHUTDOWN => ("Shutdown", &["Unknown", "User"]),
        sys::VIR_DOMAIN_SHUTOFF => ("Shutoff", &SHUTOFF),
        sys::VIR_DOMAIN_CRASHED => ("Crashed", &["Unknown", "Panicked"]),
        sys::VIR_DOMAIN_PMSUSPENDED => ("PM Suspended", &[]),
        _ => ("No State", &[]),
    };
    let reason = usize::try_from(reason).ok().and_then(|reason| reasons.get(reason)).copied();
    (state, reason.unwrap_or("Unknown"))
}

/// `virDomainRunningReason`.
const RUNNING: [&str; 12] = [
    "Unknown",
    "Booted",
    "Migrated",
    "Restored",
    "From Snapshot",
    "Unpaused",
    "Migration Cancelled",
    "Save Cancelled",
    "Wake Up",
    "Crashed",
    "Post Copy",
    "Post Copy Failed",
];

/// `virDomainPausedReason`.
const PAUSED: [&str; 14] = [
    "Unknown",
    "User",
    "Migration",
    "Save",
    "Dump",
    "I/O Error",
    "Watchdog",
    "From Snapshot",
    "Shutting Down",
    "Snapshot",
    "Crashed",
    "Starting Up",
    "Post Copy",
    "Post Copy Failed",
];

/// `virDomainShutoffReason`.
const SHUTOFF: [&str; 9] =
    ["Unknown", "Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed", "From Snapshot", "Daemon"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_public_contract() {
        assert_eq!(texts(sys::VIR_DOMAIN_RUNNING, 1), ("Running", "Booted"));
        assert_eq!(texts(sys::VIR_DOMAIN_PAUSED, 5), ("Paused", "I/O Error"));
        assert_eq!(texts(sys::VIR_DOMAIN_SHUTOFF, 8), ("Shutoff", "Daemon"));
        assert_eq!(texts(sys::VIR_DOMAIN_SHUTDOWN, 1), ("Shutdown", "User"));
        assert_eq!(texts(sys::VIR_DOMAIN_CRASHED, 1), ("Crashed", "Panicked"));
        assert_eq!(texts(sys::VIR_DOMAIN_PMSUSPENDED, 0), ("PM Suspended", "Unknown"));
        assert_eq!(texts(sys::VIR_DOMAIN_NOSTATE, 0), ("No State", "Unknown"));
        assert_eq!(texts(sys::VIR_DOMAIN_RUNNING, 99), ("Running", "Unknown"));
        assert_eq!(texts(sys::VIR_DOMAIN_RUNNING, -1), ("Running", "Unknown"));
    }

    #[test]
    fn only_an_orderly_end_is_the_guests_own() {
        let off = |reason| life(sys::VIR_DOMAIN_SHUTOFF, reason);
        assert_eq!(off(1), Life::Off { by_guest: true });
        assert_eq!(off(4), Life::Off { by_guest: true }, "it runs elsewhere");
        for reason in [0, 2, 3, 6, 8] {
            assert_eq!(off(reason), Life::Off { by_guest: false }, "{reason}");
        }
    }

    #[test]
    fn a_screen_is_found_where_it_listens() {
        let domain = |port, address| {
            format!(
                "<domain><devices><graphics type='vnc' port='{port}' autoport='yes' listen='{address}'>\
                 <listen type='address' address='{address}'/></graphics></devices></domain>"
            )
        };
        assert_eq!(screen(&domain(5901, "127.0.0.1")).as_deref(), Some("vnc://127.0.0.1:5901"));
        assert_eq!(screen(&domain(5901, "::1")).as_deref(), Some("vnc://[::1]:5901"));
        assert_eq!(screen(&domain(-1, "127.0.0.1")), None);
    }

    #[test]
    fn domains_of_others_bear_no_mark() {
        for xml in
            ["", "<domain/>", "<domain><metadata><a:machine xmlns:a='urn:other' id='1'/></metadata></domain>"]
        {
            assert_eq!(mark(xml), None, "{xml}");
        }
    }
}
