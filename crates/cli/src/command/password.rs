//! `password`: of users.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::{Method, Request};
use crate::directory::Scope;
use crate::error::{Error, Result};
use crate::kind;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum PasswordCommand {
    /// Set a password, typed at a prompt or piped into standard input
    Set {
        /// Name or id of the user
        user: String,
    },
    /// Have a link mailed with which a password is renewed
    Reset(ResetArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ResetArgs {
    /// Name or id of the user
    user: Option<String>,
    /// Address of the account, for those who are not logged in
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

pub(super) fn run(command: &PasswordCommand, session: &Session<'_>) -> Result<()> {
    let kind = kind::find("user")?;
    match command {
        PasswordCommand::Set { user } => {
            let user = session.directory.find(kind, user, &Scope::EMPTY)?;
            let password = session.terminal.ask_secret("New password", true)?;
            let request = Request::new(Method::Put, format!("{}/{}/password", kind.path, user.id()))
                .body(json!({ "value": password.expose() }));
            session.send(&format!("set the password of {}", user.name()), &request)?;
            session.terminal.note(&format!("The password of {} is set.", user.name()));
        }
        PasswordCommand::Reset(ResetArgs { email: Some(email), .. }) => {
            let request = Request::new(Method::Post, "/resetPassword").body(json!({ "email": email }));
            session.send("ask for a new password", &request)?;
            session.terminal.note(&format!("If {email} has an account, a link is on its way."));
        }
        PasswordCommand::Reset(ResetArgs { user: Some(user), .. }) => {
            let user = session.directory.find(kind, user, &Scope::EMPTY)?;
            let path = format!("{}/{}/resetPassword", kind.path, user.id());
            session.send(
                &format!("reset the password of {}", user.name()),
                &Request::new(Method::Patch, path),
            )?;
            session.terminal.note(&format!(
                "A link is on its way to {}.",
                user.at("email").as_str().unwrap_or("the user")
            ));
        }
        PasswordCommand::Reset(ResetArgs { email: None, user: None }) => {
            return Err(Error::usage("whose password?").hint("name the user, or give `--email ADDRESS`"));
        }
    }
    Ok(())
}
