//! A field of a kind: its names, its shape, and when it may be given.

use serde_json::Value;

use super::shape::Shape;

/// A field of a kind.
#[derive(Debug)]
pub struct Field {
    /// Its name in documents and outputs; one dot leads into a nested object.
    pub key: &'static str,
    /// Its name on the wire, with the same dot.
    pub wire: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// How its value is read, sent and shown.
    pub shape: Shape,
    /// When it may or must be given.
    pub presence: Presence,
    /// Where it travels.
    pub place: Place,
    /// What zero or an empty list means, where it is no amount.
    pub zero: Option<&'static str>,
    /// One line on what it is.
    pub help: &'static str,
}

/// When a field may or must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// At creation, where it must, and in updates.
    Required,
    /// At creation and in updates.
    Optional,
    /// At creation, where it must; then fixed.
    RequiredOnce,
    /// At creation; then fixed.
    Once,
    /// In updates.
    Later,
    /// Never: the controller says it.
    Observed,
}

impl Presence {
    /// Whether it may be given at creation.
    pub const fn at_creation(self) -> bool {
        matches!(self, Self::Required | Self::Optional | Self::RequiredOnce | Self::Once)
    }

    /// Whether it must be given at creation.
    pub const fn required(self) -> bool {
        matches!(self, Self::Required | Self::RequiredOnce)
    }

    /// Whether it may be changed.
    pub const fn in_updates(self) -> bool {
        matches!(self, Self::Required | Self::Optional | Self::Later)
    }
}

/// Where a field travels in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the body.
    Body,
    /// In the query of the creation.
    Query,
}

impl Field {
    /// A field with one name everywhere, optional, in the body.
    pub const fn new(key: &'static str, shape: Shape, help: &'static str) -> Self {
        Self {
            key,
            wire: key,
            flag: key,
            shape,
            presence: Presence::Optional,
            place: Place::Body,
            zero: None,
            help,
        }
    }

    /// Another name on the wire.
    #[must_use]
    pub const fn wire(mut self, wire: &'static str) -> Self {
        self.wire = wire;
        self
    }

    /// Another name as a flag.
    #[must_use]
    pub const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = flag;
        self
    }

    /// When it may be given.
    #[must_use]
    pub const fn presence(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// Zero or an empty list is no amount, but means this.
    #[must_use]
    pub const fn zero(mut self, word: &'static str) -> Self {
        self.zero = Some(word);
        self
    }

    /// Its value for people; `name` tells the name of an id.
    pub fn show(&self, value: &Value, name: &dyn Fn(&str, &str) -> Option<String>) -> String {
        match self.zero {
            Some(word) if value.as_u64() == Some(0) || value.as_array().is_some_and(Vec::is_empty) => {
                word.to_owned()
            }
            _ => self.shape.show(value, name),
        }
    }

    /// Must be given at creation.
    #[must_use]
    pub const fn required(self) -> Self {
        self.presence(Presence::Required)
    }

    /// May be given at creation, then is fixed.
    #[must_use]
    pub const fn once(self) -> Self {
        self.presence(Presence::Once)
    }

    /// The controller says it.
    #[must_use]
    pub const fn observed(self) -> Self {
        self.presence(Presence::Observed)
    }

    /// Travels in the query of the creation under this name.
    #[must_use]
    pub const fn query(mut self, wire: &'static str) -> Self {
        self.wire = wire;
        self.place = Place::Query;
        self.presence = Presence::Once;
        self
    }
}

/// Every object's description.
pub(super) const DESCRIPTION: Field = Field::new("description", Shape::Text, "Free text; empty clears it");
