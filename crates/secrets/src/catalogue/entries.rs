//! The list. Lengths and forms are those that the services take; see the notes where that is less than one would like.

use super::{Alphabet, Entry, Kind, Rotation};

use Alphabet::{Alphanumeric, Hexadecimal, LowerAlphanumeric, UpperAlphanumeric};
use Kind::{
    BcryptSalt, BootstrapToken, Cephx, Given, Key, MosquittoHash, Password, ShadowHash, ShortUuid, SshKey,
    UrlKey, Uuid,
};
use Rotation::{Apply, Never, Outside, Restart, Stepwise};

/// What most services take.
const PASSWORD: Kind = Password(40, Alphanumeric);

type Row = (&'static str, Kind, &'static str, Rotation);

/// Everything but `OpenStack`.
const PLATFORM: &[Row] = &[
    ("node.root_password", Password(32, Alphanumeric), "console of nodes", Apply),
    ("node.root_password_hash", ShadowHash("root_password"), "`/etc/shadow` of nodes", Apply),
    (
        "node.ssh_key",
        SshKey,
        "operators and the engine, to log in to nodes",
        Stepwise("add the new key, apply, remove the old one"),
    ),
    // keepalived reads eight characters and drops the rest without a word.
    ("keepalived.password", Password(8, Alphanumeric), "VRRP between nodes", Restart),
    ("kubernetes.bootstrap_token", BootstrapToken, "nodes that join", Apply),
    (
        "kubernetes.encryption_key",
        Key(32),
        "kube-apiserver, to encrypt Secrets in etcd",
        Stepwise(
            "add as second key, restart all, move first, restart all, rewrite all Secrets, drop the old one",
        ),
    ),
    ("etcd.cluster_token", Password(32, Alphanumeric), "etcd members, when the cluster is made", Never),
    ("ceph.fsid", Uuid, "everything of Ceph, as the name of the cluster", Never),
    ("ceph.mon_key", Cephx, "monitors", Stepwise("stop monitors one by one, replace their keyring")),
    ("ceph.admin_key", Cephx, "operators on nodes with the role of a monitor", Apply),
    ("ceph.bootstrap_osd_key", Cephx, "making of OSDs", Apply),
    ("ceph.bootstrap_mgr_key", Cephx, "making of managers", Apply),
    ("ceph.bootstrap_mds_key", Cephx, "making of metadata servers", Apply),
    ("ceph.bootstrap_rgw_key", Cephx, "making of gateways", Apply),
    ("ceph.libvirt_key", Cephx, "hypervisors, for disks of machines", Restart),
    ("ceph.libvirt_secret_uuid", Uuid, "libvirt, as the name of that key", Never),
    ("ceph.dashboard_password", Password(32, Alphanumeric), "the dashboard", Apply),
    ("ceph.rgw_access_key", Password(20, UpperAlphanumeric), "S3 clients of the platform", Apply),
    ("ceph.rgw_secret_key", PASSWORD, "S3 clients of the platform", Apply),
    ("mqtt.admin_password", Password(32, Alphanumeric), "operators of the broker", Apply),
    ("mqtt.admin_password_hash", MosquittoHash("admin_password"), "Mosquitto", Apply),
    ("mqtt.service_password", Password(32, Alphanumeric), "services that publish", Apply),
    ("mqtt.service_password_hash", MosquittoHash("service_password"), "Mosquitto", Apply),
    ("kafka.cluster_id", ShortUuid, "brokers and controllers, as the name of the cluster", Never),
    ("kafka.admin_password", PASSWORD, "operators (SCRAM)", Apply),
    ("kafka.broker_password", PASSWORD, "brokers among themselves (SCRAM)", Restart),
    ("dns.powerdns_api_key", PASSWORD, "whoever changes zones", Restart),
    ("dns.powerdns_webserver_password", Password(32, Alphanumeric), "statistics of PowerDNS", Restart),
    ("dns.transfer_key", Key(32), "transfers between name servers (TSIG, HMAC-SHA256)", Restart),
    ("database.root_password", PASSWORD, "operators of MariaDB", Apply),
    ("database.replication_password", PASSWORD, "MariaDB among themselves", Restart),
    ("database.backup_password", PASSWORD, "backups of MariaDB", Apply),
    ("database.monitor_password", PASSWORD, "the exporter of MariaDB", Apply),
    ("database.postgres_password", PASSWORD, "operators of PostgreSQL", Apply),
    ("database.postgres_replication_password", PASSWORD, "PostgreSQL among themselves", Restart),
    ("monitoring.grafana_admin_password", Password(32, Alphanumeric), "operators of Grafana", Apply),
    (
        "monitoring.grafana_secret_key",
        PASSWORD,
        "Grafana, to encrypt its data sources",
        Stepwise("re-encrypt with `grafana cli admin secrets-manager`"),
    ),
    ("monitoring.metrics_password", Password(32, Alphanumeric), "senders of metrics", Apply),
    ("monitoring.logs_password", Password(32, Alphanumeric), "senders of logs", Apply),
    ("monitoring.prometheus_password", Password(32, Alphanumeric), "readers of Prometheus", Apply),
    ("monitoring.bcrypt_salt", BcryptSalt, "hashes of the passwords for Prometheus", Apply),
    ("monitoring.opensearch_admin_password", PASSWORD, "operators of OpenSearch", Apply),
    (
        "monitoring.s3_access_key",
        Password(20, UpperAlphanumeric),
        "Thanos and Loki, for their buckets",
        Apply,
    ),
    ("monitoring.s3_secret_key", PASSWORD, "Thanos and Loki, for their buckets", Apply),
    ("identity.keycloak_admin_password", PASSWORD, "operators of Keycloak", Apply),
    ("identity.keycloak_database_password", PASSWORD, "Keycloak", Restart),
    ("identity.grafana_client_secret", PASSWORD, "Grafana, to log people in", Restart),
    // oauth2-proxy takes 16, 24 or 32 bytes.
    ("identity.cookie_secret", Password(32, Alphanumeric), "oauth2-proxy", Restart),
    ("cloud.admin_password", Password(32, Alphanumeric), "the first administrator of the cloud", Apply),
    ("cloud.smtp_password", Given, "controllers, to send mail", Outside),
    ("web.acme_dns_token", Given, "certificates by ACME with DNS", Outside),
    ("hpc.munge_key", Key(128), "all nodes of Slurm", Restart),
    ("hpc.slurm_database_password", PASSWORD, "slurmdbd", Restart),
    ("hpc.slurm_jwt_key", Key(32), "slurmctld and slurmrestd", Restart),
    ("talos.cluster_id", Key(32), "discovery of nodes", Never),
    ("talos.cluster_secret", Key(32), "discovery of nodes", Never),
    ("talos.bootstrap_token", BootstrapToken, "nodes that join", Apply),
    (
        "talos.secretbox_key",
        Key(32),
        "kube-apiserver, to encrypt Secrets in etcd",
        Stepwise("as `kubernetes.encryption_key`"),
    ),
    ("talos.trustd_token", BootstrapToken, "trustd", Apply),
];

/// `OpenStack`'s services by kolla-ansible: the names are those of its `passwords.yml`.
const KOLLA: &[Row] = &[
    ("kolla.rbd_secret_uuid", Uuid, "libvirt, for Ceph", Never),
    ("kolla.cinder_rbd_secret_uuid", Uuid, "libvirt, for Ceph", Never),
    ("kolla.gnocchi_project_id", Uuid, "Gnocchi", Never),
    ("kolla.gnocchi_resource_id", Uuid, "Gnocchi", Never),
    ("kolla.gnocchi_user_id", Uuid, "Gnocchi", Never),
    ("kolla.designate_pool_id", Uuid, "Designate", Never),
    ("kolla.kolla_ssh_key", SshKey, "containers of kolla", Apply),
    ("kolla.nova_ssh_key", SshKey, "migration between hypervisors", Restart),
    ("kolla.keystone_ssh_key", SshKey, "keys of Keystone, to be copied", Restart),
    ("kolla.bifrost_ssh_key", SshKey, "Bifrost", Apply),
    ("kolla.octavia_amp_ssh_key", SshKey, "logging in to amphorae", Apply),
    ("kolla.neutron_ssh_key", SshKey, "Neutron", Apply),
    ("kolla.haproxy_ssh_key", SshKey, "certificates of Let's Encrypt, to be copied", Apply),
    ("kolla.designate_rndc_key", Password(32, Hexadecimal), "Designate and BIND", Restart),
    ("kolla.osprofiler_secret", Password(32, Hexadecimal), "all services, to trace", Restart),
    ("kolla.barbican_crypto_key", UrlKey(32), "Barbican, to encrypt what it keeps", Never),
    ("kolla.prometheus_bcrypt_salt", BcryptSalt, "hashes of the passwords for Prometheus", Apply),
    ("kolla.docker_registry_password", Given, "pulling of images", Outside),
    ("kolla.rabbitmq_cluster_cookie", PASSWORD, "RabbitMQ among themselves", Restart),
    ("kolla.memcache_secret_key", PASSWORD, "services, to encrypt what they cache", Restart),
    ("kolla.metadata_secret", PASSWORD, "Nova and Neutron", Restart),
    ("kolla.keepalived_password", Password(8, Alphanumeric), "VRRP between controllers", Restart),
    ("kolla.etcd_cluster_token", PASSWORD, "etcd", Never),
];

const KOLLA_SINGLES: &[&str] = &[
    "database_password",
    "mariadb_backup_database_password",
    "mariadb_monitor_password",
    "proxysql_admin_password",
    "proxysql_stats_password",
    "rabbitmq_password",
    "rabbitmq_monitoring_password",
    "keystone_admin_password",
    "keystone_federation_openid_crypto_password",
    "heat_domain_admin_password",
    "horizon_secret_key",
    "telemetry_secret_key",
    "skyline_secret_key",
    "barbican_p11_password",
    "octavia_ca_password",
    "octavia_client_ca_password",
    "haproxy_password",
    "redis_master_password",
    "valkey_master_password",
    "libvirt_sasl_password",
    "grafana_admin_password",
    "opensearch_dashboards_password",
    "prometheus_password",
    "prometheus_alertmanager_password",
    "prometheus_grafana_password",
    "prometheus_haproxy_password",
    "prometheus_skyline_password",
    "prometheus_mysql_exporter_database_password",
    "hnas_nfs_password",
    "infoblox_admin_password",
];

const KOLLA_SERVICES: &[&str] = &[
    "aodh",
    "barbican",
    "blazar",
    "ceilometer",
    "cinder",
    "cloudkitty",
    "cyborg",
    "designate",
    "glance",
    "gnocchi",
    "heat",
    "ironic",
    "magnum",
    "manila",
    "masakari",
    "mistral",
    "neutron",
    "nova",
    "octavia",
    "placement",
    "skyline",
    "tacker",
    "trove",
    "watcher",
    "zun",
];

/// `OpenStack` in Kubernetes, by Helm.
const OPENSTACK: &[Row] = &[
    ("openstack.keystone_admin_password", PASSWORD, "operators of OpenStack", Apply),
    ("openstack.rabbitmq_admin_password", PASSWORD, "operators of RabbitMQ", Apply),
    ("openstack.memcached_secret_key", PASSWORD, "services, to encrypt what they cache", Restart),
    ("openstack.compute_metadata_secret", PASSWORD, "Nova and Neutron", Restart),
    // Heat takes 16, 24 or 32 bytes and nothing else.
    ("openstack.heat_auth_encryption_key", Password(32, LowerAlphanumeric), "Heat", Never),
    ("openstack.barbican_key", UrlKey(32), "Barbican, to encrypt what it keeps", Never),
    ("openstack.octavia_heartbeat_key", PASSWORD, "Octavia and amphorae", Restart),
    ("openstack.keystone_oidc_crypto_passphrase", PASSWORD, "Keystone, for its sessions", Restart),
    ("openstack.keystone_keycloak_client_secret", PASSWORD, "Keystone and Keycloak", Restart),
    ("openstack.nova_ssh_key", SshKey, "migration between hypervisors", Restart),
    ("openstack.manila_ssh_key", SshKey, "Manila, to log in to service machines", Restart),
    ("openstack.octavia_amphora_ssh_key", SshKey, "logging in to amphorae", Apply),
    ("openstack.github_token", Given, "charts in private repositories", Outside),
];

const KEYSTONE_USERS: &[&str] = &[
    "barbican",
    "ceilometer",
    "cinder",
    "designate",
    "glance",
    "heat",
    "heat_stack_user",
    "heat_trustee",
    "ironic",
    "magnum",
    "manila",
    "neutron",
    "nova",
    "octavia",
    "openstack_exporter",
    "placement",
    "rgw",
    "staffeln",
    "tempest",
];

const DATABASE_USERS: &[&str] = &[
    "barbican",
    "ceilometer",
    "cinder",
    "designate",
    "glance",
    "heat",
    "horizon",
    "ironic",
    "keystone",
    "magnum",
    "manila",
    "neutron",
    "nova",
    "octavia",
    "placement",
    "staffeln",
];

const QUEUE_USERS: &[&str] = &[
    "ceilometer",
    "cinder",
    "designate",
    "glance",
    "heat",
    "ironic",
    "keystone",
    "magnum",
    "manila",
    "neutron",
    "nova",
    "octavia",
];

/// Every secret, in the order of the documents.
pub fn all() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut add = |(name, kind, used_by, rotation): (String, Kind, &'static str, Rotation)| {
        entries.push(Entry { name, kind, used_by, rotation });
    };
    let owned = |row: &Row| (row.0.to_owned(), row.1, row.2, row.3);
    let family = |set: &str, services: &[&str], ending: &str, used_by: &'static str| {
        let row = |service: &&str| (format!("{set}.{service}_{ending}"), PASSWORD, used_by, Restart);
        services.iter().map(row).collect::<Vec<_>>()
    };
    PLATFORM.iter().map(owned).for_each(&mut add);
    OPENSTACK.iter().map(owned).for_each(&mut add);
    for (services, ending, used_by) in [
        (KEYSTONE_USERS, "keystone_password", "the service, as a user of Keystone"),
        (DATABASE_USERS, "mariadb_password", "the service, for its database"),
        (QUEUE_USERS, "rabbitmq_password", "the service, for its queue"),
    ] {
        family("openstack", services, ending, used_by).into_iter().for_each(&mut add);
    }
    KOLLA.iter().map(owned).for_each(&mut add);
    for single in KOLLA_SINGLES {
        add((format!("kolla.{single}"), PASSWORD, "as its name says", Restart));
    }
    let databases: Vec<&str> = KOLLA_SERVICES
        .iter()
        .chain(&["grafana", "horizon", "keystone", "nova_api", "octavia_persistence"])
        .copied()
        .collect();
    let users: Vec<&str> = KOLLA_SERVICES.iter().chain(&["kuryr", "ceph_rgw"]).copied().collect();
    family("kolla", &databases, "database_password", "the service, for its database")
        .into_iter()
        .for_each(&mut add);
    family("kolla", &users, "keystone_password", "the service, as a user of Keystone")
        .into_iter()
        .for_each(&mut add);
    entries
}
