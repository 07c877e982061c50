//! Certificates with their keys, as they are kept in a file of secrets.

use std::collections::BTreeMap;
use std::fmt::Write;

use freehold_types::Secret;

use crate::error::Result;
use crate::sops::edit;

/// The key of the file of secrets that they are under.
pub const SECTION: &str = "certificates";

/// A certificate and its key; a pair of keys has its public key in the place of the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub private_key: Secret<String>,
}

/// All of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Store(pub BTreeMap<String, Pair>);

impl Store {
    /// Takes them from a decrypted YAML text.
    pub fn read(subject: &str, plain: &Secret<String>) -> Result<Self> {
        let mut store = BTreeMap::new();
        for (name, mut parts) in edit::section(subject, plain.expose(), SECTION)? {
            if let (Some(certificate), Some(private_key)) =
                (parts.remove("certificate"), parts.remove("private_key"))
            {
                store.insert(name, Pair { certificate: certificate.into_inner(), private_key });
            }
        }
        Ok(Self(store))
    }

    /// Puts them into a decrypted YAML text, in the place of those that are there.
    pub fn write(&self, subject: &str, plain: &Secret<String>) -> Result<Secret<String>> {
        let mut section = format!("{SECTION}:\n");
        for (name, pair) in &self.0 {
            // Writing to a text cannot fail.
            let _ = writeln!(section, "    {name}:");
            for (part, pem) in
                [("certificate", &pair.certificate), ("private_key", pair.private_key.expose())]
            {
                let _ = writeln!(section, "        {part}: |");
                for line in pem.lines() {
                    let _ = writeln!(section, "            {line}");
                }
            }
        }
        edit::replace_section(subject, plain.expose(), SECTION, &section).map(Secret::new)
    }
}
