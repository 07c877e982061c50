//! Signatures of AWS in version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>), for requests
//! without a query. Pure.

use freehold_types::Secret;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::hex;

/// Who signs, for what.
#[derive(Debug)]
pub(super) struct Signer<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: Secret<&'a str>,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// A request. Names of headers are in lower case and sorted; `x-amz-date` and `host` are among them.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) time: &'a str,
}

impl Signer<'_> {
    /// The header `Authorization`.
    pub(super) fn authorization(&self, request: &Request<'_>) -> String {
        let date = request.time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let headers: Vec<String> =
            request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let headers = headers.concat();
        let canonical =
            format!("{}\n{}\n\n{headers}\n{names}\n{}", request.method, request.path, digest(request.body));
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", request.time, digest(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_key.expose()).into_bytes();
        for part in [date, self.region, self.service, "aws4_request"] {
            key = sign(&key, part.as_bytes());
        }
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.access_key,
            hex::encode(&sign(&key, to_sign.as_bytes()))
        )
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From AWS's published suite `aws-sig-v4-test-suite`.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let signer = Signer {
            access_key: "AKIDEXAMPLE",
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1",
            service: "service",
        };
        let host = ("host", "example.amazonaws.com");
        let time = "20150830T123600Z";
        let date = ("x-amz-date", time);
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (name, method, headers, body, expected) in [
            (
                "get-vanilla",
                "GET",
                vec![host, date],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                vec![host, date],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                vec![form, host, date],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let request = Request { method, path: "/", headers: &headers, body: body.as_bytes(), time };
            let authorization = signer.authorization(&request);
            assert!(authorization.ends_with(&format!("Signature={expected}")), "{name}: {authorization}");
        }
        assert!(!format!("{signer:?}").contains("wJalr"));
    }
}
