//! `whoami`: who one is, and where.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{Globals, arguments::OutputArgs};
use crate::client::Client;
use crate::context::{Credential, Environment, Origin, resolve};
use crate::error::{Error, Failure, Result};
use crate::kind;
use crate::render::{Format, Line, block, json as to_json, ordered, yaml};
use crate::terminal::Terminal;

#[derive(Debug, Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// What a session token says of its owner. It is read for display only: the controller decides.
#[derive(Debug, PartialEq, Deserialize)]
struct Claims {
    uid: String,
    role: String,
    exp: i64,
}

/// Asks the controller, so that what is told holds now.
pub(super) fn whoami(
    args: &WhoamiArgs,
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<()> {
    let (connection, origin, _) = resolve(&globals.overrides(terminal)?, environment)?;
    let client = Client::new(&connection, terminal)?;
    let context = match origin {
        Origin::Context(name) => Some(name),
        Origin::Flags | Origin::Local(_) => None,
    };
    let (who, name, role, expires) = match &connection.credential {
        None => {
            return Err(Error::new(Failure::Denied, format!("nobody is logged in at {}", client.url()))
                .hint("log in with `freehold login`, or give a key with `--api-key-file`"));
        }
        Some(Credential::ApiKey(_)) => {
            client.get("/region")?;
            ("API key".to_owned(), None, None, None)
        }
        Some(Credential::Session { email, token }) => {
            let claims = claims(token.expose()).ok_or_else(|| {
                Error::new(Failure::Denied, "the session token is damaged").hint("log in again")
            })?;
            let user_kind = kind::find("user")?;
            let user = client.get(format!("{}/{}", user_kind.path, claims.uid))?;
            let text = |name: &str| user.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            let expires = jiff::Timestamp::from_second(claims.exp).ok().map(|at| at.to_string());
            let role = text("role").unwrap_or(claims.role);
            let role = user_kind.field("role").map(|field| field.shape.show(&role.into(), &|_, _| None));
            (email.clone(), text("name"), role, expires)
        }
    };
    let text = match args.output.output {
        Format::Table | Format::Wide => {
            let mut lines = vec![Line::new("As", who)];
            lines.extend(name.map(|name| Line::new("Name", name)));
            lines.extend(role.map(|role| Line::new("Role", role)));
            lines.extend(expires.map(|at| Line::new("Until", at)));
            lines.push(Line::new("Controller", client.url()));
            lines.extend(context.map(|name| Line::new("Context", name)));
            block(&lines, 0)
        }
        Format::Name | Format::Id => format!("{who}\n"),
        format @ (Format::Json | Format::Yaml) => {
            let document = json!({
                "as": who, "name": name, "role": role, "until": expires,
                "controller": client.url(), "context": context,
            });
            if format == Format::Json { to_json(&document)? } else { yaml(&ordered(&[document])?)? }
        }
    };
    terminal.print(&text)
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read() {
        let payload =
            URL_SAFE_NO_PAD.encode(r#"{"iss":"Kowabunga","uid":"1","email":"a@b","role":"user","exp":9}"#);
        let read = claims(&format!("head.{payload}.signature")).unwrap();
        assert_eq!(read, Claims { uid: "1".into(), role: "user".into(), exp: 9 });
        assert_eq!(claims("no token"), None);
    }
}
