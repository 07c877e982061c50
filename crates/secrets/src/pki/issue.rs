//! Makes keys and signs certificates.

use std::time::Duration;

use freehold_types::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};

use super::inventory::{Item, Purpose};
use super::store::Pair;
use crate::error::{Error, Result};

/// Clocks may be apart by this much.
const BACKDATED: Duration = Duration::from_mins(5);
const DAY: u64 = 86_400;

fn fault(item: &Item, fault: impl std::fmt::Display) -> Error {
    Error::Certificate { subject: item.name.clone(), fault: format!("it cannot be made: {fault}") }
}

/// Makes one. `key` is kept when it is given; `authority` signs, with the time in seconds when it ends.
pub(super) fn issue(
    item: &Item,
    key: Option<&Secret<String>>,
    authority: Option<(&Pair, u64)>,
    now: Timestamp,
) -> Result<Pair> {
    let key = match key {
        Some(pem) => KeyPair::from_pem(pem.expose()).map_err(|error| fault(item, error))?,
        None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| fault(item, error))?,
    };
    let private_key = Secret::new(key.serialize_pem());
    if item.purpose == Purpose::KeyPair {
        return Ok(Pair { certificate: key.public_key_pem(), private_key });
    }
    let parameters = parameters(item, now, authority.map(|(_, end)| end))?;
    let certificate = match authority {
        None => parameters.self_signed(&key),
        Some((pair, _)) => {
            let authority_key =
                KeyPair::from_pem(pair.private_key.expose()).map_err(|error| fault(item, error))?;
            let issuer = Issuer::from_ca_cert_pem(&pair.certificate, authority_key)
                .map_err(|error| fault(item, error))?;
            parameters.signed_by(&key, &issuer)
        }
    };
    Ok(Pair { certificate: certificate.map_err(|error| fault(item, error))?.pem(), private_key })
}

fn parameters(item: &Item, now: Timestamp, authority_end: Option<u64>) -> Result<CertificateParams> {
    let names: Vec<String> = item.names.iter().cloned().collect();
    let mut parameters = CertificateParams::new(names).map_err(|error| fault(item, error))?;
    parameters.subject_alt_names.extend(item.addresses.iter().map(|address| SanType::IpAddress(*address)));
    let mut subject = DistinguishedName::new();
    if let Some(organisation) = item.organisation {
        subject.push(DnType::OrganizationName, organisation);
    }
    subject.push(DnType::CommonName, item.common_name.as_str());
    parameters.distinguished_name = subject;
    let mut serial: [u8; 16] = rand::random();
    // Positive and of full length.
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from(serial.to_vec()));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let end = now.as_seconds() + u64::from(item.days) * DAY;
    parameters.not_before = epoch + Duration::from_secs(now.as_seconds()).saturating_sub(BACKDATED);
    // Nothing outlives who signed it.
    parameters.not_after = epoch + Duration::from_secs(authority_end.map_or(end, |last| end.min(last)));
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
    match item.purpose {
        Purpose::Authority => {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            parameters.key_usages.extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        }
        Purpose::Server => parameters.extended_key_usages = vec![server],
        Purpose::Client => parameters.extended_key_usages = vec![client],
        Purpose::Peer => parameters.extended_key_usages = vec![server, client],
        Purpose::KeyPair => {}
    }
    Ok(parameters)
}
