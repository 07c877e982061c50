//! Which version of the contract a client was generated from.
//!
//! Released clients refuse fields that they do not know. They name themselves in `User-Agent` as
//! `OpenAPI-Generator/<version>/<language>`; others can say `X-Freehold-Contract: <version>`.

use http::HeaderMap;
use http::header::USER_AGENT;

/// A version of the public contract, such as (0, 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContractVersion(pub u16, pub u16);

/// The newest contract.
pub const CURRENT: ContractVersion = ContractVersion(0, 58);

/// What the client knows; a client that says nothing is taken to be current.
pub fn contract_version(headers: &HeaderMap) -> ContractVersion {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    header("x-freehold-contract")
        .and_then(parse)
        .or_else(|| {
            let agent = header(USER_AGENT.as_str())?;
            let version = agent.strip_prefix("OpenAPI-Generator/")?.split('/').next()?;
            parse(version)
        })
        .unwrap_or(CURRENT)
}

fn parse(version: &str) -> Option<ContractVersion> {
    let mut parts = version.split('.');
    Some(ContractVersion(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &'static str, value: &'static str) -> ContractVersion {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_static(value));
        contract_version(&headers)
    }

    #[test]
    fn generated_clients_are_recognised() {
        assert_eq!(version("user-agent", "OpenAPI-Generator/0.53.2/go"), ContractVersion(0, 53));
        assert_eq!(version("user-agent", "OpenAPI-Generator/0.58.0/python"), CURRENT);
        assert_eq!(version("user-agent", "curl/8.0"), CURRENT);
        assert_eq!(version("user-agent", "OpenAPI-Generator/x/go"), CURRENT);
        assert_eq!(version("x-freehold-contract", "0.52.5"), ContractVersion(0, 52));
    }
}
