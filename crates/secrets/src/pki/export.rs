//! The files of certificates: PEM, and kubeconfigs for clients of Kubernetes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use freehold_types::Secret;

use super::inventory::{Item, KUBERNETES, Purpose};
use super::store::{Pair, Store};

/// A file to write.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path, relative.
    pub path: String,
    /// 0600 for what is private, else 0644.
    pub mode: u32,
    /// What is in it.
    pub content: Secret<String>,
}

/// All files: `NAME.crt` and `NAME.key`, `NAME.pub` for pairs of keys, `NAME.conf` for clients of Kubernetes.
pub fn export(inventory: &[Item], store: &Store) -> Vec<File> {
    let mut files = Vec::new();
    for item in inventory {
        let Some(pair) = store.0.get(&item.name) else { continue };
        let ending = if item.purpose == Purpose::KeyPair { "pub" } else { "crt" };
        files.push(File {
            path: format!("{}.{ending}", item.name),
            mode: 0o644,
            content: Secret::new(pair.certificate.clone()),
        });
        files.push(File {
            path: format!("{}.key", item.name),
            mode: 0o600,
            content: pair.private_key.clone(),
        });
        if let (Some(server), Some(authority)) = (&item.kubeconfig, store.0.get(KUBERNETES)) {
            files.push(File {
                path: format!("{}.conf", item.name),
                mode: 0o600,
                content: kubeconfig(server, &item.common_name, &authority.certificate, pair),
            });
        }
    }
    files
}

/// A kubeconfig of one cluster and one user (`v1`, `Config`).
fn kubeconfig(server: &str, user: &str, authority: &str, pair: &Pair) -> Secret<String> {
    let encode = |text: &str| STANDARD.encode(text);
    Secret::new(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: kubernetes\nclusters:\n- name: kubernetes\n  cluster:\n    server: \
         {server}\n    certificate-authority-data: {}\ncontexts:\n- name: kubernetes\n  context:\n    cluster: \
         kubernetes\n    user: \"{user}\"\nusers:\n- name: \"{user}\"\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\n",
        encode(authority),
        encode(&pair.certificate),
        encode(pair.private_key.expose())
    ))
}
