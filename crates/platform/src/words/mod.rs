//! Words of the platform file: texts with a form, such as addresses, sizes and names.
//!
//! Each word parses from its text, prints a text that parses to the same value, and names its format in the JSON
//! schema. The table [`FORMATS`] lets the structural check parse every text before anything is deserialised,
//! so that all faults are found at once.

mod address;
mod amount;
mod name;
mod port;
mod secret;
mod table;

pub use address::{Address, Cidr, InterfaceAddress, Mac, Ports, Range};
pub use amount::{Duration, Size};
pub use name::{
    AgeKey, CephFilesystemName, CephPoolName, DiskId, Domain, GroupName, HostName, LinkName, MachineName,
    Members, Name, NetworkName, SecretName, SshKey, SubstrateName, SystemName, Target, Uuid, VipName,
};
pub use port::Port;
pub use secret::SecretText;
pub use table::Table;

/// Parses a text only to see whether it has the form; the fault says what is wrong and what would be right.
pub(crate) type Form = fn(&str) -> Result<(), String>;

/// Every format that a word of the model may name.
const FORMATS: &[(&str, Form)] = &[
    ("address", form::<Address>),
    ("age-key", form::<AgeKey>),
    ("cidr", form::<Cidr>),
    ("disk-id", form::<DiskId>),
    ("domain", form::<Domain>),
    ("duration", form::<Duration>),
    ("hostname", form::<HostName>),
    ("http-url", name::http_url),
    ("interface-address", form::<InterfaceAddress>),
    ("kafka-id", name::kafka_id),
    ("link-name", form::<LinkName>),
    ("mac", form::<Mac>),
    ("mode", name::mode),
    ("name", form::<Name>),
    ("path", name::path),
    ("ports", form::<Ports>),
    ("range", form::<Range>),
    ("size", form::<Size>),
    ("ssh-key", form::<SshKey>),
    ("system-name", form::<SystemName>),
    ("uuid", form::<Uuid>),
    ("version", name::version),
];

fn form<T: std::str::FromStr<Err = String>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(|_| ())
}

/// The form behind a format of the schema; none for formats that are not ours.
pub(crate) fn form_of(format: &str) -> Option<Form> {
    FORMATS.iter().find(|(name, _)| *name == format).map(|(_, form)| *form)
}

/// Makes a type a word: serialised as its text, deserialised through `FromStr`, with its format in the schema.
macro_rules! word {
    // A text that may look like a number, and then needs no quotes.
    ($type:ident, numeric $format:literal, $description:literal) => {
        word!(@ $type, ["string", "integer"], $format, $description);
    };
    ($type:ident, $format:literal, $description:literal $(, $key:literal = $value:expr)*) => {
        word!(@ $type, "string", $format, $description $(, $key = $value)*);
    };
    (@ $type:ident, $kind:tt, $format:literal, $description:literal $(, $key:literal = $value:expr)*) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": $kind,
                    "format": $format,
                    "description": $description
                    $(, $key: $value)*
                })
            }
        }
    };
}
pub(crate) use word;
