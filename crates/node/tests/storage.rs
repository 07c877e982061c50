//! The storage subsystem against the real `qemu-img`, a real file system and a real libvirt.
//!
//! Missing tools are failures, not reasons to skip. Images come from a small HTTP server in this process.

#[cfg(test)]
#[path = "storage/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "storage/server.rs"]
mod server;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use freehold_node::host::{HostError, Storage};
use freehold_types::Id;
use freehold_types::agent::{Detail, Pool, PoolDriver};
use tokio::sync::watch;

use bench::{Bench, MIB, gzip, pattern, qcow2, qemu_img, refused, sha256, xz, zstd};
use server::{Reply, Server};

#[tokio::test]
async fn a_pool_is_made_measured_and_removed() {
    let bench = Bench::new().await;
    let path = bench.path().join("pool");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("images"))), (0o711, 0o711));
    let Detail::Pool { capacity, allocated, available } = bench.ensure_pool().await.unwrap() else {
        panic!()
    };
    assert!(capacity > 0 && available > 0 && allocated + available <= capacity);

    let other = Id::from_u64(99);
    let text = refused(bench.storage.ensure_pool(other, &bench.pool).await);
    assert!(text.contains(&bench.pool_id.to_string()) && text.contains(".freehold-pool"), "{text}");
    bench.storage.remove_pool(other, &bench.pool).await.unwrap();

    let volume = bench.volume(1, 4 * MIB).await.unwrap();
    let error = bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Failed(text) if text.contains(&Id::from_u64(1).to_string())),
        "{error}"
    );
    assert_eq!(volume, Detail::Volume { bytes: 4 * MIB });
    bench.remove_volume(1).await.unwrap();
    bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap();
    assert!(!path.exists());
    bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_was_there_stays_with_what_is_not_ours() {
    let bench = Bench::new().await;
    let path = bench.path().join("operators");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("debian.qcow2"), b"theirs").unwrap();
    std::fs::write(path.join(format!(".partial-{}.x", Id::from_u64(3))), b"half").unwrap();
    let pool = Pool {
        name: "p".to_owned(),
        driver: PoolDriver::Directory { path: path.to_str().unwrap().to_owned() },
    };
    bench.storage.ensure_pool(Id::from_u64(7), &pool).await.unwrap();
    bench.storage.remove_pool(Id::from_u64(7), &pool).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["debian.qcow2"]);
}

#[tokio::test]
async fn a_pool_whose_disk_is_not_mounted_is_not_begun_anew() {
    let bench = Bench::new().await;
    bench.volume(1, MIB).await.unwrap();
    let (path, away) = (bench.path().join("pool"), bench.path().join("away"));
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let failures = [
        bench.ensure_pool().await.unwrap_err(),
        bench.volume(1, MIB).await.unwrap_err(),
        bench.image(2, "http://192.0.2.1/", None).await.unwrap_err(),
        bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap_err(),
    ];
    for error in failures {
        assert!(matches!(&error, HostError::Failed(text) if text.contains("mount")), "{error}");
    }
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    bench.ensure_pool().await.unwrap();
    bench.volume(1, MIB).await.unwrap();
    bench.remove_volume(1).await.unwrap();
    bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap();
    bench.ensure_pool().await.unwrap();
}

#[tokio::test]
async fn pools_that_cannot_be_are_refused_with_a_remedy() {
    let bench = Bench::new().await;
    for (driver, word) in [
        (PoolDriver::Directory { path: "relative".to_owned() }, "absolute"),
        (PoolDriver::Directory { path: "/".to_owned() }, "directory of its own"),
        (PoolDriver::Logical { group: "vg".to_owned() }, "directory"),
        (
            PoolDriver::Rbd { pool: "p".to_owned(), monitor: "m".to_owned(), port: 6789, secret: None },
            "directory",
        ),
    ] {
        let pool = Pool { name: "p".to_owned(), driver };
        let text = refused(bench.storage.ensure_pool(Id::from_u64(8), &pool).await);
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn images_are_brought_to_qcow2_however_they_are_packed() {
    let bench = Bench::new().await;
    let raw = pattern(3 * MIB);
    let image = qcow2(bench.path(), 8 * MIB);
    let server = Server::start();
    for (number, (name, body, size)) in [
        ("raw", raw.clone(), 3 * MIB),
        ("raw.gz", gzip(&raw), 3 * MIB),
        ("raw.xz", xz(&raw), 3 * MIB),
        ("raw.zst", zstd(&raw), 3 * MIB),
        ("image.qcow2", image.clone(), 8 * MIB),
        ("image.qcow2.gz", gzip(&image), 8 * MIB),
        ("image.qcow2.xz", xz(&image), 8 * MIB),
        ("image.qcow2.zst", zstd(&image), 8 * MIB),
    ]
    .into_iter()
    .enumerate()
    {
        let id = 100 + number as u64;
        let digest = sha256(&body);
        let fetched = body.len() as u64;
        let url = server.add(name, Reply::Whole(body));
        let detail = bench.image(id, &url, Some(&digest)).await.unwrap();
        assert_eq!(detail, Detail::Image { virtual_size: size, fetched, total: Some(fetched) }, "{name}");
        let path = bench.image_path(id);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let info = qemu_img(&["info", "--output=json", path.to_str().unwrap()]);
        assert!(info.contains("\"format\": \"qcow2\""), "{info}");
        if name.starts_with("raw") {
            let back = bench.path().join("back");
            qemu_img(&["convert", "-O", "raw", path.to_str().unwrap(), back.to_str().unwrap()]);
            assert!(std::fs::read(&back).unwrap() == raw, "{name}");
        } else {
            assert!(std::fs::read(&path).unwrap() == image, "a qcow2 image is kept as it is");
        }
        // Finished is finished.
        assert_eq!(bench.image(id, &url, Some(&digest)).await.unwrap(), detail);
        assert_eq!(bench.image(id, &url, None).await.unwrap(), detail);
        assert_eq!(server.requests(name), 1, "{name}");
    }
    assert_eq!(bench.partial_files(), Vec::<String>::new());
}

#[tokio::test]
async fn redirects_are_followed_and_progress_is_told() {
    let bench = Bench::new().await;
    let server = Server::start();
    let body = pattern(6 * MIB);
    let target = server.add("slow", Reply::Slow(body.clone()));
    let url = server.add("moved", Reply::Redirect(target));
    let (progress, mut reports) = watch::channel(None);
    let watching = async move {
        let mut seen = Vec::new();
        while reports.changed().await.is_ok() {
            if let Some(Detail::Image { fetched, total, .. }) = *reports.borrow_and_update() {
                seen.push((fetched, total));
            }
        }
        seen
    };
    let started = Instant::now();
    let (detail, seen) = tokio::join!(bench.image_with(1, &url, None, 64 * MIB, progress), watching);
    detail.unwrap();
    let all = Some(body.len() as u64);
    assert!(seen.iter().all(|(_, total)| *total == all), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{seen:?}");
    assert!(seen.iter().any(|(fetched, _)| *fetched > 0 && Some(*fetched) < all), "{seen:?}");
    let most = started.elapsed().as_millis() / 200 + 3;
    assert!(seen.len() as u128 <= most, "{} reports in {:?}", seen.len(), started.elapsed());
}

#[tokio::test]
async fn what_is_not_as_promised_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let server = Server::start();
    let raw = pattern(MIB);
    let image = qcow2(bench.path(), 8 * MIB);
    let wrong = "0".repeat(64);
    let plain = |name: &str, body: Vec<u8>| server.add(name, Reply::Whole(body));
    let bomb = gzip(&vec![0; 80 << 20]);

    let text = refused(bench.image(1, &plain("a", raw.clone()), Some(&wrong)).await);
    assert!(text.contains(&sha256(&raw)) && text.contains("checksum"), "{text}");
    let text = refused(bench.image(1, &server.url("never-asked"), Some("abc")).await);
    assert!(text.contains("64 hexadecimal digits") && server.requests("never-asked") == 0, "{text}");
    for (name, body, word) in [
        ("bomb", bomb, "limit"),
        ("large.qcow2", qcow2(bench.path(), 128 * MIB), "limit"),
        ("page", b"<!DOCTYPE html><html>not found</html>".to_vec(), "web page"),
        ("cut.qcow2", image[..image.len() / 2].to_vec(), "damaged"),
    ] {
        let text = refused(bench.image(2, &plain(name, body), None).await);
        assert!(text.contains(word), "{name}: {text}");
    }
    for (name, reply) in [
        ("short", Reply::Truncated(raw.clone())),
        ("short.gz", Reply::Whole(gzip(&raw)[..1000].to_vec())),
        ("busy", Reply::Status(503)),
    ] {
        let url = server.add(name, reply);
        let error = bench.image(3, &url, None).await.unwrap_err();
        assert!(matches!(error, HostError::Failed(_)), "{name}: {error}");
    }
    let missing = refused(bench.image(4, &server.url("nowhere?token=secret"), None).await);
    assert!(missing.contains("404") && !missing.contains("secret"), "{missing}");
    assert_eq!(bench.partial_files(), Vec::<String>::new());
    for id in 1..5 {
        assert!(!bench.image_path(id).exists());
    }
    // What failed once may come right.
    let url = server.add("short", Reply::Whole(raw));
    bench.image(3, &url, None).await.unwrap();
}

#[tokio::test]
async fn an_image_cannot_make_the_host_read_its_own_files() {
    let bench = Bench::new().await;
    let server = Server::start();
    let secret = bench.path().join("secret");
    std::fs::write(&secret, vec![b's'; 1 << 20]).unwrap();
    let secret = secret.to_str().unwrap();
    let file = bench.path().join("evil.qcow2");
    let evil = file.to_str().unwrap();
    let mut attacks = Vec::new();

    qemu_img(&["create", "-f", "qcow2", "-b", secret, "-F", "raw", evil]);
    attacks.push(("backing file", std::fs::read(&file).unwrap()));
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-o",
        &format!("data_file={secret}.data,data_file_raw=on"),
        evil,
        "1M",
    ]);
    attacks.push(("data file", std::fs::read(&file).unwrap()));
    bench::encrypted(secret, evil);
    attacks.push(("encrypted", std::fs::read(&file).unwrap()));
    for (word, body) in attacks {
        for body in [body.clone(), gzip(&body)] {
            let url = server.add("evil", Reply::Whole(body));
            let text = refused(bench.image(1, &url, None).await);
            assert!(text.contains(word), "{word}: {text}");
            assert!(!bench.image_path(1).exists());
        }
    }
    assert_eq!(bench.partial_files(), Vec::<String>::new());
}

#[tokio::test]
async fn files_come_from_allowed_directories_only() {
    let bench = Bench::new().await;
    let allowed = bench.path().join("allowed");
    let image = allowed.join("disk 1.raw");
    std::fs::write(&image, pattern(MIB)).unwrap();
    let url = format!("file://{}/disk%201.raw", allowed.display());
    bench.image(1, &url, None).await.unwrap();
    let other = bench.path().join("other.raw");
    std::fs::write(&other, pattern(MIB)).unwrap();
    std::os::unix::fs::symlink(&other, allowed.join("link")).unwrap();
    for path in [other, allowed.join("link"), allowed.join("../other.raw"), "/etc/shadow".into()] {
        let text = refused(bench.image(2, &format!("file://{}", path.display()), None).await);
        assert!(text.contains("image_directories"), "{text}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_fetch_and_the_next_one_succeeds() {
    let bench = Bench::new().await;
    let server = Server::start();
    let url = server.add("stuck", Reply::Stuck(pattern(MIB)));
    let cut = tokio::time::timeout(Duration::from_millis(500), bench.image(1, &url, None)).await;
    assert!(cut.is_err());
    bench::eventually(|| bench.partial_files().is_empty()).await;
    // As if the node had been killed.
    std::fs::write(bench.image_path(1).with_file_name(format!(".partial-{}.x", Id::from_u64(1))), b"half")
        .unwrap();
    server.add("stuck", Reply::Whole(pattern(MIB)));
    bench.image(1, &url, None).await.unwrap();
    assert_eq!(bench.partial_files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_clone_of_a_large_image_takes_neither_time_nor_space() {
    let bench = Bench::new().await;
    let source = bench.path().join("allowed/large.raw");
    let file = std::fs::File::create(&source).unwrap();
    file.set_len(2 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &pattern(64 * MIB), 1 << 30).unwrap();
    let url = format!("file://{}", source.display());
    let (progress, _reports) = watch::channel(None);
    bench.image_with(1, &url, None, 4 << 30, progress).await.unwrap();

    let started = Instant::now();
    for id in 10..20 {
        assert_eq!(bench.clone_of(1, id, MIB).await.unwrap(), Detail::Volume { bytes: 2 << 30 });
    }
    let each = started.elapsed() / 10;
    assert!(each < Duration::from_millis(250), "{each:?} per clone");
    let on_disk = std::fs::metadata(bench.volume_path(10)).unwrap().blocks() * 512;
    assert!(on_disk < MIB, "{on_disk} bytes");
    let back = bench.path().join("back");
    qemu_img(&["convert", "-O", "raw", bench.volume_path(10).to_str().unwrap(), back.to_str().unwrap()]);
    let mut part = vec![0; 64 << 20];
    std::os::unix::fs::FileExt::read_exact_at(&std::fs::File::open(back).unwrap(), &mut part, 1 << 30)
        .unwrap();
    assert!(part == pattern(64 * MIB));
}

#[tokio::test]
async fn volumes_grow_and_never_shrink() {
    let bench = Bench::new().await;
    assert_eq!(bench.volume(1, 3 * MIB).await.unwrap(), Detail::Volume { bytes: 3 * MIB });
    assert_eq!(std::fs::metadata(bench.volume_path(1)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(bench.volume(1, 9 * MIB).await.unwrap(), Detail::Volume { bytes: 9 * MIB });
    let before = std::fs::metadata(bench.volume_path(1)).unwrap().modified().unwrap();
    assert_eq!(bench.volume(1, 9 * MIB).await.unwrap(), Detail::Volume { bytes: 9 * MIB });
    assert_eq!(std::fs::metadata(bench.volume_path(1)).unwrap().modified().unwrap(), before);
    let text = refused(bench.volume(1, 8 * MIB).await);
    assert!(text.contains("shrink"), "{text}");
    let text = refused(bench.volume(2, 0).await);
    assert!(text.contains("size"), "{text}");
    // Half a volume of an earlier life does not get in the way.
    std::fs::write(bench.volume_path(3).with_file_name(format!(".partial-{}.x", Id::from_u64(3))), b"half")
        .unwrap();
    bench.volume(3, MIB).await.unwrap();
    assert_eq!(bench.partial_files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_image_stays_while_clones_stand_on_it() {
    let bench = Bench::new().await;
    let server = Server::start();
    let url = server.add("disk", Reply::Whole(pattern(MIB)));
    let error = bench.clone_of(1, 10, MIB).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains("not in the pool yet")), "{error}");
    bench.image(1, &url, None).await.unwrap();
    bench.clone_of(1, 10, MIB).await.unwrap();
    let text = refused(bench.volume(10, MIB).await);
    assert!(text.contains("make a new volume"), "{text}");

    let error = bench.remove_image(1).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Failed(text) if text.contains(&Id::from_u64(10).to_string())),
        "{error}"
    );
    let other = server.add("other", Reply::Whole(pattern(2 * MIB)));
    let text = refused(bench.image(1, &other, None).await);
    assert!(text.contains("make a new image"), "{text}");

    // A lost file comes back only as it was.
    std::fs::remove_file(bench.image_path(1)).unwrap();
    server.add("disk", Reply::Whole(pattern(2 * MIB)));
    let text = refused(bench.image(1, &url, None).await);
    assert!(text.contains("restore"), "{text}");
    server.add("disk", Reply::Whole(pattern(MIB)));
    bench.image(1, &url, None).await.unwrap();

    bench.remove_volume(10).await.unwrap();
    bench.remove_volume(10).await.unwrap();
    // Nothing stands on it any more: a new source replaces it.
    let detail = bench.image(1, &other, None).await.unwrap();
    assert!(matches!(detail, Detail::Image { virtual_size, .. } if virtual_size == 2 * MIB));
    bench.remove_image(1).await.unwrap();
    bench.remove_image(1).await.unwrap();
    assert_eq!(std::fs::read_dir(bench.path().join("pool/images")).unwrap().count(), 0);
}

#[tokio::test]
async fn many_objects_are_made_at_once() {
    let bench = Bench::new().await;
    let server = Server::start();
    let url = server.add("disk", Reply::Whole(pattern(MIB)));
    bench.image(1, &url, None).await.unwrap();
    let work = (0..24_u64).map(|number| {
        let bench = &bench;
        let url = &url;
        async move {
            match number % 3 {
                0 => bench.volume(100 + number, MIB).await,
                1 => bench.clone_of(1, 100 + number, MIB).await,
                _ => bench.image(100 + number, url, None).await,
            }
        }
    });
    for outcome in futures::future::join_all(work).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn a_running_machine_learns_of_growth_and_holds_its_volume() {
    let bench = Bench::with_libvirt().await;
    // A clone, so that QEMU, which runs as a user of its own, must get at the image as well.
    let server = Server::start();
    let url = server.add("disk", Reply::Whole(pattern(MIB)));
    bench.image(9, &url, None).await.unwrap();
    bench.clone_of(9, 1, 4 * MIB).await.unwrap();
    let machine = bench.run_machine(1);
    assert_eq!(bench.clone_of(9, 1, 16 * MIB).await.unwrap(), Detail::Volume { bytes: 16 * MIB });
    assert_eq!(machine.disk_size("vda"), 16 * MIB);
    assert_eq!(bench.clone_of(9, 1, 16 * MIB).await.unwrap(), Detail::Volume { bytes: 16 * MIB });
    let error = bench.remove_volume(1).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(text) if text.contains(machine.name())), "{error}");
    drop(machine);
    bench.remove_volume(1).await.unwrap();
    assert!(!bench.volume_path(1).exists());
}

#[tokio::test]
async fn operators_see_pools_in_libvirt() {
    let bench = Bench::with_libvirt().await;
    bench::eventually(|| bench.libvirt_volumes().is_some()).await;
    bench.volume(1, MIB).await.unwrap();
    let name = format!("{}.qcow2", Id::from_u64(1));
    bench::eventually(|| bench.libvirt_volumes().is_some_and(|volumes| volumes.contains(&name))).await;
    bench.remove_volume(1).await.unwrap();
    bench.storage.remove_pool(bench.pool_id, &bench.pool).await.unwrap();
    bench::eventually(|| bench.libvirt_volumes().is_none()).await;
}

#[tokio::test]
async fn a_libvirt_that_is_away_stops_only_what_needs_it() {
    let bench = Bench::with_uri("qemu+unix:///system?socket=/nonexistent/libvirt-sock").await;
    bench.volume(1, MIB).await.unwrap();
    for outcome in [bench.remove_volume(1).await.err(), bench.volume(1, 2 * MIB).await.err()] {
        let error = outcome.unwrap();
        assert!(matches!(&error, HostError::Failed(text) if text.contains("libvirtd")), "{error}");
    }
    assert!(bench.volume_path(1).exists());
}
