//! `HashiCorp` Vault and `OpenBao`: the KV engine in version 2, over its HTTP interface
//! (<https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>).

use std::path::Path;

use freehold_types::Secret;
use serde_json::{Value, json};

use super::{Environment, agent, answer};
use crate::error::{Error, Result};
use crate::hex;

const ADDRESS: &str = "https://127.0.0.1:8200";

/// Reads one field. Address, token and the rest are taken from the variables that the `vault` client uses.
pub(super) fn read(
    subject: &str,
    mount: &str,
    path: &str,
    field: &str,
    environment: &Environment,
) -> Result<Secret<String>> {
    let fault = |fault: String| Error::Provider { subject: subject.to_owned(), fault };
    let address = environment.variable("VAULT_ADDR").unwrap_or(ADDRESS).trim_end_matches('/');
    let agent = agent(environment.variable("VAULT_CACERT").map(Path::new))?;
    let token = token(subject, address, &agent, environment)?;
    let mut request = agent
        .get(format!("{address}/v1/{}/data/{}", escape(mount), escape(path)))
        .header("X-Vault-Token", token.expose())
        .header("X-Vault-Request", "true");
    if let Some(namespace) = environment.variable("VAULT_NAMESPACE") {
        request = request.header("X-Vault-Namespace", namespace);
    }
    let (status, body) = answer(subject, request.call())?;
    match status {
        200 => {}
        403 => {
            return Err(fault(format!(
                "{address} does not allow it (403); the token needs `read` on {mount}/data/{path}"
            )));
        }
        404 => {
            return Err(fault(format!(
                "{address} has no such secret (404); see `vault kv get -mount={mount} {path}`, and that {mount} is KV \
                 version 2"
            )));
        }
        503 => return Err(fault(format!("{address} is sealed (503); unseal it"))),
        other => return Err(fault(format!("{address} answers with status {other}"))),
    }
    let fields = body.pointer("/data/data").and_then(Value::as_object);
    let fields =
        fields.ok_or_else(|| fault("the answer has no fields; is the engine KV version 2?".to_owned()))?;
    match fields.get(field) {
        Some(Value::String(text)) => Ok(Secret::new(text.clone())),
        Some(_) => Err(fault(format!("the field `{field}` is no text"))),
        None => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            Err(fault(format!("there is no field `{field}`, but: {}", names.join(", "))))
        }
    }
}

/// A token: from `VAULT_TOKEN`, from `~/.vault-token`, or by logging in.
fn token(
    subject: &str,
    address: &str,
    agent: &ureq::Agent,
    environment: &Environment,
) -> Result<Secret<String>> {
    let fault = |fault: String| Error::Provider { subject: subject.to_owned(), fault };
    if let Some(token) = environment.variable("VAULT_TOKEN") {
        return Ok(Secret::new(token.to_owned()));
    }
    if let Some(path) = environment.home().map(|home| home.join(".vault-token")) {
        match std::fs::read_to_string(&path) {
            Ok(token) => return Ok(Secret::new(token.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Io { path, action: "read", source }),
        }
    }
    let (Some(user), Some(password)) =
        (environment.variable("VAULT_USERNAME"), environment.variable("VAULT_PASSWORD"))
    else {
        return Err(fault(
            "there is no token; set VAULT_TOKEN, run `vault login`, or set VAULT_USERNAME and VAULT_PASSWORD"
                .to_owned(),
        ));
    };
    let method = environment.variable("VAULT_AUTH_METHOD").unwrap_or("userpass");
    let url = format!("{address}/v1/auth/{}/login/{}", escape(method), escape(user));
    let body = Secret::new(json!({ "password": password }).to_string());
    let (status, body) = answer(
        subject,
        agent.post(url).header("content-type", "application/json").send(body.expose().as_bytes()),
    )?;
    match body.pointer("/auth/client_token").and_then(Value::as_str) {
        Some(token) if status == 200 => Ok(Secret::new(token.to_owned())),
        _ => Err(fault(format!("{address} refuses to log {user} in by {method} (status {status})"))),
    }
}

/// A path in an address.
fn escape(path: &str) -> String {
    let mut escaped = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &hex::encode(&[byte]).to_uppercase()]);
        }
    }
    escaped
}
