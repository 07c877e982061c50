//! Tests of the sources of images.

use freehold_types::wire::OperatingSystem;
use freehold_types::{ErrorKind, Id};
use proptest::prelude::*;

use super::{Image, spec};

const DIGEST: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";

fn image(source: String) -> Image {
    Image {
        pool: Id::from_u64(1),
        name: "debian".to_owned(),
        description: None,
        os: OperatingSystem::Linux,
        source,
        limit: 1 << 40,
    }
}

#[test]
fn sources_are_urls_of_files() {
    for good in [
        "https://example.org/a.qcow2".to_owned(),
        "https://example.org:8443/a.raw.xz?x=1".to_owned(),
        "http://10.0.0.1/a.img".to_owned(),
        "file:///srv/images/a.qcow2".to_owned(),
        format!("file:///srv/a.img#sha256={DIGEST}"),
        format!("https://example.org/a.img#sha256={DIGEST}"),
    ] {
        assert!(spec::check_source(&good, true).is_ok(), "{good}");
    }
    for bad in [
        "a.img",
        "/srv/a.img",
        "ftp://example.org/a.img",
        "https://",
        "https:///",
        "file://host/a.img",
        "file:/a.img",
        "file:///",
        "file:///srv/",
        "file:///srv/../etc/shadow",
        "https://example.org/a b",
        "https://example.org/a\n",
        "https://example.org/a#sha256=",
        "https://example.org/a#sha256=zz",
        "https://example.org/a#part",
        "data:,x",
        "https://example.org/a#md5=d41d8cd98f00b204e9800998ecf8427e",
    ] {
        assert_eq!(spec::check_source(bad, true).unwrap_err().kind, ErrorKind::Invalid, "{bad}");
    }
    assert_eq!(spec::check_source("", true).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn plain_http_is_a_choice_of_the_operator() {
    assert!(spec::check_source("http://example.org/a.img", false).is_err());
    assert!(spec::check_source("https://example.org/a.img", false).is_ok());
}

#[test]
fn passwords_are_refused_and_not_repeated() {
    for source in
        ["https://me:s3cret@example.org/a", "https://s3cret@example.org/a", "http://:s3cret@example.org/a"]
    {
        let error = spec::check_source(source, true).unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && !error.reason.contains("s3cret"), "{error}");
    }
}

#[test]
fn the_checksum_is_apart_from_the_location() {
    let location = |source: String| {
        let image = image(source);
        let (url, digest) = image.location();
        (url.to_owned(), digest.map(str::to_owned))
    };
    let url = "https://example.org/a".to_owned();
    assert_eq!(location(format!("{url}#sha256={DIGEST}")), (url.clone(), Some(DIGEST.to_owned())));
    assert_eq!(location(url.clone()), (url, None));
}

proptest! {
    #[test]
    fn no_source_panics(source in "(https?://|file:///)?\\PC{0,40}") {
        let _ = spec::check_source(&source, true);
    }
}
