//! Operations on tokens. They are made with their owners, by the operations that issue keys.

use freehold_types::{Id, wire};
use freehold_web::openapi::schema_of;

use super::Token;
use crate::crud;
use crate::route::{Permission::Account, Row, Success};

const MODEL: Success = Success::Model(schema_of::<wire::ApiToken>);

pub const ROWS: &[Row] = &[
    Row::new(
        "GET",
        "/token",
        "list_api_tokens",
        Account,
        Success::Model(schema_of::<Vec<Id>>),
        crud::list::<Token>,
    )
    .query(crud::LIST),
    Row::new("GET", "/token/{tokenId}", "read_api_token", Account, MODEL, crud::read::<Token>),
    Row::new("PUT", "/token/{tokenId}", "update_api_token", Account, MODEL, crud::update::<Token>)
        .body(schema_of::<wire::ApiTokenUpdate>),
    Row::new("DELETE", "/token/{tokenId}", "delete_api_token", Account, Success::Done, crud::delete::<Token>),
];
