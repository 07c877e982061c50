//! Load balancers.

use super::field::{DESCRIPTION, Field};
use super::notation::Notation;
use super::shape::Shape;
use super::{AGE, BASE, Column, ID, Kind, NAME};

pub(super) static LOAD_BALANCER: Kind = Kind {
    name: "load-balancer",
    plural: "load-balancers",
    aliases: &["konvey", "konveys", "lb", "balancer", "balancers"],
    about: "A layer-4 load balancer of a project",
    path: "/konvey",
    within: &["/project/{project}/zone/{zone}/konveys", "/project/{project}/region/{region}/konveys"],
    creates: &["/project/{project}/zone/{zone}/konvey", "/project/{project}/region/{region}/konvey"],
    fields: &[
        Field::new("name", Shape::Text, "Its name [that of the project]"),
        DESCRIPTION,
        Field::new(
            "endpoints",
            Shape::Notes(Notation::Endpoint),
            "Balanced port, as web:tcp/80=10.0.0.7,10.0.0.8:8080",
        )
        .flag("endpoint")
        .required(),
        Field::new("failover", Shape::Boolean, "Whether a second host takes over when one dies [true]")
            .once(),
        Field::new("vip", Shape::Text, "Its address in the private subnet of the project").observed(),
    ],
    columns: &[
        NAME,
        Column::field("VIP", "vip"),
        Column::brief("ENDPOINTS", "endpoints"),
        AGE,
        ID,
        Column::field("FAILOVER", "failover").wide(),
        Column::field("BACKENDS", "endpoints").wide(),
        Column::field("DESCRIPTION", "description").wide(),
    ],
    ..BASE
};
