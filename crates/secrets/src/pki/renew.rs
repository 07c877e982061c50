//! Which certificates are to be made, and when the others end.

use std::fmt;

use freehold_types::Timestamp;

use super::inventory::{Item, Purpose};
use super::store::{Pair, Store};
use super::{issue, read};
use crate::error::{Error, Result};

const DAY: u64 = 86_400;

/// What is renewed beyond what is missing or not as it should be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Those that end within so many days.
    pub within_days: u32,
    /// These, in any case.
    pub names: Vec<String>,
    /// These authorities. Without this no authority is made anew.
    pub authorities: Vec<String>,
    /// Renewed certificates keep their keys.
    pub keep_keys: bool,
}

/// Why a certificate was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There was none.
    Missing,
    /// It ends, or has ended.
    Ending,
    /// This is not as the inventory says.
    Different(&'static str),
    /// Its authority has a new key.
    Authority,
    /// It was asked for.
    Asked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Ending => f.write_str("ends soon"),
            Self::Different(what) => write!(f, "{what} changed"),
            Self::Authority => f.write_str("its authority has a new key"),
            Self::Asked => f.write_str("asked for"),
        }
    }
}

/// The store afterwards.
#[derive(Debug)]
pub struct Renewed {
    /// All certificates.
    pub store: Store,
    /// Those that were made, with the reason.
    pub made: Vec<(String, Reason)>,
    /// Authorities that end within the days asked for, and were left alone.
    pub ending_authorities: Vec<String>,
    /// Certificates that nothing asks for any more; they are kept.
    pub unused: Vec<String>,
}

/// Makes what is missing, ends soon, differs from the inventory, or was asked for.
///
/// # Errors
/// An authority that is lost while certificates of it are there is made only when named: everything that trusts it
/// has to be told.
pub fn renew(inventory: &[Item], store: &Store, options: &Options, now: Timestamp) -> Result<Renewed> {
    check_names(inventory, options)?;
    let mut renewed = Renewed {
        store: store.clone(),
        made: Vec::new(),
        ending_authorities: Vec::new(),
        unused: store
            .0
            .keys()
            .filter(|name| !inventory.iter().any(|item| &item.name == *name))
            .cloned()
            .collect(),
    };
    for item in inventory {
        let current = renewed.store.0.get(&item.name);
        let reason = match item.purpose {
            Purpose::Authority => authority_reason(item, current, inventory, options, store)?,
            Purpose::KeyPair => pair_reason(item, current, options),
            Purpose::Server | Purpose::Client | Purpose::Peer => {
                leaf_reason(item, current, options, &renewed.store, now)?
            }
        };
        if let (Purpose::Authority, None, Some(pair)) = (item.purpose, reason, current)
            && is_ending(read::end(&item.name, pair)?, options.within_days, now)
        {
            renewed.ending_authorities.push(item.name.clone());
        }
        let Some(reason) = reason else { continue };
        let key = current.filter(|_| options.keep_keys).map(|pair| &pair.private_key);
        let authority = match item.authority {
            None => None,
            Some(name) => {
                let pair = renewed.store.0.get(name).ok_or_else(|| Error::Certificate {
                    subject: item.name.clone(),
                    fault: format!("its authority {name} is missing"),
                })?;
                let end = read::end(name, pair)?;
                if end <= now.as_seconds() {
                    return Err(Error::Certificate {
                        subject: name.to_owned(),
                        fault: format!(
                            "it has ended, and cannot sign {}; renew it with `--authority {name}`",
                            item.name
                        ),
                    });
                }
                Some((pair, end))
            }
        };
        // A pair of keys without its key is another pair.
        let key = key.filter(|_| item.purpose != Purpose::KeyPair);
        let pair = issue::issue(item, key, authority, now)?;
        renewed.store.0.insert(item.name.clone(), pair);
        renewed.made.push((item.name.clone(), reason));
    }
    Ok(renewed)
}

fn check_names(inventory: &[Item], options: &Options) -> Result<()> {
    for name in options.names.iter().chain(&options.authorities) {
        let Some(item) = inventory.iter().find(|item| &item.name == name) else {
            return Err(Error::Certificate {
                subject: name.clone(),
                fault: "there is no such certificate in the inventory; `freehold secrets certificates` lists them".to_owned(),
            });
        };
        if options.names.contains(name) && item.purpose == Purpose::Authority {
            return Err(Error::Certificate {
                subject: name.clone(),
                fault: format!(
                    "it is an authority; all that trusts it is concerned. If you mean it: `--authority {name}`"
                ),
            });
        }
        if options.authorities.contains(name) && item.purpose != Purpose::Authority {
            return Err(Error::Certificate {
                subject: name.clone(),
                fault: "it is no authority; use `--renew`".to_owned(),
            });
        }
    }
    Ok(())
}

fn authority_reason(
    item: &Item,
    current: Option<&Pair>,
    inventory: &[Item],
    options: &Options,
    store: &Store,
) -> Result<Option<Reason>> {
    let is_asked = options.authorities.contains(&item.name);
    let has_children = inventory
        .iter()
        .any(|child| child.authority == Some(item.name.as_str()) && store.0.contains_key(&child.name));
    match (current, is_asked) {
        (_, true) => Ok(Some(if current.is_some() { Reason::Asked } else { Reason::Missing })),
        (None, false) if has_children => Err(Error::Certificate {
            subject: item.name.clone(),
            fault: format!(
                "the authority is lost, but certificates of it are there; restore it from version control, or make a new \
                 one for all of them with `--authority {}`",
                item.name
            ),
        }),
        (None, false) => Ok(Some(Reason::Missing)),
        (Some(_), false) => Ok(None),
    }
}

fn pair_reason(item: &Item, current: Option<&Pair>, options: &Options) -> Option<Reason> {
    match current {
        None => Some(Reason::Missing),
        Some(_) => options.names.contains(&item.name).then_some(Reason::Asked),
    }
}

fn leaf_reason(
    item: &Item,
    current: Option<&Pair>,
    options: &Options,
    store: &Store,
    now: Timestamp,
) -> Result<Option<Reason>> {
    let Some(pair) = current else { return Ok(Some(Reason::Missing)) };
    if options.names.contains(&item.name) {
        return Ok(Some(Reason::Asked));
    }
    if let Some((name, authority)) = item.authority.and_then(|name| store.0.get_key_value(name))
        && !read::is_signed_by(&item.name, pair, name, authority)?
    {
        return Ok(Some(Reason::Authority));
    }
    if let Some(what) = read::difference(item, pair)? {
        return Ok(Some(Reason::Different(what)));
    }
    Ok(is_ending(read::end(&item.name, pair)?, options.within_days, now).then_some(Reason::Ending))
}

fn is_ending(end: u64, within_days: u32, now: Timestamp) -> bool {
    end <= now.as_seconds() + u64::from(within_days) * DAY
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Fine.
    Valid,
    /// Ends within the days asked for.
    Ending,
    /// Has ended.
    Ended,
    /// Is not there.
    Missing,
    /// Is not what the inventory says.
    Different,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Missing => "missing",
            Self::Different => "different",
        })
    }
}

/// A line of the report.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Who signs it.
    pub authority: Option<&'static str>,
    /// How it stands.
    pub state: State,
    /// When it ends, in seconds since 1970; pairs of keys do not end.
    pub end: Option<u64>,
    /// Whole days until then; negative when it has ended.
    pub days: Option<i64>,
}

/// All certificates of an inventory, in its order.
pub fn report(inventory: &[Item], store: &Store, within_days: u32, now: Timestamp) -> Result<Vec<Row>> {
    let row = |item: &Item| {
        let mut row = Row {
            name: item.name.clone(),
            authority: item.authority,
            state: State::Missing,
            end: None,
            days: None,
        };
        let Some(pair) = store.0.get(&item.name) else { return Ok(row) };
        if item.purpose == Purpose::KeyPair {
            row.state = State::Valid;
            return Ok(row);
        }
        let end = read::end(&item.name, pair)?;
        let left =
            i64::try_from(end).unwrap_or(i64::MAX) - i64::try_from(now.as_seconds()).unwrap_or(i64::MAX);
        row.end = Some(end);
        row.days = Some(left.div_euclid(86_400));
        let options = Options { within_days: 0, ..Options::default() };
        let is_different = item.purpose != Purpose::Authority
            && matches!(
                leaf_reason(item, Some(pair), &options, store, now)?,
                Some(Reason::Different(_) | Reason::Authority)
            );
        row.state = if left <= 0 {
            State::Ended
        } else if is_different {
            State::Different
        } else if is_ending(end, within_days, now) {
            State::Ending
        } else {
            State::Valid
        };
        Ok(row)
    };
    inventory.iter().map(row).collect()
}
