//! AWS Secrets Manager, `GetSecretValue`
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

use freehold_types::{Secret, Timestamp};
use serde_json::{Value, json};

use super::signature::{Request, Signer};
use super::{Environment, agent, answer};
use crate::error::{Error, Result};

const CONTENT: &str = "application/x-amz-json-1.1";
const TARGET: &str = "secretsmanager.GetSecretValue";

/// Reads a secret, or a field of it. Credentials and region are taken from the variables that AWS's tools use.
pub(super) fn read(
    subject: &str,
    name: &str,
    field: Option<&str>,
    environment: &Environment,
) -> Result<Secret<String>> {
    let fault = |fault: String| Error::Provider { subject: subject.to_owned(), fault };
    let needed = |name: &str| {
        environment.variable(name).ok_or_else(|| {
            fault(format!("{name} is not set; profiles and roles of machines are not looked at, so set it"))
        })
    };
    let region = environment.variable("AWS_REGION").or_else(|| environment.variable("AWS_DEFAULT_REGION"));
    let region =
        region.or_else(|| region_of(name)).ok_or_else(|| fault("AWS_REGION is not set".to_owned()))?;
    let signer = Signer {
        access_key: needed("AWS_ACCESS_KEY_ID")?,
        secret_key: Secret::new(needed("AWS_SECRET_ACCESS_KEY")?),
        region,
        service: "secretsmanager",
    };
    let endpoint = environment
        .variable("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        .or_else(|| environment.variable("AWS_ENDPOINT_URL"))
        .map_or_else(|| format!("https://secretsmanager.{region}.amazonaws.com"), str::to_owned);
    let endpoint = endpoint.trim_end_matches('/');
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    let body = json!({ "SecretId": name }).to_string();
    let time = time();
    let token = environment.variable("AWS_SESSION_TOKEN");
    let mut headers = vec![("content-type", CONTENT), ("host", host), ("x-amz-date", &time)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-target", TARGET));
    let request =
        Request { method: "POST", path: "/", headers: &headers, body: body.as_bytes(), time: &time };
    let authorization = signer.authorization(&request);
    let mut call = agent(None)?.post(format!("{endpoint}/")).header("authorization", &authorization);
    for (name, value) in &headers {
        call = call.header(*name, *value);
    }
    let (status, body) = answer(subject, call.send(body.as_bytes()))?;
    if status != 200 {
        let kind = body.get("__type").and_then(Value::as_str).unwrap_or("no reason given");
        return Err(fault(format!(
            "{host} refuses with status {status} ({kind}); check name, region and the permission \
             secretsmanager:GetSecretValue"
        )));
    }
    let text = body.get("SecretString").and_then(Value::as_str);
    let text =
        Secret::new(text.ok_or_else(|| fault("the secret is binary, and only text is read".to_owned()))?);
    let Some(field) = field else { return Ok(Secret::new((*text.expose()).to_owned())) };
    let fields: Value = serde_json::from_str(text.expose())
        .map_err(|_| fault(format!("the secret is no JSON, so it has no field `{field}`")))?;
    let value = fields.get(field).and_then(Value::as_str);
    value
        .map(|value| Secret::new(value.to_owned()))
        .ok_or_else(|| fault(format!("it has no text field `{field}`")))
}

/// The region in an ARN.
fn region_of(name: &str) -> Option<&str> {
    name.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

/// Now, as AWS writes it.
fn time() -> String {
    // 2026-01-02T03:04:05.678Z
    let text = Timestamp::now().to_string();
    let seconds: String = text.chars().take(19).filter(|character| !"-:".contains(*character)).collect();
    format!("{seconds}Z")
}
