//! Kubernetes: an endpoint that survives, and room for its nodes.

use super::{Context, list};
use crate::fault::Fault;
use crate::model::{Kubernetes, Role};
use crate::path::path_to;

pub(super) fn check(context: &Context<'_>) -> Vec<Fault> {
    let mut faults = taints(context);
    if let Some(kubernetes) = &context.platform.services.kubernetes {
        faults.extend(endpoint(context, kubernetes));
        faults.extend(room(context, kubernetes));
    }
    faults
}

fn endpoint(context: &Context<'_>, kubernetes: &Kubernetes) -> Option<Fault> {
    let at = path_to!["services", "kubernetes", "endpoint"];
    let endpoint = kubernetes.endpoint.as_str();
    let planes = context.with(Role::ControlPlane);
    let Some(vip) = context.platform.vips.get(endpoint) else {
        if planes.len() > 1 {
            return Some(
                Fault::value(at, format!("there are {} control planes, and their API is reached at the machine `{endpoint}` only", planes.len()))
                    .hint("add a virtual address to `vips`, held by the control planes, and name it here"),
            );
        }
        let is_plane = planes.iter().any(|(name, _)| name.as_str() == endpoint);
        return (!is_plane && !planes.is_empty()).then(|| {
            Fault::value(at, format!("the machine `{endpoint}` does not have the role `control-plane`"))
                .absence()
        });
    };
    let serves = |name: &str| {
        let of = |role| context.with(role).iter().any(|(one, _)| one.as_str() == name);
        of(Role::ControlPlane) || of(Role::Haproxy)
    };
    let holders = context.platform.members(&vip.holders);
    let idle: Vec<_> = holders.iter().filter(|holder| !serves(holder.as_str())).collect();
    (!idle.is_empty()).then(|| {
        Fault::value(
            at,
            format!(
                "{} may hold `{endpoint}`, and have neither the role `control-plane` nor `haproxy`",
                list(&idle)
            ),
        )
        .also(path_to!["vips", endpoint, "holders"], "the holders")
        .hint("the API does not answer while they hold the address")
        .absence()
    })
}

fn room(context: &Context<'_>, kubernetes: &Kubernetes) -> Option<Fault> {
    let prefix = kubernetes.pod_cidr.0.prefix_len();
    let at = path_to!["services", "kubernetes", "node_mask"];
    if kubernetes.node_mask < prefix || kubernetes.node_mask > kubernetes.pod_cidr.0.max_prefix_len() {
        return Some(
            Fault::value(
                at,
                format!(
                    "pods of one node (/{}) do not fit the network of pods ({})",
                    kubernetes.node_mask, kubernetes.pod_cidr
                ),
            )
            .hint("make `pod_cidr` larger, or `node_mask` longer"),
        );
    }
    let nodes = context
        .machines
        .iter()
        .filter(|(_, _, roles)| roles.contains(&Role::ControlPlane) || roles.contains(&Role::Worker))
        .count();
    let room = 1_u128.checked_shl(u32::from(kubernetes.node_mask - prefix)).unwrap_or(u128::MAX);
    (nodes as u128 > room).then(|| {
        Fault::value(
            path_to!["services", "kubernetes", "pod_cidr"],
            format!("the network of pods has room for {room} nodes, and there are {nodes}"),
        )
        .hint("make `pod_cidr` larger, or `node_mask` longer")
    })
}

/// Taints have the form `KEY=VALUE:EFFECT` or `KEY:EFFECT`.
fn taints(context: &Context<'_>) -> Vec<Fault> {
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut faults = Vec::new();
    for (name, machine, _) in &context.machines {
        for (at, taint) in machine.taints.iter().enumerate() {
            let is_taint = taint
                .rsplit_once(':')
                .is_some_and(|(key, effect)| !key.is_empty() && EFFECTS.contains(&effect));
            if !is_taint {
                faults.push(
                    Fault::value(
                        path_to!["machines", name, "taints", at],
                        format!("`{taint}` is not a taint"),
                    )
                    .hint("write KEY=VALUE:EFFECT, with NoSchedule, PreferNoSchedule or NoExecute"),
                );
            }
        }
    }
    faults
}
