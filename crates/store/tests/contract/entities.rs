//! Small kinds that use everything the store offers.

use freehold_store::{Amounts, Entity, Reference, Registry};
use freehold_types::{Id, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A parent with a unique name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Team {
    pub(crate) name: String,
}

impl Entity for Team {
    const KIND: &'static str = "team";
    type Status = ();

    fn claims(&self, _: Id) -> Vec<String> {
        vec![format!("name/team/{}", self.name)]
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// What machines run on, ranked by what is used of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) group: Id,
    pub(crate) handicap: u64,
}

impl Entity for Host {
    const KIND: &'static str = "host";
    const RANKED: bool = true;
    type Status = String;

    fn rank(&self, usage: &Amounts) -> Option<(Id, u64)> {
        Some((self.group, usage.vcpus + self.handicap))
    }
}

/// A child with claims, references and usage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) team: Id,
    pub(crate) name: String,
    pub(crate) host: Option<Id>,
    pub(crate) address: Option<String>,
    /// A link that may dangle.
    pub(crate) buddy: Option<Id>,
    pub(crate) vcpus: u64,
}

impl Machine {
    pub(crate) fn new(team: Id, name: &str) -> Self {
        Self { team, name: name.to_owned(), host: None, address: None, buddy: None, vcpus: 1 }
    }

    pub(crate) fn amounts(&self) -> Amounts {
        Amounts { instances: 1, vcpus: self.vcpus, ..Amounts::default() }
    }
}

pub(crate) fn address_claim(address: &str) -> String {
    format!("address/{address}")
}

impl Entity for Machine {
    const KIND: &'static str = "machine";
    type Status = String;

    fn claims(&self, _: Id) -> Vec<String> {
        let name = format!("name/{}/{}", self.team, self.name);
        let address = self.address.as_deref().map(address_claim);
        // A sloppy kind may name a claim twice.
        [Some(name), address.clone(), address].into_iter().flatten().collect()
    }

    fn references(&self) -> Vec<Reference> {
        [
            Some(Reference::strong::<Team>(self.team)),
            self.host.map(Reference::strong::<Host>),
            self.buddy.map(Reference::weak::<Machine>),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn usage(&self) -> Vec<(Id, Amounts)> {
        [Some(self.team), self.host].into_iter().flatten().map(|target| (target, self.amounts())).collect()
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// A document that is sealed at rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) value: Secret<String>,
}

impl Entity for Token {
    const KIND: &'static str = "token";
    const SEALED: bool = true;
    type Status = ();
}

/// Steps of the note's history: a text, then a title, then tags instead of the text.
fn upgrade_note(from: u32, mut document: Value) -> Result<Value, String> {
    let spec = document.get_mut("spec").and_then(Value::as_object_mut).ok_or("it has no specification")?;
    match from {
        1 => {
            spec.insert("title".to_owned(), json!("untitled"));
        }
        2 => {
            let text = spec.remove("text").ok_or("it has no text")?;
            spec.insert("tags".to_owned(), json!([text]));
        }
        other => return Err(format!("nobody ever wrote schema {other}")),
    }
    Ok(document)
}

macro_rules! note {
    ($name:ident, $schema:literal, { $($field:ident: $type:ty),* }) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl Entity for $name {
            const KIND: &'static str = "note";
            const SCHEMA: u32 = $schema;
            type Status = String;

            fn upgrade(from: u32, document: Value) -> Result<Value, String> {
                upgrade_note(from, document)
            }
        }
    };
}

note!(NoteV1, 1, { text: String });
note!(NoteV2, 2, { text: String, title: String });
note!(NoteV3, 3, { title: String, tags: Vec<String> });

pub(crate) fn registry() -> Registry {
    Registry::default().with::<Team>().with::<Host>().with::<Machine>().with::<Token>()
}
