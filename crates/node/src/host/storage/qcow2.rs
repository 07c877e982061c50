//! Reads the header of a qcow2 file, by the format's own document (`docs/interop/qcow2.txt` of QEMU).
//!
//! Promises: whatever the bytes are, it neither panics nor opens anything they name. It tells the few
//! things by which an image is judged; it does not check that the rest of the file is sound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The first bytes of each qcow2 file.
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// How much of a file is read. The header, its extensions and the name of the backing file lie in the
/// first cluster, and every writer of the format keeps them far below this.
const HEAD: u64 = 64 << 10;

const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
/// Dirty, corrupt, external data, compression type, extended L2 entries.
const INCOMPATIBLE_KNOWN: u64 = 0b1_1111;

const EXTENSION_END: u32 = 0;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u32,
    /// Virtual size in bytes.
    pub(super) virtual_size: u64,
    /// Name of the backing file as written, relative to the directory of the file.
    pub(super) backing: Option<String>,
    pub(super) encrypted: bool,
    /// The data lies in another file.
    pub(super) external_data: bool,
    /// Marked as damaged by QEMU.
    pub(super) corrupt: bool,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it does not start as a qcow2 file does")]
    Magic,
    #[error("its qcow2 header is cut short or points outside of itself")]
    Short,
    #[error("its qcow2 version {0} is unknown")]
    Version(u32),
    #[error("it uses features of qcow2 that are unknown (incompatible features {0:#x})")]
    Features(u64),
    #[error("its virtual size is zero")]
    Empty,
}

/// Reads the header from the start of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, Fault> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Fault::Magic);
    }
    let version = u32_at(bytes, 4)?;
    if !(2..=3).contains(&version) {
        return Err(Fault::Version(version));
    }
    let backing_offset = u64_at(bytes, 8)?;
    let backing_length = u32_at(bytes, 16)?;
    let virtual_size = u64_at(bytes, 24)?;
    if virtual_size == 0 {
        return Err(Fault::Empty);
    }
    let encrypted = u32_at(bytes, 32)? != 0;
    let (incompatible, extensions) =
        if version == 2 { (0, 72) } else { (u64_at(bytes, 72)?, u64::from(u32_at(bytes, 100)?)) };
    if incompatible & !INCOMPATIBLE_KNOWN != 0 {
        return Err(Fault::Features(incompatible));
    }
    let backing = match backing_offset {
        0 => None,
        offset => {
            let name = slice(bytes, offset, u64::from(backing_length))?;
            Some(String::from_utf8_lossy(name).into_owned())
        }
    };
    let named_data = has_extension(bytes, extensions, backing_offset, EXTENSION_DATA_FILE)?;
    Ok(Header {
        version,
        virtual_size,
        backing,
        encrypted,
        external_data: named_data || incompatible & INCOMPATIBLE_DATA_FILE != 0,
        corrupt: incompatible & INCOMPATIBLE_CORRUPT != 0,
    })
}

/// Reads the header of a file; `None` when there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Result<Header, Fault>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(Some(parse(&head)))
}

/// Walks the extensions, which end with a marker or at the name of the backing file.
fn has_extension(bytes: &[u8], start: u64, end: u64, wanted: u32) -> Result<bool, Fault> {
    let mut offset = start;
    while end == 0 || offset < end {
        let at = usize::try_from(offset).map_err(|_| Fault::Short)?;
        let kind = u32_at(bytes, at)?;
        let length = u64::from(u32_at(bytes, at.saturating_add(4))?);
        match kind {
            EXTENSION_END => break,
            kind if kind == wanted => return Ok(true),
            _ => offset = offset.saturating_add(8).saturating_add(length.next_multiple_of(8)),
        }
    }
    Ok(false)
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> Result<&[u8], Fault> {
    let start = usize::try_from(offset).map_err(|_| Fault::Short)?;
    let length = usize::try_from(length).map_err(|_| Fault::Short)?;
    let end = start.checked_add(length).ok_or(Fault::Short)?;
    bytes.get(start..end).ok_or(Fault::Short)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Fault> {
    let end = at.checked_add(N).ok_or(Fault::Short)?;
    bytes.get(at..end).and_then(|part| part.try_into().ok()).ok_or(Fault::Short)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Fault> {
    array(bytes, at).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A version 3 header of 1 GiB without anything special.
    fn plain() -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[7] = 3;
        bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        bytes[103] = 104;
        bytes
    }

    fn with_extension(kind: u32, length: u32) -> Vec<u8> {
        let mut bytes = plain();
        bytes[104..108].copy_from_slice(&kind.to_be_bytes());
        bytes[108..112].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn a_plain_header_is_read() {
        let header = parse(&plain()).unwrap();
        assert_eq!(header.virtual_size, 1 << 30);
        assert_eq!((header.version, header.backing), (3, None));
        assert!(!header.encrypted && !header.external_data && !header.corrupt);
    }

    #[test]
    fn a_backing_file_is_named() {
        let mut bytes = plain();
        bytes[15] = 200;
        bytes[19] = 11;
        bytes[200..211].copy_from_slice(b"/etc/shadow");
        assert_eq!(parse(&bytes).unwrap().backing.as_deref(), Some("/etc/shadow"));
        bytes[18] = 1;
        assert_eq!(parse(&bytes), Err(Fault::Short));
    }

    #[test]
    fn an_external_data_file_is_seen_by_feature_and_by_name() {
        let mut bytes = plain();
        bytes[79] = 4;
        assert!(parse(&bytes).unwrap().external_data);
        assert!(parse(&with_extension(EXTENSION_DATA_FILE, 8)).unwrap().external_data);
        assert!(!parse(&with_extension(0x6803_f857, 8)).unwrap().external_data);
    }

    #[test]
    fn encryption_damage_and_the_unknown_are_seen() {
        let mut bytes = plain();
        bytes[35] = 2;
        bytes[79] = 2;
        let header = parse(&bytes).unwrap();
        assert!(header.encrypted && header.corrupt);
        bytes[79] = 0x40;
        assert_eq!(parse(&bytes), Err(Fault::Features(0x40)));
        bytes[7] = 9;
        assert_eq!(parse(&bytes), Err(Fault::Version(9)));
        assert_eq!(parse(b"QFI"), Err(Fault::Magic));
        assert_eq!(parse(&plain()[..50]), Err(Fault::Short));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..400), version in 2_u8..4) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([0, 0, 0, version]);
            bytes.extend(tail);
            let _ = parse(&bytes);
        }
    }
}
