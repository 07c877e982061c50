//! Names, references to what has them, and other texts that identify something.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use super::word;

/// Most characters of a name.
const LONGEST: usize = 63;

fn plain(text: &str, what: &str, extra: &str) -> Result<(), String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || extra.contains(c);
    let fits = text.len() <= LONGEST
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(inner);
    if fits {
        return Ok(());
    }
    let also = extra.chars().fold(String::new(), |also, c| also + ", `" + c.to_string().as_str() + "`");
    Err(format!(
        "`{text}` cannot be {what}: use at most {LONGEST} lower-case letters, digits and `-`{also}, first and last a letter or digit"
    ))
}

/// Defines a text type with a check of its form.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $format:literal, $description:literal, $check:expr $(, $key:literal = $value:expr)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);
        word!($type, $format, $description $(, $key = $value)*);

        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text!(
    /// The name of something in the platform file.
    Name, "name", "A name: lower-case letters, digits, `-`, `.` and `_`", |text| plain(text, "a name", "._")
);
text!(
    /// The name of a machine: one label of a domain name.
    HostName, "hostname", "The name of a machine: lower-case letters, digits and `-`",
    |text| plain(text, "the name of a machine", "")
);
text!(
    /// The name of an account or group of the system.
    SystemName, "system-name", "The name of an account of the system", system_name
);
text!(
    /// The name of a network interface.
    LinkName, "link-name", "The name of a network interface, at most 15 characters", link_name
);
text!(
    /// Which disk: a name that does not change when cables move.
    DiskId, "disk-id",
    "What `/dev/disk/by-id` or `/dev/disk/by-path` calls the disk, such as nvme-SAMSUNG_MZQL2_S64H, or the whole path",
    disk_id
);
text!(
    /// A domain name.
    Domain, "domain", "A domain name in lower case", domain
);
text!(
    /// A public key of SSH.
    SshKey, "ssh-key", "A public key of SSH, as in a file that ends in .pub", ssh_key
);
text!(
    /// A public key of age.
    AgeKey, "age-key", "A public key of age", age_key
);
text!(
    /// A UUID.
    Uuid, "uuid", "A UUID in lower case, such as 8e1c4b12-5f0a-4e8e-9a07-0c9f1f6a2f11", uuid
);

/// Defines a reference: a name that must exist elsewhere in the file.
macro_rules! reference {
    ($(#[$doc:meta])* $type:ident, $description:literal, $($to:literal),+) => {
        text!(
            $(#[$doc])*
            $type, "name", $description, |text| plain(text, "a name", "._"), "x-refers" = [$($to),+]
        );
    };
}

reference!(
    /// A machine.
    MachineName, "The name of a machine", "machines"
);
reference!(
    /// A group of machines.
    GroupName, "The name of a group", "groups"
);
reference!(
    /// A machine, or all machines of a group.
    Members, "The name of a machine, or of a group for all its machines", "machines", "groups"
);
reference!(
    /// A network.
    NetworkName, "The name of a network", "networks"
);
reference!(
    /// A virtual address.
    VipName, "The name of a virtual address", "vips"
);
reference!(
    /// A virtual address or a machine.
    Target, "The name of a virtual address or of a machine", "vips", "machines"
);
reference!(
    /// Where machines come from.
    SubstrateName, "The name of a substrate", "substrates"
);
reference!(
    /// A secret.
    SecretName, "The name of a secret in `secrets.named`", "secrets.named"
);
reference!(
    /// A pool of Ceph.
    CephPoolName, "The name of a pool of Ceph", "services.ceph.pools"
);
reference!(
    /// A file system of Ceph.
    CephFilesystemName, "The name of a file system of Ceph", "services.ceph.filesystems"
);

impl SystemName {
    /// A name that stands in this source.
    pub(crate) fn literal(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

fn system_name(text: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let inner = |c: char| first(c) || c.is_ascii_digit() || c == '-' || c == '.';
    if text.len() <= 32 && text.chars().next().is_some_and(first) && text.chars().all(inner) {
        return Ok(());
    }
    Err(format!(
        "`{text}` cannot be the name of an account: begin with a lower-case letter, then at most 31 letters, digits, `-`, `_` and `.`"
    ))
}

fn link_name(text: &str) -> Result<(), String> {
    let fits = !text.is_empty() && text.len() <= 15 && text != "." && text != "..";
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if fits && text.chars().all(inner) {
        return Ok(());
    }
    Err(format!(
        "`{text}` cannot be the name of an interface: use at most 15 letters, digits, `-`, `_`, `.` and `@`"
    ))
}

fn disk_id(text: &str) -> Result<(), String> {
    let name = text
        .strip_prefix("/dev/disk/by-id/")
        .or_else(|| text.strip_prefix("/dev/disk/by-path/"))
        .unwrap_or(text);
    if name.starts_with("/dev/") {
        return Err(format!(
            "`{text}` may be another disk after the next start; name it as in /dev/disk/by-id (see `ls -l /dev/disk/by-id`)"
        ));
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.:+@=".contains(c);
    if !name.is_empty() && name.len() <= 200 && name.chars().all(inner) {
        return Ok(());
    }
    Err(format!("`{text}` is not the name of a disk as in /dev/disk/by-id"))
}

fn uuid(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if lengths && parts.iter().all(|part| part.chars().all(hexadecimal)) {
        return Ok(());
    }
    Err(format!(
        "`{text}` is not a UUID in lower case such as 8e1c4b12-5f0a-4e8e-9a07-0c9f1f6a2f11 (see `uuidgen`)"
    ))
}

fn domain(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        !label.is_empty()
            && label.len() <= LONGEST
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(());
    }
    Err(format!("`{text}` is not a domain name in lower case such as cloud.example.org"))
}

pub(super) fn http_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.is_some_and(|host| !host.is_empty()) && !text.chars().any(char::is_whitespace) {
        return Ok(());
    }
    Err(format!("`{text}` is not a URL such as https://cloud.example.org"))
}

pub(super) fn path(text: &str) -> Result<(), String> {
    if text.starts_with('/') && !text.split('/').any(|part| part == "..") && !text.contains(['\0', '\n']) {
        return Ok(());
    }
    Err(format!("`{text}` is not an absolute path such as /var/lib/etcd"))
}

pub(super) fn mode(text: &str) -> Result<(), String> {
    if (3..=4).contains(&text.len()) && text.chars().all(|c| ('0'..='7').contains(&c)) {
        return Ok(());
    }
    Err(format!("`{text}` is not a mode of a file such as 0644"))
}

fn ssh_key(text: &str) -> Result<(), String> {
    let mut parts = text.split_whitespace();
    let kind = parts.next().unwrap_or_default();
    let known = ["ssh-ed25519", "ssh-rsa"].contains(&kind)
        || kind.starts_with("ecdsa-sha2-")
        || kind.starts_with("sk-");
    let body = parts.next().unwrap_or_default();
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    if known && body.len() >= 40 && body.starts_with("AAAA") && body.chars().all(base64) {
        return Ok(());
    }
    if text.contains("PRIVATE KEY") {
        return Err("this is a private key; give the public one, from the file that ends in .pub".to_owned());
    }
    Err("this is not a public key of SSH such as `ssh-ed25519 AAAA... alice`".to_owned())
}

pub(super) fn version(text: &str) -> Result<(), String> {
    let numbers: Vec<&str> = text.split('.').collect();
    let number =
        |part: &&str| !part.is_empty() && part.len() <= 6 && part.chars().all(|c| c.is_ascii_digit());
    if (1..=3).contains(&numbers.len()) && numbers.iter().all(number) {
        return Ok(());
    }
    Err(format!("`{text}` is not a version such as 1.36.1, without a leading `v`"))
}

pub(super) fn kafka_id(text: &str) -> Result<(), String> {
    if text.len() == 22 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Ok(());
    }
    Err(format!("`{text}` is not the id of a Kafka cluster: 22 characters (see `kafka-storage random-uuid`)"))
}

fn age_key(text: &str) -> Result<(), String> {
    if text.starts_with("AGE-SECRET-KEY-") {
        return Err("this is a private key of age; give the public one, which begins with age1".to_owned());
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.len() == 62 && text.starts_with("age1") && text.chars().all(inner) {
        return Ok(());
    }
    Err(format!("`{text}` is not a public key of age: 62 characters that begin with age1"))
}
