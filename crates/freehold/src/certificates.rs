//! A certificate authority of one's own, and the controller's certificate from it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::extensions::GeneralName;

use crate::files;
use crate::home::Home;

/// Makes the authority, unless it is there, and the controller's certificate, unless the one that is there is
/// good for this address.
pub(crate) fn ensure(home: &Home, listen: IpAddr) -> Result<()> {
    files::make_directory(&home.tls(), 0o711)?;
    let has_authority = home.ca_file().exists() && home.ca_key().exists();
    let names = names(listen);
    if has_authority && home.certificate_key().exists() && home.certificate().exists() {
        let certificate = files::read(&home.certificate())?;
        if covers(&certificate, &names).with_context(|| damaged(&home.certificate()))? {
            return Ok(());
        }
    }
    let key = if has_authority {
        KeyPair::from_pem(&files::read(&home.ca_key())?).with_context(|| damaged(&home.ca_key()))?
    } else {
        let (authority, key) = authority()?;
        write_pair(&home.ca_file(), &authority.pem(), &home.ca_key(), &key)?;
        key
    };
    let issuer = Issuer::new(authority_parameters()?, key);
    let server_key = KeyPair::generate().context("a key cannot be made")?;
    let server = server_parameters(names)?
        .signed_by(&server_key, &issuer)
        .context("the controller's certificate cannot be signed")?;
    write_pair(&home.certificate(), &server.pem(), &home.certificate_key(), &server_key)
}

fn damaged(path: &Path) -> String {
    format!("{} is damaged; restore it from a backup, or remove it to have a new one", path.display())
}

/// What the controller is called: the address listened on, loopback, and this machine's name.
struct Names {
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

fn names(listen: IpAddr) -> Names {
    let mut hosts = vec!["localhost".to_owned()];
    if let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        hosts.push(name.trim().to_owned());
    }
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if !listen.is_unspecified() && !addresses.contains(&listen) {
        addresses.push(listen);
    }
    Names { hosts, addresses }
}

/// Whether a certificate is good for all these names.
fn covers(certificate: &str, names: &Names) -> Result<bool> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())?;
    let certificate = pem.parse_x509()?;
    let Some(alternatives) = certificate.subject_alternative_name()? else { return Ok(false) };
    let present = &alternatives.value.general_names;
    let has_host = |host: &String| present.contains(&GeneralName::DNSName(host));
    let has_address = |address: &IpAddr| match address {
        IpAddr::V4(address) => present.contains(&GeneralName::IPAddress(&address.octets())),
        IpAddr::V6(address) => present.contains(&GeneralName::IPAddress(&address.octets())),
    };
    Ok(names.hosts.iter().all(has_host) && names.addresses.iter().all(has_address))
}

fn authority() -> Result<(rcgen::Certificate, KeyPair)> {
    let key = KeyPair::generate().context("a key cannot be made")?;
    let certificate =
        authority_parameters()?.self_signed(&key).context("the authority cannot sign itself")?;
    Ok((certificate, key))
}

fn authority_parameters() -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "Freehold authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_after = rcgen::date_time_ymd(2046, 1, 1);
    Ok(parameters)
}

fn server_parameters(names: Names) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(names.hosts)?;
    parameters.distinguished_name.push(DnType::CommonName, "Freehold controller");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_after = rcgen::date_time_ymd(2036, 1, 1);
    parameters.subject_alt_names.extend(names.addresses.into_iter().map(SanType::IpAddress));
    Ok(parameters)
}

fn write_pair(certificate_file: &Path, certificate: &str, key_file: &Path, key: &KeyPair) -> Result<()> {
    files::write_private(key_file, key.serialize_pem().as_bytes())?;
    files::write_public(certificate_file, certificate.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use super::*;

    #[test]
    fn another_address_needs_another_certificate_of_the_same_authority() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let made = |listen: &str| {
            ensure(&home, listen.parse().unwrap()).unwrap();
            (files::read(&home.ca_file()).unwrap(), files::read(&home.certificate()).unwrap())
        };
        let (authority, first) = made("127.0.0.1");
        assert_eq!(made("127.0.0.1"), (authority.clone(), first.clone()), "what fits stays");
        assert_eq!(made("0.0.0.0"), (authority.clone(), first.clone()), "no address is asked for");
        let mut last = first;
        for listen in ["192.0.2.7", "2001:db8::7", "::1"] {
            let (same, other) = made(listen);
            assert_eq!(same, authority);
            assert_ne!(other, last);
            assert!(covers(&other, &names(listen.parse().unwrap())).unwrap());
            last = other;
        }
        let (_, certificate) = x509_parser::pem::parse_x509_pem(last.as_bytes()).unwrap();
        let (_, issuer) = x509_parser::pem::parse_x509_pem(authority.as_bytes()).unwrap();
        let issuer = issuer.parse_x509().unwrap();
        let certificate = certificate.parse_x509().unwrap();
        assert_eq!(certificate.issuer(), issuer.subject());
    }
}
