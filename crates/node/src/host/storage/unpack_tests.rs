use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1 << 20;

fn run(data: &[u8], limit: u64) -> Result<(Unpacked, Vec<u8>), UnpackError> {
    let mut target = Cursor::new(Vec::new());
    let unpacked = unpack(data, &mut target, limit, |_| Ok(()))?;
    let mut bytes = target.into_inner();
    bytes.resize(usize::try_from(unpacked.bytes).unwrap(), 0);
    Ok((unpacked, bytes))
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

fn qcow2_head(size: u64) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..4].copy_from_slice(&qcow2::MAGIC);
    bytes[24..32].copy_from_slice(&size.to_be_bytes());
    bytes
}

#[test]
fn the_digest_is_of_the_bytes_served() {
    let packed = gzip(b"disk");
    let (unpacked, bytes) = run(&packed, LIMIT).unwrap();
    assert_eq!(bytes, b"disk");
    assert_eq!(unpacked.fetched, packed.len() as u64);
    assert_eq!(unpacked.sha256, format!("{:x}", Sha256::digest(&packed)));
}

#[test]
fn members_in_a_row_are_one_stream() {
    for pack in [gzip, xz, zstd] {
        let packed = [pack(b"one "), pack(b"two")].concat();
        assert_eq!(run(&packed, LIMIT).unwrap().1, b"one two");
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    for pack in [gzip, xz, zstd] {
        let bomb = pack(&vec![0; 8 << 20]);
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let outcome = run(&bomb, LIMIT);
        assert!(matches!(outcome, Err(UnpackError::TooLarge)), "{outcome:?}");
    }
}

#[test]
fn raw_data_may_be_as_large_as_the_limit() {
    let data = vec![7; 1000];
    assert!(run(&data, 1000).is_ok());
    assert!(matches!(run(&data, 999), Err(UnpackError::TooLarge)));
}

#[test]
fn a_qcow2_header_is_judged_before_the_rest_is_read() {
    assert_eq!(run(&qcow2_head(LIMIT), LIMIT).unwrap().0.format, Format::Qcow2);
    assert!(matches!(run(&qcow2_head(LIMIT + 1), LIMIT), Err(UnpackError::TooLarge)));
    assert!(matches!(run(&qcow2::MAGIC, LIMIT), Err(UnpackError::Truncated)));
}

#[test]
fn cut_data_is_told_from_damaged_data() {
    let data: Vec<u8> = (0..40_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for pack in [gzip, xz, zstd] {
        let packed = pack(&data);
        let outcome = run(&packed[..packed.len() / 2], LIMIT).map(|outcome| outcome.0);
        assert!(matches!(outcome, Err(UnpackError::Truncated)), "{outcome:?}");
    }
    // Plain zstd carries no check of its own.
    for pack in [gzip, xz] {
        let mut damaged = pack(&data);
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xff;
        let outcome = run(&damaged, LIMIT).map(|outcome| outcome.0);
        assert!(matches!(outcome, Err(UnpackError::Damaged { .. })), "{outcome:?}");
    }
}

#[test]
fn what_is_no_disk_is_named() {
    for (data, word) in [
        (b"<!DOCTYPE html><html>".as_slice(), "web page"),
        (b"  <html><head>", "web page"),
        (b"KDMV....", "VMDK"),
        (b"PK\x03\x04....", "ZIP"),
        (b"", "empty"),
        (&gzip(&gzip(b"x")), "packed twice"),
    ] {
        let error = run(data, LIMIT).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_failing_source_is_not_called_damaged() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(ErrorKind::ConnectionReset, "reset by peer"))
        }
    }
    let packed = gzip(b"disk");
    let source = packed[..8].chain(Broken);
    let error = unpack(source, &mut Cursor::new(Vec::new()), LIMIT, |_| Ok(())).unwrap_err();
    assert!(matches!(error, UnpackError::Source(_)), "{error:?}");
}

#[test]
fn a_tick_can_end_the_work() {
    let outcome =
        unpack([1; 100].as_slice(), &mut Cursor::new(Vec::new()), LIMIT, |_| Err(io::Error::other("stop")));
    assert!(matches!(outcome, Err(UnpackError::Source(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_packed_comes_out(
        runs in proptest::collection::vec((any::<bool>(), 1_usize..100_000), 1..6),
        packing in 0_usize..4,
    ) {
        // Starts with a byte that is no magic; long runs of zeros are left out on the way.
        let mut data = vec![b'x'];
        for (zeros, length) in runs {
            data.extend((0..length).map(|n| if zeros { 0 } else { u8::try_from(n % 251).unwrap() + 1 }));
        }
        let packed = match packing {
            0 => data.clone(),
            1 => gzip(&data),
            2 => xz(&data),
            _ => zstd(&data),
        };
        let (unpacked, bytes) = run(&packed, LIMIT).unwrap();
        prop_assert_eq!(unpacked.format, Format::Raw);
        prop_assert!(bytes == data);
    }

    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..600), magic in 0_usize..5) {
        let heads: [&[u8]; 5] = [b"", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"QFI\xfb"];
        let _ = run(&[heads[magic], &data].concat(), LIMIT);
    }
}
