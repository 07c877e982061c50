//! `freehold controller`: the controller role, from its configuration file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use freehold_controller::config::{SmtpConfig, SmtpSecurity};
use freehold_controller::{Controller, ControllerConfig, Tls};
use freehold_kinds::environment::{Environment, SeedTemplate, SeedTemplates};
use freehold_kinds::key;
use freehold_store::{Sealer, Sqlite};
use freehold_types::Secret;
use serde::Deserialize;

use crate::home::Secrets;
use crate::{files, logging};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Configuration file, YAML or JSON
    #[arg(long, short, value_name = "FILE", default_value = "/etc/freehold/controller.yaml")]
    config: PathBuf,
}

/// The configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    /// Where users reach the controller, such as `https://cloud.example.org`.
    public_url: String,
    tls: Option<TlsFiles>,
    /// SQLite file.
    #[serde(default = "default_store")]
    store: PathBuf,
    /// JSON file of secrets, as `freehold up` makes it; made when it is missing.
    #[serde(default = "default_secrets")]
    secrets: PathBuf,
    #[serde(default = "default_session_hours")]
    session_hours: u64,
    admin_email: Option<String>,
    /// None: mails stay in the outbox.
    smtp: Option<Smtp>,
    /// How long lines of the change log are kept.
    #[serde(default = "default_keep_log_days")]
    keep_log_days: u64,
    bootstrap: Bootstrap,
    #[serde(default)]
    host_gateways: bool,
    #[serde(default = "default_image_limit")]
    image_limit: u64,
    #[serde(default)]
    plain_images: bool,
    #[serde(default)]
    seed: SeedFiles,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// The server that takes mails for delivery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smtp {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    security: Security,
    username: Option<String>,
    /// File that holds the password; white space around it is ignored.
    password_file: Option<PathBuf>,
    from: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    StartTls,
    Tls,
    None,
}

impl Smtp {
    fn settings(&self) -> Result<SmtpConfig> {
        let security = match self.security {
            Security::StartTls => SmtpSecurity::StartTls,
            Security::Tls => SmtpSecurity::Tls,
            Security::None => SmtpSecurity::None,
        };
        let usual_port = if matches!(self.security, Security::Tls) { 465 } else { 587 };
        let password = self.password_file.as_deref().map(files::read).transpose()?;
        Ok(SmtpConfig {
            port: self.port.unwrap_or(usual_port),
            security,
            username: self.username.clone(),
            password: password.map(|text| Secret::new(text.trim().to_owned())),
            ..SmtpConfig::new(&self.host, &self.from)
        })
    }
}

/// Account and key given to machines of projects that name none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bootstrap {
    user: String,
    pubkey: String,
}

/// Files of templates for machine seeds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SeedFiles {
    linux: TemplateFiles,
    windows: TemplateFiles,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TemplateFiles {
    user_data: Option<PathBuf>,
    meta_data: Option<PathBuf>,
    network_config: Option<PathBuf>,
}

impl TemplateFiles {
    fn read(&self) -> Result<SeedTemplate> {
        let text = |path: &Option<PathBuf>| path.as_deref().map(files::read).transpose();
        Ok(SeedTemplate {
            user_data: text(&self.user_data)?,
            meta_data: text(&self.meta_data)?,
            network_config: text(&self.network_config)?,
        })
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))
}

fn default_store() -> PathBuf {
    "/var/lib/freehold/store.sqlite".into()
}

fn default_secrets() -> PathBuf {
    "/etc/freehold/secrets.json".into()
}

const fn default_session_hours() -> u64 {
    24
}

const fn default_keep_log_days() -> u64 {
    90
}

const fn default_image_limit() -> u64 {
    2 << 40
}

pub(super) fn run(arguments: &Arguments, logging: &logging::Options) -> Result<ExitCode> {
    logging::start(logging, None)?;
    let config: File = serde_norway::from_str(&files::read(&arguments.config)?)
        .with_context(|| format!("the configuration {} cannot be used", arguments.config.display()))?;
    let secrets = Secrets::ensure(&config.secrets)?;
    let environment = environment(&config, &secrets)?;
    let sealer = Sealer::new(&Secrets::bytes(&secrets.seal_key)?);
    let store = Sqlite::open(&config.store, sealer).context("the store cannot be opened")?;
    let tls = config.tls.map(|TlsFiles { certificate, key }| Tls { certificate, key });
    let settings = ControllerConfig {
        listen: config.listen,
        tls,
        smtp: config.smtp.as_ref().map(Smtp::settings).transpose()?,
        keep_log: Duration::from_hours(24 * config.keep_log_days),
    };
    super::runtime()?.block_on(async {
        let controller = Controller::start(settings, environment, store).await?;
        super::ended().await?;
        controller.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn environment(config: &File, secrets: &Secrets) -> Result<Environment> {
    let seed = SeedTemplates { linux: config.seed.linux.read()?, windows: config.seed.windows.read()? };
    freehold_kinds::instance::check_seed_templates(&seed).context("the templates of seeds cannot be used")?;
    Ok(Environment {
        public_url: config.public_url.trim_end_matches('/').to_owned(),
        master_key_digest: key::digest(&secrets.master_key),
        session_key: Secret::new(Secrets::bytes(&secrets.session_key)?.to_vec()),
        session_lifetime: Duration::from_secs(config.session_hours * 3_600),
        admin_email: config.admin_email.clone(),
        bootstrap_user: config.bootstrap.user.clone(),
        bootstrap_key: config.bootstrap.pubkey.clone(),
        host_gateways: config.host_gateways,
        image_limit: config.image_limit,
        plain_images: config.plain_images,
        seed,
    })
}
