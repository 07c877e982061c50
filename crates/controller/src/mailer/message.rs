//! What a mail looks like on its way: plain text, and the same as HTML for readers that prefer it.

use freehold_kinds::mail::Mail;
use freehold_types::Id;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

/// Writes a mail. The same mail always has the same `Message-ID`, so that one which was sent twice because
/// its sending could not be noted is shown once.
///
/// # Errors
/// What is wrong with its address; trying again does not help.
pub(super) fn compose(id: Id, mail: &Mail, from: &Mailbox) -> Result<Message, String> {
    let to = mail.to.as_deref().unwrap_or_default();
    let to: Mailbox = to.parse().map_err(|error| format!("`{to}` is no mail address: {error}"))?;
    let text = mail.text.expose();
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(&mail.subject)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(text.clone(), html(text)))
        .map_err(|error| format!("the mail cannot be written: {error}"))
}

fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!("<!doctype html>\n<html><body><pre style=\"font-size: 1.1em\">{escaped}</pre></body></html>\n")
}

/// What may be kept and shown of a failure: its first line, without anything that the mail says, which a
/// server might repeat.
pub(super) fn reason(failure: &str, text: &str) -> String {
    const LONGEST: usize = 200;
    /// Shorter lines of a mail, such as its greeting, give nothing away.
    const TELLING: usize = 6;
    let told = |word: &str| word.len() >= TELLING && failure.contains(word);
    if text.split_whitespace().filter(|word| word.len() >= 16).any(told)
        || text.lines().map(str::trim).any(told)
    {
        return "the mail server refused it, and repeated the mail in its answer".to_owned();
    }
    failure.lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use freehold_types::Secret;

    use super::*;

    fn mail(to: &str, text: &str) -> Mail {
        Mail { to: Some(to.to_owned()), subject: "Grüße".to_owned(), text: Secret::new(text.to_owned()) }
    }

    #[test]
    fn a_mail_has_both_forms_and_a_lasting_id() {
        let from = "Freehold <cloud@example.org>".parse().unwrap();
        let mail = mail("alice@example.org", "a < b & \"c\"\n");
        let message = compose(Id::from_u64(7), &mail, &from).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        for part in [
            "Message-ID: <000000000000000000000007@example.org>",
            "To: alice@example.org",
            "Auto-Submitted: auto-generated",
            "multipart/alternative",
            "a < b & \"c\"",
            "a &lt; b &amp; &quot;c&quot;",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_wrong_address_is_named() {
        let from = "cloud@example.org".parse().unwrap();
        let refused = compose(Id::from_u64(7), &mail("nobody", "x"), &from).unwrap_err();
        assert!(refused.contains("`nobody`"), "{refused}");
    }

    #[test]
    fn a_reason_repeats_nothing_of_the_mail() {
        let text = "Hello,\n\n    q7VwXz2LkRt9BnMd4HsPc6Jf\n";
        assert_eq!(
            reason("permanent error (550): no such user\nmore", text),
            "permanent error (550): no such user"
        );
        assert!(!reason("550 bad line q7VwXz2LkRt9BnMd4HsPc6Jf", text).contains("q7Vw"));
        assert_eq!(reason(&"x".repeat(500), text).len(), 200);
    }
}
