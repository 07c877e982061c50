//! What strongSwan tells of its tunnels. Pure.

use std::collections::BTreeMap;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The other end is being asked.
    Connecting,
    /// Both ends know each other, but no packets pass.
    Established,
    /// Packets pass.
    Up,
}

/// Reads `swanctl --list-sas`: connections at the beginning of a line, what they carry two blanks further in.
pub(super) fn stages(text: &str) -> BTreeMap<String, Stage> {
    let mut stages = BTreeMap::new();
    let mut holder: Option<&str> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let Some((name, rest)) = line.trim().split_once(": #") else { continue };
        let state = |field: usize| rest.split(", ").nth(field).unwrap_or_default();
        let (name, stage) = match (depth, holder) {
            (0, _) => {
                holder = Some(name);
                let established = state(1) == "ESTABLISHED";
                (name, if established { Stage::Established } else { Stage::Connecting })
            }
            (2, Some(holder)) if rest.contains(", INSTALLED,") => (holder, Stage::Up),
            _ => continue,
        };
        let best: &mut Stage = stages.entry(name.to_owned()).or_insert(stage);
        *best = stage.max(*best);
    }
    stages
}

/// Words of the log, and what they mean for people; `None`: all is well again.
const MEANINGS: &[(&str, Option<&str>)] = &[
    ("AUTHENTICATION_FAILED", Some(WRONG_SECRET)),
    ("MAC mismatched", Some(WRONG_SECRET)),
    ("NO_PROPOSAL_CHOSEN", Some(ALGORITHMS)),
    ("no acceptable proposal found", Some(ALGORITHMS)),
    ("TS_UNACCEPTABLE", Some("the two ends do not name the same subnets")),
    ("INVALID_KE_PAYLOAD", Some(ALGORITHMS)),
    ("giving up after", Some(SILENT)),
    ("retransmit ", Some(SILENT)),
    ("established with SPIs", None),
];

const WRONG_SECRET: &str = "wrong pre-shared key: the two ends do not have the same, or the other end does not know this gateway by its address";
const ALGORITHMS: &str =
    "the other end accepts none of the algorithms: see that encryption, integrity and group are the same";
const SILENT: &str = "the other end does not answer";

/// Why a connection is not up, by the last line of the log that tells.
pub(super) fn reason(log: &str, name: &str) -> Option<&'static str> {
    let mark = format!("<{name}|");
    log.lines().rev().filter(|line| line.contains(&mark)).find_map(|line| {
        MEANINGS.iter().find(|(words, _)| line.contains(words)).map(|(_, meaning)| *meaning)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_up_when_it_carries_packets() {
        let text = "\
tunnel-a: #3, ESTABLISHED, IKEv2, 0d69_i* 9a_r
  local  '192.0.2.10' @ 192.0.2.10[4500]
  remote '192.0.2.66' @ 192.0.2.66[4500]
  AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256
  tunnel-a: #4, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA2_256_128
    installed 2s ago, rekeying in 3200s, expires in 3598s
tunnel-b: #1, CONNECTING, IKEv2, 0d69_i* 00_r
  active:  IKE_VENDOR IKE_INIT
tunnel-c: #9, ESTABLISHED, IKEv2, 0d69_i* 9a_r
  tunnel-c: #4, reqid 1, REKEYED, TUNNEL, ESP:AES_CBC-256
";
        let expected = [
            ("tunnel-a".to_owned(), Stage::Up),
            ("tunnel-b".to_owned(), Stage::Connecting),
            ("tunnel-c".to_owned(), Stage::Established),
        ];
        assert_eq!(stages(text), expected.into());
        assert!(stages("").is_empty());
    }

    #[test]
    fn the_last_that_went_wrong_is_told() {
        let log = "\
07[IKE] <tunnel-a|1> retransmit 1 of request with message ID 0
07[IKE] <tunnel-a|1> received AUTHENTICATION_FAILED notify error
09[IKE] <tunnel-b|1> received AUTHENTICATION_FAILED notify error
07[IKE] <tunnel-b|2> CHILD_SA tunnel-b{1} established with SPIs c1_i c2_o and TS 10.1.0.0/24 === 10.7.0.0/24
";
        assert!(reason(log, "tunnel-a").unwrap().contains("wrong pre-shared key"));
        assert_eq!(reason(log, "tunnel-b"), None);
        assert_eq!(reason(log, "tunnel-c"), None);
    }
}
