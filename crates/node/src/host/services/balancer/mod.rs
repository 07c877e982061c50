//! Load balancers: a namespace whose virtual address HAProxy (TCP) and nginx (UDP, which HAProxy does not know)
//! answer at. Both read a changed configuration without cutting what is connected.

mod haproxy;
mod nginx;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use freehold_types::agent::{ObjectKey, ObjectKind};
use freehold_types::service::{Balancer, BalancerDetail};
use freehold_types::wire::Protocol;

use super::daemon::replace;
use super::links::{self, Interface};
use super::vrrp::{self, Instance};
use super::{NetworkServices, nft};
use crate::host::{HostError, ServicePlan};

impl NetworkServices {
    pub(super) async fn balancer(
        &self,
        plan: &ServicePlan<'_, Balancer>,
    ) -> Result<BalancerDetail, HostError> {
        let (id, balancer) = (plan.id, plan.service);
        let key = ObjectKey { kind: ObjectKind::Balancer, id };
        let own = links::own_address(&balancer.private)?;
        let wanted = Interface::new("private", &balancer.private, &plan.segments)?;
        let (directory, namespace) = self.stand(id).await?;
        self.followers.follow(key, &namespace).await?;
        let instances = [Instance {
            vrid: balancer.vrid,
            priority: balancer.priority,
            addresses: vec![(balancer.virtual_address, "private")],
            routers: Vec::new(),
        }];
        // The rules first: they name interfaces that may come later.
        nft::apply(&namespace, &directory, &rules(balancer)).await?;
        links::ensure(id, self.outside(), &namespace, &[wanted], &vrrp::floating(&instances)).await?;
        links::default_route(&namespace, balancer.router).await?;

        // The proxies first, so that they answer from when the address is here.
        let tcp = haproxy::render(balancer);
        self.proxy(key, Protocol::Tcp, balancer, haproxy::daemon(&directory, namespace.path(), &tcp)).await?;
        let udp = nginx::render(balancer, &directory);
        self.proxy(key, Protocol::Udp, balancer, nginx::daemon(&directory, namespace.path(), &udp)).await?;
        self.float(key, own.addr(), &balancer.peers, &instances, &directory, &namespace).await?;
        let active = links::addresses(&namespace).await?.contains(&balancer.virtual_address.addr());
        Ok(BalancerDetail { active, backends: state::backends(balancer, &directory).await })
    }

    /// Runs a proxy while there is something for it to do.
    async fn proxy(
        &self,
        key: ObjectKey,
        protocol: Protocol,
        balancer: &Balancer,
        daemon: super::daemon::Daemon,
    ) -> Result<(), HostError> {
        if !balancer.endpoints.iter().any(|endpoint| endpoint.protocol == protocol) {
            return self.daemons.stop(&daemon.directory, daemon.program).await;
        }
        replace(&daemon.directory.join(format!("{}.conf", daemon.program)), daemon.reloads.as_bytes())?;
        self.daemons.ensure(key, &daemon).await.map(drop)
    }
}

/// What comes in: what is balanced, and what keeps the instances together.
fn rules(balancer: &Balancer) -> String {
    let mut text = "add table inet freehold\ndelete table inet freehold\ntable inet freehold {\n  chain input {\n    \
                    type filter hook input priority filter; policy drop;\n    ct state established,related accept\n    \
                    iifname \"lo\" accept\n    icmp type echo-request accept\n"
        .to_owned();
    for peer in &balancer.peers {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    ip saddr {peer} ip protocol vrrp accept");
    }
    for endpoint in &balancer.endpoints {
        let protocol = match endpoint.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let (address, port) = (balancer.virtual_address.addr(), endpoint.port);
        let _ = writeln!(text, "    ip daddr {address} {protocol} dport {port} accept");
    }
    text.push_str("  }\n");
    if balancer.peers.is_empty() {
        text.push_str(
            "  chain output {\n    type filter hook output priority filter; policy accept;\n    \
             ip daddr 224.0.0.18 drop\n  }\n",
        );
    }
    text.push_str("}\n");
    text
}
