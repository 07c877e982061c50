//! Who may do what: users, teams, tokens, agents.

use super::field::{DESCRIPTION, Field, Presence};
use super::shape::Shape;
use super::{AGE, BASE, Column, ID, Kind, NAME};

pub(super) static USER: Kind = Kind {
    name: "user",
    plural: "users",
    about: "An account",
    path: "/user",
    creates: &["/user"],
    fields: &[
        Field::new("name", Shape::Text, "Full name").required(),
        DESCRIPTION,
        Field::new("email", Shape::Text, "Address, with which one logs in").required(),
        Field::new(
            "role",
            Shape::Choice(&[
                ("user", "user"),
                ("project-admin", "projectAdmin"),
                ("super-admin", "superAdmin"),
            ]),
            "What the account may do",
        )
        .required(),
        Field::new("notifications", Shape::Boolean, "Mail about new projects and machines [false]"),
    ],
    columns: &[
        NAME,
        Column::field("EMAIL", "email"),
        Column::field("ROLE", "role"),
        AGE,
        ID,
        Column::field("NOTIFICATIONS", "notifications").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

pub(super) static TEAM: Kind = Kind {
    name: "team",
    plural: "teams",
    about: "A set of users; projects are opened to teams",
    path: "/team",
    creates: &["/team"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new("users", Shape::References("user"), "Member").flag("user"),
    ],
    columns: &[
        NAME,
        Column::count("USERS", "users"),
        AGE,
        ID,
        Column::field("MEMBERS", "users").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

pub(super) static TOKEN: Kind = Kind {
    name: "token",
    plural: "tokens",
    aliases: &["api-token", "api-key"],
    about: "The record of an API key; without it the key is void",
    path: "/token",
    made_by: "freehold token issue user|agent NAME",
    fields: &[
        Field::new("name", Shape::Text, "Its name").presence(Presence::Later),
        Field::new("description", Shape::Text, "Free text; empty clears it").presence(Presence::Later),
        Field::new("expire", Shape::Boolean, "Whether the key stops working at its date")
            .presence(Presence::Later),
        Field::new("expiration_date", Shape::Date, "First day (UTC) on which it no longer works")
            .presence(Presence::Later),
    ],
    columns: &[
        NAME,
        Column::field("EXPIRES", "expire"),
        Column::field("ON", "expiration_date"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};

pub(super) static AGENT: Kind = Kind {
    name: "agent",
    plural: "agents",
    about: "The identity with which a node connects",
    path: "/agent",
    creates: &["/agent"],
    fields: &[
        Field::new("name", Shape::Text, "Its name").required(),
        DESCRIPTION,
        Field::new(
            "type",
            Shape::Choice(&[("hypervisor", "Kaktus"), ("edge", "Kiwi"), ("service", "Kontroller")]),
            "What its node does",
        )
        .presence(Presence::RequiredOnce),
    ],
    columns: &[
        NAME,
        Column::field("TYPE", "type"),
        AGE,
        ID,
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
