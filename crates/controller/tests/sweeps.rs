//! Every row of the route table against the mistakes that clients make and the doors that must stay shut.
//!
//! A row that a check does not fit is listed in `exempt-from-sweeps.txt`, with the reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use freehold_kinds::compute::Compute;
use freehold_kinds::kind::Scope;
use freehold_kinds::mail::Mail;
use freehold_kinds::registry;
use freehold_kinds::route::{Link, Permission, Row};
use freehold_kinds::token::Token;
use freehold_store::Snapshot;
use freehold_testkit::{Answer, Client, Cluster};
use freehold_types::Id;
use freehold_types::size::GIB;
use serde_json::json;

const EXEMPT: &str = include_str!("exempt-from-sweeps.txt");

/// The faults found, so that one run tells all of them.
#[derive(Debug, Default)]
struct Faults {
    checks: usize,
    list: Vec<String>,
    used: BTreeSet<(String, String)>,
}

impl Faults {
    /// Judges the answer to a check that must be refused with a status.
    fn judge(&mut self, row: &Row, check: &str, answer: &Answer, status: u16) {
        self.checks += 1;
        let mut fault = None;
        if answer.status != status {
            fault = Some(format!("{} instead of {status}: {}", answer.status, answer.text));
        } else if answer.body["status"] != status
            || !answer.body["error"].is_string()
            || !answer.body["reason"].is_string()
        {
            fault = Some(format!("an answer without status, error and reason: {}", answer.text));
        } else if !answer.headers.contains_key("x-request-id") {
            fault = Some("no x-request-id".to_owned());
        }
        if let Some(fault) = fault {
            if is_exempt(row.operation, check) {
                self.used.insert((row.operation.to_owned(), check.to_owned()));
            } else {
                self.list.push(format!("{} ({check}): {fault}", row.operation));
            }
        }
    }
}

fn exemptions() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXEMPT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let found = (words.next()?, words.next()?);
        assert!(words.next().is_some(), "{line}: write the reason");
        Some(found)
    })
}

fn is_exempt(operation: &str, check: &str) -> bool {
    exemptions().any(|exempt| exempt == (operation, check))
}

/// Objects that the tenant `red` must not know of, and those that everybody may, by the name in paths.
async fn objects(cluster: &mut Cluster) -> (BTreeMap<&'static str, Id>, Id, Client, Client) {
    let site = cluster.seed(1).await;
    let path = format!("/project/{}/zone/{}/kompute", site.blue.project, site.zone);
    let body = json!({ "name": "web", "memory": GIB, "vcpus": 1, "disk": 10 * GIB });
    let member = site.blue.member.client(cluster);
    let compute = member.api("POST", &path).json(&body).wait(60).send().await.id();
    let path = format!("/project/{}/kwarantine", site.blue.project);
    let group = member.post(&path, &json!({ "name": "apart", "policy": "host" })).await.id();
    let services = services(cluster, site.blue.project, site.region, &member).await;
    let snapshot = cluster.snapshot();
    let parts = &snapshot.get::<Compute>(compute).expect("it is there").spec;
    let token =
        snapshot.claimed::<Token>(&Token::owner_claim(site.blue.member.id)).expect("it has a key").id();
    let mail = snapshot.all::<Mail>().next().expect("there was mail").id();
    let machine = cluster.named("n1");
    let mut objects = BTreeMap::from([
        ("userId", site.blue.member.id),
        ("teamId", site.blue.team),
        ("tokenId", token),
        ("agentId", machine.agent),
        ("mailId", mail),
        ("regionId", site.region),
        ("zoneId", site.zone),
        ("kaktusId", machine.hypervisor),
        ("vnetId", site.private_network),
        ("subnetId", site.blue.subnet),
        ("adapterId", parts.private_adapter),
        ("poolId", site.pool),
        ("templateId", site.image),
        ("volumeId", parts.system_volume),
        ("projectId", site.blue.project),
        ("instanceId", parts.instance),
        ("komputeId", compute),
        ("kwarantineId", group),
    ]);
    objects.extend(services);
    (objects, site.red.project, site.red.member.client(cluster), site.red.administrator.client(cluster))
}

/// The network services of a project, and an edge.
async fn services(cluster: &Cluster, project: Id, region: Id, member: &Client) -> [(&'static str, Id); 7] {
    let operator = cluster.operator();
    let edge = operator.post(&format!("/region/{region}/kiwi"), &json!({ "name": "north" })).await.id();
    let record = json!({ "name": "ntp", "addresses": ["10.0.0.7"] });
    let record = operator.post(&format!("/region/{region}/record"), &record).await.id();
    let place = format!("/project/{project}/region/{region}");
    let gateway = member.post(&format!("{place}/kawaii"), &json!({})).await.id();
    let connection = json!({
        "name": "office", "remote_ip": "198.51.100.7", "remote_subnet": "172.30.0.0/24",
        "pre_shared_key": "correct horse battery",
        "phase1_dh_group_number": 19, "phase1_integrity_algorithm": "SHA256", "phase1_encryption_algorithm": "AES256",
        "phase2_dh_group_number": 14, "phase2_integrity_algorithm": "SHA512", "phase2_encryption_algorithm": "AES128",
    });
    let connection = member.post(&format!("/kawaii/{gateway}/ipsec"), &connection).await.id();
    let balancer =
        member.post(&format!("{place}/konvey"), &json!({ "name": "front", "endpoints": [] })).await.id();
    let files = json!({ "name": "files", "endpoint": "nfs", "fs": "dir:/srv/shares", "backends": ["n1"] });
    let files = operator.post(&format!("/region/{region}/nfs"), &files).await.id();
    let share = member.post(&format!("{place}/kylo"), &json!({ "name": "photos" })).await.id();
    [
        ("nfsId", files),
        ("kyloId", share),
        ("kiwiId", edge),
        ("recordId", record),
        ("kawaiiId", gateway),
        ("kawaiiIpSecId", connection),
        ("konveyId", balancer),
    ]
}

fn path(row: &Row, text_of: impl Fn(&str) -> String) -> String {
    let parts = row.path.split('/').map(|part| {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(parameter) => text_of(parameter),
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn send(client: &Client, row: &Row, path: &str) -> Answer {
    let request = client.api(row.method, path);
    if row.body.is_some() { request.json(&json!({})).send().await } else { request.send().await }
}

/// Names an object outside the path.
async fn name(client: &Client, row: &Row, path: &str, link: &Link, id: Id) -> Answer {
    match *link {
        Link::Query(name, _) => send(client, row, &format!("{path}?{name}={id}")).await,
        Link::Body(field, _) => client.api(row.method, path).json(&json!({ field: [id] })).send().await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_refuses_what_it_must() {
    let mut cluster = Cluster::start().await;
    let (objects, own_project, member, administrator) = objects(&mut cluster).await;
    let (nobody, operator) = (cluster.anonymous(), cluster.operator());
    let snapshot = cluster.snapshot();
    let mut faults = Faults::default();
    for (_, row) in registry::rows() {
        let id =
            |parameter: &str| objects.get(parameter).unwrap_or_else(|| panic!("{}: {parameter}", row.path));
        let valid = path(row, |parameter| id(parameter).to_string());
        let shut = row.parameters().any(|parameter| is_shut(parameter, *id(parameter), &snapshot));
        if row.permission != Permission::Public {
            faults.judge(row, "anonymous", &send(&nobody, row, &valid).await, 401);
            for (client, is_administrator) in [(&member, false), (&administrator, true)] {
                let low = match row.permission {
                    Permission::Public | Permission::Account => false,
                    Permission::Operator => true,
                    Permission::ProjectAdministrator => !is_administrator,
                };
                if low {
                    faults.judge(row, "low-role", &send(client, row, &valid).await, 403);
                } else if shut {
                    faults.judge(row, "other-tenant", &send(client, row, &valid).await, 404);
                }
            }
        }
        for link in row.links {
            let (Link::Query(_, kind) | Link::Body(_, kind)) = *link;
            let parameter = registry::by_kind(kind).expect("a kind").parameter;
            if row.permission == Permission::Public {
                continue;
            }
            let answer = name(&operator, row, &valid, link, Id::from_u64(u64::MAX)).await;
            faults.judge(row, "unknown-link", &answer, 404);
            let own = path(row, |name| if name == "projectId" { own_project } else { *id(name) }.to_string());
            let is_own =
                row.parameters().all(|name| name == "projectId" || !is_shut(name, *id(name), &snapshot));
            if is_own
                && row.permission != Permission::Operator
                && is_shut(parameter, *id(parameter), &snapshot)
            {
                let answer = name(&administrator, row, &own, link, *id(parameter)).await;
                faults.judge(row, "other-tenants-link", &answer, 404);
            }
        }
        for wrong in row.parameters() {
            for (check, text) in [("malformed-id", "zzz"), ("unknown-id", "ffffffffffffffffffffffff")] {
                let path =
                    path(row, |name| if name == wrong { text.to_owned() } else { id(name).to_string() });
                faults.judge(row, check, &send(&operator, row, &path).await, 404);
            }
        }
        let answer = send(&operator, row, &format!("{valid}?no_such_parameter=1")).await;
        faults.judge(row, "unknown-parameter", &answer, 400);
        if row.body.is_some() {
            let ask = || operator.api(row.method, &valid);
            let answer = ask().json(&json!({ "no_such_field": 1 })).send().await;
            faults.judge(row, "unknown-field", &answer, 400);
            let answer =
                ask().body("application/json", vec![b' '; freehold_web::BODY_LIMIT + 1]).send().await;
            faults.judge(row, "oversized", &answer, 413);
            faults.judge(row, "media-type", &ask().body("text/plain", "{}").send().await, 415);
        }
    }
    assert!(faults.checks > 6 * registry::rows().count(), "only {} checks were made", faults.checks);
    assert!(faults.list.is_empty(), "{} faults:\n{}", faults.list.len(), faults.list.join("\n"));
    for (operation, check) in exemptions() {
        let used = faults.used.contains(&(operation.to_owned(), check.to_owned()));
        assert!(used, "{operation} needs no exemption from {check} any more: take it off the list");
    }
    let after = cluster.snapshot();
    for entry in registry::ENTRIES {
        assert_eq!(
            (entry.count)(&snapshot),
            (entry.count)(&after),
            "no refused request has changed a {}",
            entry.noun
        );
    }
    cluster.stop().await;
}

/// Whether the object must not be known to another tenant.
fn is_shut(parameter: &str, id: Id, snapshot: &Snapshot) -> bool {
    let entry = registry::by_parameter(parameter).unwrap_or_else(|| panic!("no kind has {parameter}"));
    !matches!((entry.scope)(snapshot, id), Some(Scope::Everyone))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beside_the_table_is_shut_too() {
    let mut cluster = Cluster::start().await;
    let site = cluster.seed(1).await;
    for path in ["/status", "/events"] {
        cluster.anonymous().get(path).await.refused(401);
        site.red.administrator.client(&cluster).get(path).await.refused(403);
        site.root.client(&cluster).get(path).await.expect(200);
    }
    let answer = cluster.anonymous().api("GET", "/nothing").header("x-request-id", "mine").send().await;
    assert_eq!(answer.headers["x-request-id"], "mine");
    answer.refused(404);
    cluster.anonymous().api("PATCH", "/region").send().await.refused(405);
    cluster.anonymous().with_key("wrong").get("/region").await.refused(401);
    for below in ["", "/", "/instance-id"] {
        let path = format!("/latest/meta-data{below}");
        let asked = cluster.anonymous().raw("GET", &path).header("x-kowabunga-source-ip", "10.0.0.10");
        asked.send().await.refused(404);
    }
    let page = cluster.anonymous().raw("GET", "/metrics").send().await;
    assert_eq!(page.status, 200);
    for line in [
        "kowabunga_regions{name=\"lab\"} 1",
        "kowabunga_kaktus_instances{zone=\"lab-a\",name=\"n1\"} 0",
        "kowabunga_private_subnets{region=\"lab\",netmask=\"20\",type=\"allocated\"} 2",
        "kowabunga_public_subnets_ips{region=\"lab\",netmask=\"24\",type=\"free\"} 245",
        "freehold_host_capacity_vcpus{zone=\"lab-a\",name=\"n1\"} 96",
        "freehold_host_maintenance{zone=\"lab-a\",name=\"n1\"} 0",
    ] {
        assert!(page.text.lines().any(|found| found == line), "{line} is not in\n{}", page.text);
    }
    cluster.stop().await;
}
