//! Reads certificates: when they end, and whether they are what the inventory says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;

use super::inventory::{Item, Purpose};
use super::store::Pair;
use crate::error::{Error, Result};

/// Calls `read` with a parsed certificate.
fn with<T>(name: &str, pem: &str, read: impl FnOnce(&X509Certificate<'_>) -> T) -> Result<T> {
    let fault = || Error::Certificate {
        subject: name.to_owned(),
        fault: "it cannot be read; remove it from the file of secrets to have a new one".to_owned(),
    };
    let (pem, _) = Pem::read(std::io::Cursor::new(pem)).map_err(|_| fault())?;
    let certificate = pem.parse_x509().map_err(|_| fault())?;
    Ok(read(&certificate))
}

/// When it ends, in seconds since 1970.
pub(super) fn end(name: &str, pair: &Pair) -> Result<u64> {
    with(name, &pair.certificate, |certificate| {
        u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default()
    })
}

/// What differs from the inventory, in words; `None` when nothing does.
pub(super) fn difference(item: &Item, pair: &Pair) -> Result<Option<&'static str>> {
    with(&item.name, &pair.certificate, |certificate| {
        let subject = certificate.subject();
        let one = |text: Option<&str>, wanted: Option<&str>| text == wanted;
        let common_name = subject.iter_common_name().next().and_then(|part| part.as_str().ok());
        let organisation = subject.iter_organization().next().and_then(|part| part.as_str().ok());
        if !one(common_name, Some(&item.common_name)) || !one(organisation, item.organisation) {
            return Some("its subject");
        }
        let (names, addresses) = alternatives(certificate);
        if names != item.names || addresses != item.addresses {
            return Some("its names or addresses");
        }
        let usage = certificate.extended_key_usage().ok().flatten().map(|usage| usage.value);
        let has = |server: bool, client: bool| {
            usage.is_some_and(|usage| usage.server_auth == server && usage.client_auth == client)
        };
        let is_fit = match item.purpose {
            Purpose::Authority => certificate.is_ca(),
            Purpose::Server => has(true, false),
            Purpose::Client => has(false, true),
            Purpose::Peer => has(true, true),
            Purpose::KeyPair => true,
        };
        (!is_fit).then_some("what it is for")
    })
}

fn alternatives(certificate: &X509Certificate<'_>) -> (BTreeSet<String>, BTreeSet<IpAddr>) {
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return (names, addresses) };
    for name in &extension.value.general_names {
        if let GeneralName::DNSName(name) = name {
            names.insert((*name).to_owned());
        } else if let GeneralName::IPAddress(bytes) = name {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            addresses.extend(address);
        }
    }
    (names, addresses)
}

/// Whether a certificate was signed with the key of an authority.
pub(super) fn is_signed_by(name: &str, pair: &Pair, authority_name: &str, authority: &Pair) -> Result<bool> {
    let (subject, own) = with(authority_name, &authority.certificate, |certificate| {
        (certificate.subject().as_raw().to_vec(), key_identifier(certificate, false))
    })?;
    with(name, &pair.certificate, |certificate| {
        certificate.issuer().as_raw() == subject && own.is_some() && key_identifier(certificate, true) == own
    })
}

fn key_identifier(certificate: &X509Certificate<'_>, of_authority: bool) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| {
        let parsed = extension.parsed_extension();
        if let (true, ParsedExtension::AuthorityKeyIdentifier(identifier)) = (of_authority, parsed) {
            identifier.key_identifier.as_ref().map(|identifier| identifier.0.to_vec())
        } else if let (false, ParsedExtension::SubjectKeyIdentifier(identifier)) = (of_authority, parsed) {
            Some(identifier.0.to_vec())
        } else {
            None
        }
    })
}
