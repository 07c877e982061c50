//! Gateways and load balancers on this host: network namespaces with daemons in them.
//!
//! Each service has a directory in the node's state, with its namespace (a bind mount), its configurations, which
//! only root reads, and the logs of its daemons. Cables join the namespace to the bridges of its segments.
//!
//! *Guarantees:* what runs goes on when the node stops, and is known again when it starts; rules change in one
//! step, and cut nothing that is connected; a removed service leaves nothing. *Must not:* touch a process, an
//! interface or a namespace that it did not make.

mod balancer;
pub(in crate::host) mod daemon;
mod follow;
mod gateway;
mod links;
mod namespace;
pub(in crate::host) mod nft;
mod share;
mod vrrp;

use std::fs::{DirBuilder, remove_dir_all};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::ObjectKey;
use freehold_types::service::{Balancer, BalancerDetail, Gateway, GatewayDetail, Share};
use tokio::sync::mpsc;

use self::daemon::{Daemons, replace};
use self::follow::Followers;
use self::namespace::Namespace;
use super::{HostError, ServicePlan, Services};

/// The daemons that a service may have.
const DAEMONS: &[&str] = &["charon-systemd", "dnsmasq", "keepalived", "haproxy", "nginx", "ganesha.nfsd"];

/// How services are set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicesConfig {
    /// Directory of what services need: configurations, sockets, logs.
    pub state: PathBuf,
    /// Network namespace whose bridges they join, as a path such as `/run/netns/name`. Without one, that
    /// of the process.
    pub namespace: Option<PathBuf>,
}

/// The services of this host.
#[derive(Debug)]
pub struct NetworkServices {
    config: ServicesConfig,
    daemons: Daemons,
    followers: Followers,
    events: Mutex<Option<mpsc::UnboundedReceiver<ObjectKey>>>,
}

impl NetworkServices {
    /// Services as configured. Nothing is touched before the first call.
    pub fn new(config: ServicesConfig) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let followers = Followers::new(sender.clone());
        Self { config, daemons: Daemons::new(sender), followers, events: Mutex::new(Some(receiver)) }
    }

    /// The network namespace of the bridges.
    fn outside(&self) -> Option<&Path> {
        self.config.namespace.as_deref()
    }

    /// The directory of a service, made when it is not there.
    fn directory(&self, id: Id) -> Result<PathBuf, HostError> {
        let directory = self.config.state.join(id.to_string());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map(|()| directory)
            .map_err(|error| HostError::Failed(format!("{}: {error}", self.config.state.display())))
    }

    /// The directory and the namespace of a service, made when they are not there.
    async fn stand(&self, id: Id) -> Result<(PathBuf, Namespace), HostError> {
        let directory = self.directory(id)?;
        let namespace = Namespace::new(&directory);
        namespace.ensure(Daemons::living(&directory, DAEMONS)).await?;
        Ok((directory, namespace))
    }

    /// Lets the virtual addresses of a service come and go between its instances.
    async fn float(
        &self,
        key: ObjectKey,
        own: Ipv4Addr,
        peers: &[Ipv4Addr],
        instances: &[vrrp::Instance],
        directory: &Path,
        namespace: &Namespace,
    ) -> Result<(), HostError> {
        let configuration = vrrp::render(key.id, own, peers, instances);
        replace(&directory.join("keepalived.conf"), configuration.as_bytes())?;
        let daemon = vrrp::daemon(directory, namespace.path(), &configuration);
        self.daemons.ensure(key, &daemon).await.map(drop)
    }

    /// Ends the daemons of a service, and removes all that it left.
    async fn remove(&self, id: Id) -> Result<(), HostError> {
        let directory = self.config.state.join(id.to_string());
        if !directory.exists() {
            return Ok(());
        }
        for daemon in DAEMONS {
            self.daemons.stop(&directory, daemon).await?;
        }
        self.followers.forget(id);
        links::remove(id, self.outside()).await?;
        Namespace::new(&directory).remove()?;
        match remove_dir_all(&directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(HostError::Failed(format!("{} cannot be removed: {error}", directory.display())))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Services for NetworkServices {
    async fn ensure_gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        self.gateway(plan).await
    }

    async fn remove_gateway(&self, id: Id) -> Result<(), HostError> {
        self.remove(id).await
    }

    async fn ensure_balancer(&self, plan: &ServicePlan<'_, Balancer>) -> Result<BalancerDetail, HostError> {
        self.balancer(plan).await
    }

    async fn remove_balancer(&self, id: Id) -> Result<(), HostError> {
        self.remove(id).await
    }

    async fn ensure_share(&self, plan: &ServicePlan<'_, Share>) -> Result<u64, HostError> {
        self.share(plan).await
    }

    async fn remove_share(&self, id: Id, share: &Share) -> Result<(), HostError> {
        self.remove_files(id, share).await
    }

    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        events.unwrap_or_else(|| mpsc::unbounded_channel().1)
    }
}
