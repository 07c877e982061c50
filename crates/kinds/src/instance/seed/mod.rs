//! The seed of a machine: `NoCloud` user-data, meta-data and network-config, rendered from templates.
//!
//! Pure, and stable: the same objects give the same bytes. Operators may give their own templates; the
//! variables are those of [`Variables`], and `quote` writes any of them as a YAML string.

use std::net::Ipv4Addr;

use freehold_types::agent::Seed;
use freehold_types::wire::OperatingSystem;
use freehold_types::{ApiError, Id, Secret};
use minijinja::Environment as Templates;
use serde::Serialize;

use crate::environment::{SeedTemplate, SeedTemplates};

const LINUX: [&str; 3] =
    [include_str!("linux/user-data"), include_str!("linux/meta-data"), include_str!("linux/network-config")];
/// Prints what a guest may know of itself.
pub(super) const METADATA_SCRIPT: &str = include_str!("linux/kw-meta");
const WINDOWS: [&str; 3] = [
    include_str!("windows/user-data"),
    include_str!("windows/meta-data"),
    include_str!("windows/network-config"),
];

/// What templates may use.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Variables {
    pub hostname: String,
    pub domain: Option<String>,
    pub instance_id: Id,
    /// The crypt(3) hash for Linux, the text for Windows.
    pub root_password: String,
    pub service_user: String,
    pub service_user_key: String,
    pub region: String,
    pub zone: String,
    pub metadata_endpoint: String,
    /// What the machine is known by there.
    pub metadata_token: String,
    /// The program by which guests ask there.
    pub metadata_script: &'static str,
    pub local_ip: Option<Ipv4Addr>,
    pub interfaces: Vec<Interface>,
}

/// A network card as the guest must set it up.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Interface {
    pub device: String,
    pub mac: String,
    pub private: bool,
    pub mtu: u32,
    /// With prefix lengths.
    pub addresses: Vec<String>,
    pub routes: Vec<Route>,
    pub resolvers: Vec<Ipv4Addr>,
    pub search: Vec<String>,
}

/// A route of a network card.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Route {
    pub to: String,
    pub via: Ipv4Addr,
    pub metric: Option<u32>,
}

/// Renders the three texts.
///
/// # Errors
/// 500 when an operator's template does not render; the reason names it.
pub(super) fn render(
    os: OperatingSystem,
    variables: &Variables,
    templates: &SeedTemplates,
) -> Result<Seed, ApiError> {
    let (own, given) = match os {
        OperatingSystem::Linux => (LINUX, &templates.linux),
        OperatingSystem::Windows => (WINDOWS, &templates.windows),
    };
    let SeedTemplate { user_data, meta_data, network_config } = given;
    let text = |name: &str, given: &Option<String>, own: &str| {
        one(given.as_deref().unwrap_or(own), variables).map(Secret::new).map_err(|error| {
            ApiError::internal(format!(
                "the {name} template does not render: {error:#}; mend it in the configuration"
            ))
        })
    };
    Ok(Seed {
        user_data: text("user-data", user_data, own[0])?,
        meta_data: text("meta-data", meta_data, own[1])?,
        network_config: text("network-config", network_config, own[2])?,
    })
}

/// Renders an operator's templates for a made-up machine, so that faults are found before a machine needs them.
///
/// # Errors
/// As [`render`].
pub fn check(templates: &SeedTemplates) -> Result<(), ApiError> {
    let address = Ipv4Addr::new(192, 0, 2, 7);
    let variables = Variables {
        hostname: "sample".to_owned(),
        domain: Some("example.org".to_owned()),
        instance_id: Id::from_u64(1),
        root_password: "sample".to_owned(),
        service_user: "sample".to_owned(),
        service_user_key: "ssh-ed25519 AAAA sample".to_owned(),
        region: "sample".to_owned(),
        zone: "sample".to_owned(),
        metadata_endpoint: "https://cloud.example.org/latest/meta-data".to_owned(),
        metadata_token: "sample".to_owned(),
        metadata_script: METADATA_SCRIPT,
        local_ip: Some(address),
        interfaces: vec![Interface {
            device: "ens3".to_owned(),
            mac: "da:1e:70:00:00:01".to_owned(),
            private: true,
            mtu: 1_450,
            addresses: vec![format!("{address}/24")],
            routes: vec![Route { to: "0.0.0.0/0".to_owned(), via: address, metric: Some(200) }],
            resolvers: vec![address],
            search: vec!["example.org".to_owned()],
        }],
    };
    [OperatingSystem::Linux, OperatingSystem::Windows]
        .into_iter()
        .try_for_each(|os| render(os, &variables, templates).map(drop))
}

fn one(template: &str, variables: &Variables) -> Result<String, minijinja::Error> {
    let mut templates = Templates::new();
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    templates.set_keep_trailing_newline(true);
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    // A JSON string is a YAML string, whatever is in it.
    templates.add_filter("quote", |text: String| serde_json::Value::from(text).to_string());
    // The same within PowerShell's single quotes.
    templates.add_filter("powershell", |text: String| format!("'{}'", text.replace('\'', "''")));
    templates.render_str(template, variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            hostname: "web1".into(),
            domain: Some("lab.example.org".into()),
            instance_id: Id::from_u64(7),
            root_password: "$6$rounds=4096$salt$hash".into(),
            service_user: "admin".into(),
            service_user_key: "ssh-ed25519 AAAA \"odd\" comment: [x]".into(),
            region: "eu".into(),
            zone: "eu-1".into(),
            metadata_endpoint: "https://cloud.example.org/latest/meta-data".into(),
            metadata_token: "5ec7e7".into(),
            metadata_script: METADATA_SCRIPT,
            local_ip: Some(Ipv4Addr::new(10, 0, 0, 5)),
            interfaces: vec![
                Interface {
                    device: "ens3".into(),
                    mac: "da:1e:70:00:00:01".into(),
                    private: false,
                    mtu: 1500,
                    addresses: vec!["203.0.113.9/24".into()],
                    routes: vec![Route {
                        to: "0.0.0.0/0".into(),
                        via: Ipv4Addr::new(203, 0, 113, 1),
                        metric: Some(100),
                    }],
                    resolvers: vec![Ipv4Addr::new(203, 0, 113, 1)],
                    search: vec![],
                },
                Interface {
                    device: "ens4".into(),
                    mac: "da:1e:70:00:00:02".into(),
                    private: true,
                    mtu: 1450,
                    addresses: vec![],
                    routes: vec![],
                    resolvers: vec![],
                    search: vec![],
                },
            ],
        }
    }

    #[test]
    fn linux_seed() {
        let seed = render(OperatingSystem::Linux, &variables(), &SeedTemplates::default()).unwrap();
        insta::assert_snapshot!("linux_user_data", seed.user_data.expose());
        insta::assert_snapshot!("linux_meta_data", seed.meta_data.expose());
        insta::assert_snapshot!("linux_network_config", seed.network_config.expose());
    }

    #[test]
    fn windows_seed() {
        let variables = Variables { root_password: "it's".into(), ..variables() };
        let seed = render(OperatingSystem::Windows, &variables, &SeedTemplates::default()).unwrap();
        insta::assert_snapshot!("windows_user_data", seed.user_data.expose());
        insta::assert_snapshot!("windows_meta_data", seed.meta_data.expose());
        insta::assert_snapshot!("windows_network_config", seed.network_config.expose());
    }

    #[test]
    fn an_operators_template_is_used_and_its_faults_are_named() {
        let mut templates = SeedTemplates::default();
        templates.linux.user_data = Some("#cloud-config\nhostname: {{ hostname | quote }}\n".into());
        let seed = render(OperatingSystem::Linux, &variables(), &templates).unwrap();
        assert_eq!(seed.user_data.expose(), "#cloud-config\nhostname: \"web1\"\n");
        templates.linux.user_data = Some("{{ hostnam }}".into());
        let error = render(OperatingSystem::Linux, &variables(), &templates).unwrap_err();
        assert!(error.reason.contains("user-data template"), "{}", error.reason);
    }
}
