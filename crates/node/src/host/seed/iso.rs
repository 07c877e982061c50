//! Writes small ISO 9660 images: one directory, a few files, names for Linux (Rock Ridge) and for
//! Windows (Joliet).
//!
//! Promises: the same files give the same bytes, with no clock and no random part; the image is a whole
//! number of 2048-byte blocks. It must not grow into a general writer: there are no subdirectories, and
//! the directory is a single block.
//!
//! The layout follows ECMA-119 (section numbers below are its own), the Joliet specification, and IEEE
//! P1281/P1282 for Rock Ridge:
//!
//! | block | holds |
//! |---|---|
//! | 0–15 | nothing |
//! | 16, 17, 18 | primary descriptor, Joliet descriptor, terminator |
//! | 19, 20 | path tables of the primary tree, little and big endian |
//! | 21, 22 | path tables of the Joliet tree |
//! | 23, 24 | the directory, primary and Joliet |
//! | 25… | the files |

/// Bytes in a block.
const BLOCK: usize = BLOCK_LENGTH as usize;
const BLOCK_LENGTH: u32 = 2048;

const PRIMARY: u32 = 16;
const PRIMARY_TABLE: u32 = 19;
const JOLIET_TABLE: u32 = 21;
const PRIMARY_DIRECTORY: u32 = 23;
const JOLIET_DIRECTORY: u32 = 24;
const FIRST_FILE: u32 = 25;

/// A path table that names the root only.
const TABLE_LENGTH: u32 = 10;

/// Midnight of 1 January 2000 UTC, as directory records write it (9.1.5) and as descriptors do (8.4.26.1).
const RECORD_DATE: [u8; 7] = [100, 1, 1, 0, 0, 0, 0];
const DESCRIPTOR_DATE: &[u8; 17] = b"2000010100000000\0";
const NO_DATE: &[u8; 17] = b"0000000000000000\0";

/// Why files cannot be put into such an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The label is no word of 1 to 16 letters, digits, `-` and `_`.
    #[error("`{0}` cannot label an ISO image: use 1 to 16 letters, digits, - and _")]
    Label(String),
    /// A name is none of 1 to 27 lower-case letters, digits, `-`, `_`.
    #[error("`{0}` cannot name a file in an ISO image: use 1 to 27 lower-case letters, digits, - and _")]
    Name(String),
    /// Two names differ in `-` and `_` only.
    #[error("`{0}` is named twice in an ISO image (- and _ count as the same)")]
    Twice(String),
    /// More than the directory's block can name.
    #[error("{0} files are too many for an ISO image with one directory block")]
    Many(usize),
    /// The file or the whole is beyond what the format can count.
    #[error("`{0}` is too large for an ISO image: keep all files together below 4 GiB")]
    Large(String),
}

/// Where a file lies.
struct Placed<'a> {
    name: &'a str,
    block: u32,
    length: u32,
}

/// Makes the image of some files, given as name and content.
///
/// # Errors
/// A name or size that does not fit; see [`Unfit`].
pub fn image(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>, Unfit> {
    let word = |text: &str, most: usize, allowed: fn(char) -> bool| {
        (1..=most).contains(&text.len())
            && text.chars().all(|c| allowed(c) || matches!(c, '-' | '_' | '0'..='9'))
    };
    if !word(label, 16, |c| c.is_ascii_alphabetic()) {
        return Err(Unfit::Label(label.to_owned()));
    }
    if let Some((name, _)) = files.iter().find(|(name, _)| !word(name, 27, |c| c.is_ascii_lowercase())) {
        return Err(Unfit::Name((*name).to_owned()));
    }
    let mut files = files.to_vec();
    // Directories are sorted by identifier (9.3), in which `-` and `_` are one.
    files.sort_by_key(|(name, _)| identifier(name));
    if let Some(pair) = files.windows(2).find(|pair| identifier(pair[0].0) == identifier(pair[1].0)) {
        return Err(Unfit::Twice(pair[1].0.to_owned()));
    }
    let (placed, end) = place(&files)?;

    let mut image = vec![0; PRIMARY as usize * BLOCK];
    image.extend(descriptor(Tree::Primary, label, end));
    image.extend(descriptor(Tree::Joliet, label, end));
    image.extend(terminator());
    for (directory, table) in [(PRIMARY_DIRECTORY, PRIMARY_TABLE), (JOLIET_DIRECTORY, JOLIET_TABLE)] {
        debug_assert_eq!(image.len(), table as usize * BLOCK);
        image.extend(path_table(directory.to_le_bytes(), 1_u16.to_le_bytes()));
        image.extend(path_table(directory.to_be_bytes(), 1_u16.to_be_bytes()));
    }
    for tree in [Tree::Primary, Tree::Joliet] {
        image.extend(directory(tree, &placed).ok_or(Unfit::Many(placed.len()))?);
    }
    for ((_, content), file) in files.iter().zip(&placed) {
        debug_assert_eq!(image.len(), file.block as usize * BLOCK);
        image.extend_from_slice(content);
        // An empty file has a block too, so that its record does not point past the end.
        image.resize(image.len().next_multiple_of(BLOCK).max((file.block as usize + 1) * BLOCK), 0);
    }
    Ok(image)
}

/// Gives each file its blocks; returns the number of blocks in all.
fn place<'a>(files: &[(&'a str, &[u8])]) -> Result<(Vec<Placed<'a>>, u32), Unfit> {
    let mut block = FIRST_FILE;
    let mut placed = Vec::with_capacity(files.len());
    for (name, content) in files {
        let large = || Unfit::Large((*name).to_owned());
        let length = u32::try_from(content.len()).map_err(|_| large())?;
        placed.push(Placed { name, block, length });
        let blocks = u32::try_from(content.len().div_ceil(BLOCK).max(1)).map_err(|_| large())?;
        block = block.checked_add(blocks).ok_or_else(large)?;
    }
    Ok((placed, block))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    Primary,
    Joliet,
}

impl Tree {
    const fn directory(self) -> u32 {
        match self {
            Self::Primary => PRIMARY_DIRECTORY,
            Self::Joliet => JOLIET_DIRECTORY,
        }
    }

    const fn table(self) -> u32 {
        match self {
            Self::Primary => PRIMARY_TABLE,
            Self::Joliet => JOLIET_TABLE,
        }
    }

    /// Text of a descriptor, padded with spaces: bytes, or big-endian 16-bit units.
    fn padded(self, text: &str, length: usize) -> Vec<u8> {
        match self {
            Self::Primary => text.bytes().chain(std::iter::repeat(b' ')).take(length).collect(),
            Self::Joliet => {
                let units = text.encode_utf16().chain(std::iter::repeat(u16::from(b' ')));
                let mut bytes: Vec<u8> = units.take(length / 2).flat_map(u16::to_be_bytes).collect();
                bytes.resize(length, 0);
                bytes
            }
        }
    }
}

/// Identifier of a file in the primary tree: capitals, and `_` for `-` (7.5.1, level 2).
fn identifier(name: &str) -> String {
    format!("{}.;1", name.to_ascii_uppercase().replace('-', "_"))
}

/// A volume descriptor (8.4, 8.5).
fn descriptor(tree: Tree, label: &str, blocks: u32) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    block.push(if tree == Tree::Primary { 1 } else { 2 });
    block.extend(b"CD001\x01\x00");
    block.extend(tree.padded("", 32));
    block.extend(tree.padded(label, 32));
    block.extend([0; 8]);
    block.extend(both_u32(blocks));
    let mut escapes = [0; 32];
    if tree == Tree::Joliet {
        // UCS-2, level 3.
        escapes[..3].copy_from_slice(b"%/E");
    }
    block.extend(escapes);
    block.extend(both_u16(1));
    block.extend(both_u16(1));
    block.extend([0x00, 0x08, 0x08, 0x00]);
    block.extend(both_u32(TABLE_LENGTH));
    block.extend(tree.table().to_le_bytes());
    block.extend([0; 4]);
    block.extend((tree.table() + 1).to_be_bytes());
    block.extend([0; 4]);
    block.extend(record(tree.directory(), BLOCK_LENGTH, true, &[0], &[]).unwrap_or_default());
    for length in [128, 128, 128, 128, 37, 37, 37] {
        block.extend(tree.padded("", length));
    }
    block.extend(DESCRIPTOR_DATE);
    block.extend(DESCRIPTOR_DATE);
    block.extend(NO_DATE);
    block.extend(NO_DATE);
    block.push(1);
    block.resize(BLOCK, 0);
    block
}

fn terminator() -> Vec<u8> {
    let mut block = b"\xffCD001\x01".to_vec();
    block.resize(BLOCK, 0);
    block
}

/// A path table of the root alone (9.4).
fn path_table(directory: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut block = vec![1, 0];
    block.extend(directory);
    block.extend(parent);
    block.extend([0, 0]);
    block.resize(BLOCK, 0);
    block
}

/// The block of the directory; none when the files do not fit.
fn directory(tree: Tree, files: &[Placed<'_>]) -> Option<Vec<u8>> {
    let length = BLOCK_LENGTH;
    let (own, parent) = match tree {
        Tree::Primary => {
            ([sharing(), attributes(0o040_555, 2), extension()].concat(), attributes(0o040_555, 2))
        }
        Tree::Joliet => (Vec::new(), Vec::new()),
    };
    let mut block = record(tree.directory(), length, true, &[0], &own)?;
    block.extend(record(tree.directory(), length, true, &[1], &parent)?);
    for file in files {
        let entry = match tree {
            Tree::Primary => {
                let system_use = [attributes(0o100_444, 1), alternate_name(file.name)?].concat();
                record(file.block, file.length, false, identifier(file.name).as_bytes(), &system_use)
            }
            Tree::Joliet => {
                let name: Vec<u8> =
                    format!("{};1", file.name).encode_utf16().flat_map(u16::to_be_bytes).collect();
                record(file.block, file.length, false, &name, &[])
            }
        };
        block.extend(entry?);
    }
    (block.len() <= BLOCK).then(|| {
        block.resize(BLOCK, 0);
        block
    })
}

/// A directory record (9.1); none when it is longer than its length can say.
fn record(block: u32, length: u32, directory: bool, identifier: &[u8], system_use: &[u8]) -> Option<Vec<u8>> {
    let mut record = vec![0, 0];
    record.extend(both_u32(block));
    record.extend(both_u32(length));
    record.extend(RECORD_DATE);
    record.extend([if directory { 2 } else { 0 }, 0, 0]);
    record.extend(both_u16(1));
    record.push(u8::try_from(identifier.len()).ok()?);
    record.extend(identifier);
    // Both the part for the system and the next record start at an even place.
    record.resize(record.len().next_multiple_of(2), 0);
    record.extend(system_use);
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = u8::try_from(record.len()).ok()?;
    Some(record)
}

/// SUSP `SP`: this image uses system areas, from their first byte.
fn sharing() -> Vec<u8> {
    b"SP\x07\x01\xbe\xef\x00".to_vec()
}

/// SUSP `ER`: they are those of Rock Ridge.
fn extension() -> Vec<u8> {
    b"ER\x12\x01\x0a\x00\x00\x01RRIP_1991A".to_vec()
}

/// Rock Ridge `PX`: mode and links; owned by root.
fn attributes(mode: u32, links: u32) -> Vec<u8> {
    let mut entry = b"PX\x24\x01".to_vec();
    for number in [mode, links, 0, 0] {
        entry.extend(both_u32(number));
    }
    entry
}

/// Rock Ridge `NM`: the name as it is.
fn alternate_name(name: &str) -> Option<Vec<u8>> {
    let mut entry = vec![b'N', b'M', u8::try_from(name.len() + 5).ok()?, 1, 0];
    entry.extend(name.as_bytes());
    Some(entry)
}

/// A number in both byte orders (7.3.3).
fn both_u32(number: u32) -> [u8; 8] {
    let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
    [little[0], little[1], little[2], little[3], big[0], big[1], big[2], big[3]]
}

/// A number in both byte orders (7.2.3).
fn both_u16(number: u16) -> [u8; 4] {
    let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
    [little[0], little[1], big[0], big[1]]
}

#[cfg(test)]
#[path = "iso_tests.rs"]
mod tests;
