//! Gateways and load balancers on this host: network namespaces with daemons in them.

use std::path::PathBuf;

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::ObjectKey;
use freehold_types::service::{Balancer, BalancerDetail, Gateway, GatewayDetail};
use tokio::sync::mpsc;

use super::{HostError, ServicePlan, Services};

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
    #[expect(dead_code, reason = "used by what follows")]
    config: ServicesConfig,
}

impl NetworkServices {
    /// Services as configured. Nothing is touched before the first call.
    pub const fn new(config: ServicesConfig) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Services for NetworkServices {
    async fn ensure_gateway(&self, plan: &ServicePlan<'_, Gateway>) -> Result<GatewayDetail, HostError> {
        Err(HostError::Refused(format!("gateway {}: this node does not make gateways", plan.id)))
    }

    async fn remove_gateway(&self, _: Id) -> Result<(), HostError> {
        Ok(())
    }

    async fn ensure_balancer(&self, plan: &ServicePlan<'_, Balancer>) -> Result<BalancerDetail, HostError> {
        Err(HostError::Refused(format!("load balancer {}: this node does not make balancers", plan.id)))
    }

    async fn remove_balancer(&self, _: Id) -> Result<(), HostError> {
        Ok(())
    }

    fn events(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        mpsc::unbounded_channel().1
    }
}
