//! Places of keys, and services against small servers that speak their interface.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Answers one request after the other; what was asked comes back in the end.
fn server(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let handle = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if rest.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break;
                }
            }
            asked.push(String::from_utf8(request).unwrap());
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
        asked
    });
    (address, handle)
}

fn resolve(reference: &str, variables: &[(&str, &str)]) -> Result<String> {
    reference.parse::<Reference>()?.resolve(&Environment::of(variables)).map(Secret::into_inner)
}

#[test]
fn keys_are_looked_for_where_sops_looks() {
    let directory = tempfile::tempdir().unwrap();
    let keys = [Identity::generate(), Identity::generate(), Identity::generate()];
    let text = |key: &Identity| key.to_key_file("now").unwrap().into_inner();
    let file = directory.path().join("key.txt");
    std::fs::write(&file, text(&keys[1])).unwrap();
    let default = directory.path().join("sops/age/keys.txt");
    std::fs::create_dir_all(default.parent().unwrap()).unwrap();
    std::fs::write(&default, text(&keys[2])).unwrap();
    let environment = Environment::of(&[
        ("SOPS_AGE_KEY", &text(&keys[0])),
        ("SOPS_AGE_KEY_FILE", file.to_str().unwrap()),
        ("XDG_CONFIG_HOME", directory.path().to_str().unwrap()),
    ]);
    let ring = Keyring::find(&environment).unwrap();
    let found: Vec<_> = ring.identities().iter().map(|key| key.recipient().clone()).collect();
    assert_eq!(found, keys.iter().map(|key| key.recipient().clone()).collect::<Vec<_>>());
    assert!(ring.warnings().iter().any(|warning| warning.contains("chmod 600")), "{:?}", ring.warnings());
    let none = Keyring::find(&Environment::of(&[("HOME", "/nonexistent")])).unwrap();
    let told = none.none_opens("f", &[]).to_string();
    for place in ["SOPS_AGE_KEY (not set)", "SOPS_AGE_KEY_FILE (not set)", "/nonexistent/", "does not exist"]
    {
        assert!(told.contains(place), "{place} in {told}");
    }
    let missing = Environment::of(&[("SOPS_AGE_KEY_FILE", "/nonexistent/key")]);
    assert!(Keyring::find(&missing).unwrap_err().to_string().contains("/nonexistent/key"));
}

#[test]
fn a_master_key_of_kobra_is_a_key() {
    use base64::Engine;
    let key = Identity::generate();
    let secret = key.to_secret_text().unwrap();
    let json = format!(
        "{{\"created_at\":\"2026-01-01\",\"public_key\":\"{}\",\"secret_key\":\"{}\"}}",
        key.recipient(),
        secret.expose()
    );
    let wrapped = base64::engine::general_purpose::STANDARD.encode(json);
    let environment =
        Environment::of(&[("KOBRA_MASTER_KEY", &wrapped), (KEY_REFERENCE, "env://KOBRA_MASTER_KEY")]);
    let ring = Keyring::find(&environment).unwrap();
    assert_eq!(ring.identities()[0].recipient(), key.recipient());
}

#[test]
fn references_read_back_and_refuse_what_they_do_not_know() {
    for text in
        ["env://A", "file:///etc/x", "prompt://key", "vault://secret/a/b#c", "aws://name", "aws://n#f"]
    {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }
    for (text, expected) in [
        ("hunter2", "a reference: it has no scheme"),
        ("vault://secret/a", "the field is missing"),
        ("vault://secret/../sys#x", "`..`"),
        ("keyring://x", "not supported"),
        ("http://x", "none of"),
        ("env://", "nothing"),
    ] {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(resolve("env://A", &[("A", "x")]).unwrap(), "x");
    assert!(resolve("env://A", &[]).unwrap_err().to_string().contains("env://A: the variable is not set"));
    assert!(resolve("prompt://A", &[]).unwrap_err().to_string().contains("no terminal"));
}

#[test]
fn vault_is_asked_as_its_interface_wants() {
    let found = r#"{"data":{"data":{"age":"hunter2","other":1},"metadata":{"version":3}}}"#.to_owned();
    let (address, asked) = server(vec![
        (200, found.clone()),
        (200, found.clone()),
        (404, "{}".to_owned()),
        (403, "{}".to_owned()),
    ]);
    let variables =
        [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", "s.token"), ("VAULT_NAMESPACE", "team")];
    let reference = "vault://secret/platform/main key#age";
    assert_eq!(resolve(reference, &variables).unwrap(), "hunter2");
    let error = resolve("vault://secret/x#nope", &variables).unwrap_err().to_string();
    assert!(error.contains("no field `nope`, but: age, other") && !error.contains("hunter2"), "{error}");
    assert!(resolve(reference, &variables).unwrap_err().to_string().contains("404"));
    assert!(resolve(reference, &variables).unwrap_err().to_string().contains("`read` on secret/data/"));
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with("GET /v1/secret/data/platform/main%20key HTTP/1.1\r\n"), "{}", asked[0]);
    let head = asked[0].to_lowercase();
    assert!(head.contains("x-vault-token: s.token") && head.contains("x-vault-namespace: team"), "{head}");

    let login = r#"{"auth":{"client_token":"s.new"}}"#.to_owned();
    let (address, asked) = server(vec![(200, login), (200, found)]);
    let variables = [("VAULT_ADDR", address.as_str()), ("VAULT_USERNAME", "me"), ("VAULT_PASSWORD", "pw")];
    assert_eq!(resolve("vault://secret/x#age", &variables).unwrap(), "hunter2");
    let asked = asked.join().unwrap();
    assert!(
        asked[0].starts_with("POST /v1/auth/userpass/login/me ")
            && asked[0].ends_with(r#"{"password":"pw"}"#)
    );
    assert!(asked[1].to_lowercase().contains("x-vault-token: s.new"));
    let error = resolve("vault://secret/x#age", &[("VAULT_ADDR", &address)]).unwrap_err().to_string();
    assert!(error.contains("there is no token"), "{error}");
}

#[test]
fn secrets_manager_is_asked_with_a_signature() {
    let found = r#"{"Name":"n","SecretString":"{\"age\":\"hunter2\"}"}"#.to_owned();
    let refused = r#"{"__type":"ResourceNotFoundException"}"#.to_owned();
    let (address, asked) = server(vec![(200, found.clone()), (200, found), (400, refused)]);
    let variables = [
        ("AWS_ENDPOINT_URL", address.as_str()),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "very-secret"),
        ("AWS_SESSION_TOKEN", "session"),
    ];
    assert_eq!(resolve("aws://main#age", &variables).unwrap(), "hunter2");
    assert_eq!(resolve("aws://main", &variables).unwrap(), r#"{"age":"hunter2"}"#);
    let error = resolve("aws://main", &variables).unwrap_err().to_string();
    assert!(error.contains("ResourceNotFoundException") && !error.contains("very-secret"), "{error}");
    let asked = asked.join().unwrap();
    let request = asked[0].to_lowercase();
    for part in [
        "post / http/1.1",
        "x-amz-target: secretsmanager.getsecretvalue",
        "x-amz-security-token: session",
        "authorization: aws4-hmac-sha256 credential=akid/",
        "/eu-west-3/secretsmanager/aws4_request",
        "signedheaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        r#"{"secretid":"main"}"#,
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    assert_eq!(request.matches("\r\nhost:").count(), 1, "{request}");
    let error = resolve("aws://main", &variables[1..2]).unwrap_err().to_string();
    assert!(error.contains("AWS_ACCESS_KEY_ID is not set"), "{error}");
}
