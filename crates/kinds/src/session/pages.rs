//! The pages behind mailed links: they confirm a mail address, and renew a forgotten password.
//!
//! Looking at a page changes nothing, since mail filters look at links too; its button does. A link works
//! once and for a time. One that is wrong, blank, expired or used, or names nobody, always gets the same
//! answer. The pages need no script and load nothing.

use freehold_store::{Object, Snapshot, Transaction};
use freehold_types::{ApiError, Id, Timestamp};
use freehold_web::query::Query;

use crate::environment::Environment;
use crate::mail::{self, texts};
use crate::password;
use crate::session;
use crate::user::{Ticket, User};

/// Where a mail address is confirmed.
pub const CONFIRM: &str = "/confirm";
/// Where a forgotten password is renewed.
pub const FORGOT: &str = "/confirmForgotPassword";
/// Query parameters of both.
pub const PARAMETERS: &[&str] = &["user", "token"];

/// The `Content-Security-Policy` to send with a page. With it goes `Referrer-Policy: no-referrer`, since
/// the address of the page holds the token.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Characters of a generated password, and how many of them are digits.
const PASSWORD: (usize, usize) = (16, 5);

/// A request for a page.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    pub snapshot: &'a Snapshot,
    /// Read with [`PARAMETERS`].
    pub query: &'a Query,
    pub now: Timestamp,
    pub environment: &'a Environment,
}

/// What to show once the transaction is committed.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub html: String,
    pub transaction: Transaction,
}

/// Shows whose mail address would be confirmed, with a button that does it.
pub fn confirm_page(visit: &Visit<'_>) -> Page {
    match visitor(visit, |user| user.confirmation.as_ref()) {
        Some(user) => question(
            "Confirm your account",
            &format!("{} is the mail address of the account {}.", user.spec.email, user.spec.name),
            "Confirm",
        ),
        None => refusal(),
    }
}

/// Confirms a mail address, which opens the account.
pub fn confirm(visit: &Visit<'_>) -> Page {
    let Some(user) = visitor(visit, |user| user.confirmation.as_ref()) else { return refusal() };
    let mut transaction = Transaction::default();
    transaction.update(user, User { enabled: true, confirmation: None, ..user.spec.clone() });
    let next = if user.spec.password.is_some() {
        "You can log in now."
    } else {
        "To log in you need a password: say on the log-in page that you forgot yours, and you are mailed one."
    };
    Page { transaction, ..shown(200, "Your account is confirmed", next, "") }
}

/// Shows whose password would be renewed, with a button that does it.
pub fn forgot_page(visit: &Visit<'_>) -> Page {
    match visitor(visit, |user| user.renewal.as_ref()) {
        Some(user) => question(
            "Get a new password",
            &format!(
                "The account {} gets a new password, which is mailed to {}. The old one stops working, and all \
                 sessions end.",
                user.spec.name, user.spec.email
            ),
            "Mail me a new password",
        ),
        None => refusal(),
    }
}

/// Gives an account a new password and mails it. Hashes a password, so it is to run off the request threads.
///
/// # Errors
/// 500 when the password cannot be hashed.
pub fn forgot(visit: &Visit<'_>) -> Result<Page, ApiError> {
    let Some(user) = visitor(visit, |user| user.renewal.as_ref()) else { return Ok(refusal()) };
    let (length, digits) = PASSWORD;
    let fresh = password::generate(length, digits);
    let password = Some(password::hash(fresh.expose())?);
    let mut transaction = Transaction::default();
    transaction.update(user, User { password, renewal: None, ..user.spec.clone() });
    session::end_all(user.id(), None, visit.snapshot, &mut transaction);
    mail::queue(&mut transaction, texts::new_password(&user.spec, &fresh, visit.environment), visit.now);
    let next = if user.spec.enabled {
        "Your new password is on its way to you by mail."
    } else {
        "Your new password is on its way to you by mail. Before you can log in, confirm your account with the \
         link in the mail that welcomed you."
    };
    Ok(Page { transaction, ..shown(200, "Your password was renewed", next, "") })
}

/// The account whose ticket the link carries.
fn visitor<'a>(visit: &Visit<'a>, ticket: impl Fn(&User) -> Option<&Ticket>) -> Option<&'a Object<User>> {
    let id: Id = visit.query.get("user")?.parse().ok()?;
    let token = visit.query.get("token")?;
    let user = visit.snapshot.get::<User>(id)?;
    ticket(&user.spec)?.admits(token, visit.now).then_some(user)
}

fn question(title: &str, text: &str, button: &str) -> Page {
    // Without an action the form goes to the address of the page, token included.
    let form = format!(r#"<form method="post"><button>{}</button></form>"#, escape(button));
    shown(200, title, text, &form)
}

fn refusal() -> Page {
    let text = "It may be incomplete, have been used already, or be too old. Ask for a new one.";
    shown(403, "This link does not work", text, "")
}

/// `form` is markup; the rest is text.
fn shown(status: u16, title: &str, text: &str, form: &str) -> Page {
    let (title, text) = (escape(title), escape(text));
    let html = format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<title>{title} · Freehold</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.125rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.5rem; line-height: 1.25 }}
button {{ font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1.25rem; border: 0; border-radius: .375rem; background: #1d4ed8; color: #fff; cursor: pointer }}
button:focus-visible {{ outline: 3px solid; outline-offset: 2px }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
{form}
</main>
</body>
</html>
"#
    );
    Page { status, html, transaction: Transaction::default() }
}

/// Text as it stands in HTML, in content and in attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}
