//! What the controller's configuration means to the kinds: values, read once, no I/O.

use std::time::Duration;

use freehold_types::Secret;

/// Settings that decisions depend on.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where users reach the controller, without a trailing slash.
    pub public_url: String,
    /// SHA-256 of the master key.
    pub master_key_digest: [u8; 32],
    /// Signs session tokens.
    pub session_key: Secret<Vec<u8>>,
    pub session_lifetime: Duration,
    /// Receives the keys of agents; none: they go to the outbox without an address.
    pub admin_email: Option<String>,
    /// Account and SSH key given to machines of projects that name none.
    pub bootstrap_user: String,
    pub bootstrap_key: String,
    /// Whether hosts themselves hold the gateway address of subnets (one node, no gateway yet).
    pub host_gateways: bool,
    /// Largest virtual size of an image, in bytes.
    pub image_limit: u64,
    /// `http` image sources are accepted, beside `https`.
    pub plain_images: bool,
    pub seed: SeedTemplates,
}

/// Templates of machine seeds; ours unless the operator gives others.
#[derive(Debug, Clone, Default)]
pub struct SeedTemplates {
    pub linux: SeedTemplate,
    pub windows: SeedTemplate,
}

/// The three texts of a seed, as Jinja templates; absent ones are ours.
#[derive(Debug, Clone, Default)]
pub struct SeedTemplate {
    pub user_data: Option<String>,
    pub meta_data: Option<String>,
    pub network_config: Option<String>,
}

impl Environment {
    /// Settings for tests: fixed keys, no mail.
    pub fn for_tests() -> Self {
        Self {
            public_url: "https://cloud.example.org".to_owned(),
            master_key_digest: crate::key::digest("master"),
            session_key: Secret::new(vec![7; 32]),
            session_lifetime: Duration::from_hours(24),
            admin_email: None,
            bootstrap_user: "admin".to_owned(),
            bootstrap_key:
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx7xvr5oZJjzY1kQm8W1p3c0rP2m2b6Jk5mC0R8yq3H test"
                    .to_owned(),
            host_gateways: true,
            image_limit: 1 << 40,
            plain_images: true,
            seed: SeedTemplates::default(),
        }
    }
}
