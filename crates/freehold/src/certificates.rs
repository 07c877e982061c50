//! A certificate authority of one's own, and the controller's certificate from it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::files;
use crate::home::Home;

/// Makes the authority and the controller's certificate, unless they are there.
pub(crate) fn ensure(home: &Home, listen: IpAddr) -> Result<()> {
    let tls = home.tls();
    files::make_directory(&tls, 0o711)?;
    if [home.ca_file(), home.ca_key(), home.certificate(), home.certificate_key()]
        .iter()
        .all(|path| path.exists())
    {
        return Ok(());
    }
    let (authority, key) = authority()?;
    write_pair(&home.ca_file(), &authority.pem(), &home.ca_key(), &key)?;
    let issuer = Issuer::new(authority_parameters()?, key);
    let server_key = KeyPair::generate().context("a key cannot be made")?;
    let server = server_parameters(listen)?
        .signed_by(&server_key, &issuer)
        .context("the controller's certificate cannot be signed")?;
    write_pair(&home.certificate(), &server.pem(), &home.certificate_key(), &server_key)
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

/// For the address listened on, loopback, and this machine's name.
fn server_parameters(listen: IpAddr) -> Result<CertificateParams> {
    let mut names = vec!["localhost".to_owned()];
    if let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        names.push(name.trim().to_owned());
    }
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, "Freehold controller");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if !listen.is_loopback() && !listen.is_unspecified() {
        addresses.push(listen);
    }
    parameters.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    Ok(parameters)
}

fn write_pair(certificate_file: &Path, certificate: &str, key_file: &Path, key: &KeyPair) -> Result<()> {
    files::write_private(key_file, key.serialize_pem().as_bytes())?;
    files::write_public(certificate_file, certificate.as_bytes())
}
