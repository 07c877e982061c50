//! `login` and `logout`: sessions of people.

use clap::Args;
use freehold_types::Secret;
use serde_json::{Value, json};

use super::Globals;
use crate::client::{Client, Method, Request};
use crate::context::{Authority, Connection, Context, Credential, Environment, Origin, resolve};
use crate::error::{Error, Failure, Result};
use crate::terminal::Terminal;

#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Address of the account; asked for when it is not given
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

/// Logs in and keeps the session in the context. The password is typed without echo, or is the next line
/// of standard input when that is no terminal.
pub(super) fn login(
    args: &LoginArgs,
    globals: &Globals,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<()> {
    let (connection, origin, _) = resolve(&globals.overrides(terminal)?, environment)?;
    let connection = Connection { credential: None, ..connection };
    let client = Client::new(&connection, terminal)?;
    let email = match (&args.email, known_email(&origin, environment)?) {
        (Some(email), _) => email.clone(),
        (None, Some(email)) => {
            terminal.note(&format!("Logging in as {email}."));
            email
        }
        (None, None) => terminal.ask("Email")?,
    };
    let password = terminal.ask_secret("Password", false)?;
    let request =
        Request::new(Method::Post, "/login").body(json!({ "email": email, "password": password.expose() }));
    let answer = client.send(&request).map_err(|error| {
        let who = format!("cannot log in as {email}");
        // The general hint of a refusal is to log in.
        if error.failure() == Failure::Denied {
            Error::new(Failure::Denied, format!("{who}: {error}"))
        } else {
            error.during(who)
        }
    })?;
    let token = answer.body.get("jwt").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| Error::new(Failure::General, "the controller answered without a session"))?;
    remember(&connection, &origin, &email, token, environment, terminal)?;
    terminal.note(&format!("Logged in to {} as {email}.", client.url()));
    Ok(())
}

/// The account that last logged in here.
fn known_email(origin: &Origin, environment: &Environment) -> Result<Option<String>> {
    let Origin::Context(name) = origin else { return Ok(None) };
    let contexts = environment.file()?.load()?;
    Ok(match contexts.named(name)?.credential.as_ref() {
        Some(Credential::Session { email, .. }) => Some(email.clone()),
        Some(Credential::ApiKey(_)) | None => None,
    })
}

/// Keeps the session in the context that was used, or in a new one named after the host.
fn remember(
    connection: &Connection,
    origin: &Origin,
    email: &str,
    token: &str,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<()> {
    let file = environment.file()?;
    let mut contexts = file.load()?;
    let same = |context: &Context| context.url.trim_end_matches('/') == connection.url.trim_end_matches('/');
    let name = match origin {
        Origin::Context(name) if contexts.named(name).is_ok_and(same) => name.clone(),
        Origin::Context(_) | Origin::Flags | Origin::Local(_) => {
            let known =
                contexts.contexts.iter().find(|(_, context)| same(context)).map(|(name, _)| name.clone());
            known.unwrap_or_else(|| host_of(&connection.url))
        }
    };
    let mut context = contexts.contexts.get(&name).cloned().unwrap_or_default();
    connection.url.trim_end_matches('/').clone_into(&mut context.url);
    context.authority = match &connection.authority {
        Some(Authority::File(path)) => {
            let pem = std::fs::read_to_string(path)
                .map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?;
            Some(Authority::Pem(pem))
        }
        other => other.clone(),
    };
    context.credential =
        Some(Credential::Session { email: email.to_owned(), token: Secret::new(token.to_owned()) });
    if contexts.contexts.insert(name.clone(), context).is_none() {
        super::context::settle(&mut contexts, &name, terminal);
    }
    file.save(&contexts)
}

/// The host of a URL, as the name of a context.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    host.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' }).collect()
}

/// Ends the session at the controller and forgets it.
pub(super) fn logout(globals: &Globals, environment: &Environment, terminal: &Terminal) -> Result<()> {
    let (_, origin, _) = resolve(&globals.overrides(terminal)?, environment)?;
    let file = environment.file()?;
    let mut contexts = file.load()?;
    let nobody = || Error::usage("there is no session to end").hint("see who you are with `freehold whoami`");
    let Origin::Context(name) = origin else { return Err(nobody()) };
    let context = contexts.contexts.get_mut(&name).ok_or_else(nobody)?;
    let Some(Credential::Session { email, .. }) = context.credential.clone() else {
        return Err(Error::usage(format!("context {name} uses no session"))
            .hint(format!("forget its API key with `freehold context remove {name}`")));
    };
    let connection = Connection {
        url: context.url.clone(),
        authority: context.authority.clone(),
        credential: context.credential.take(),
    };
    let ended = Client::new(&connection, terminal)?.send(&Request::new(Method::Post, "/logout"));
    match ended {
        Ok(_) => {}
        // It had ended already.
        Err(error) if error.failure() == Failure::Denied => {}
        Err(error) => return Err(error.during(format!("cannot end the session of {email}"))),
    }
    file.save(&contexts)?;
    terminal.note(&format!("Logged out {email}."));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn hosts_name_contexts() {
        assert_eq!(host_of("https://cloud.example.org/sub"), "cloud.example.org");
        assert_eq!(host_of("http://127.0.0.1:8080"), "127.0.0.1-8080");
    }
}
