//! Complete platforms to begin from, each a directory of small files.

/// A complete platform.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its files: name and text.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! example {
    ($name:literal, $about:literal, $($file:literal),+ $(,)?) => {
        Example {
            name: $name,
            about: $about,
            files: &[$(($file, include_str!(concat!("../../../examples/", $name, "/", $file)))),+],
        }
    };
}

/// All of them, the smallest first.
pub const ALL: &[Example] = &[
    example!("one-node", "One machine that is a whole cloud", "platform.yaml"),
    example!(
        "three-nodes",
        "Three machines: Kubernetes, etcd, Ceph and Kafka that survive the loss of any one",
        "platform.yaml",
        "machines.yaml",
        "services.yaml"
    ),
    example!(
        "kowabunga-region",
        "A region of six: a controller, two edges and three hypervisors with Ceph",
        "platform.yaml",
        "networks.yaml",
        "machines.yaml",
        "services.yaml"
    ),
    example!(
        "openstack-lab",
        "Three virtual machines on a laptop: what OpenStack stands on",
        "platform.yaml",
        "networks.yaml",
        "machines.yaml",
        "services.yaml"
    ),
];

/// The example of a name.
pub fn find(name: &str) -> Option<&'static Example> {
    ALL.iter().find(|example| example.name == name)
}
