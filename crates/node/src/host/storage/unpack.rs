//! Unpacks a stream of image data into a file: hashes what comes in, finds out how it is packed and what
//! it is, and writes it sparsely.
//!
//! Promises: memory use is bounded whatever comes in; nothing is written beyond the limit, so that a few
//! bytes cannot unpack to fill the disk; the digest covers every byte that was served, also those after
//! the end of the packed data. It knows nothing of networks, pools or QEMU.

use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::qcow2;

/// Unit of reading, and of leaving out zeros.
const BLOCK: usize = 64 << 10;
/// How many bytes tell what data is.
const SNIFF: usize = 512;
/// Bound on the memory of the xz decoder: the most that any preset of xz needs, and some.
const XZ_MEMORY: u64 = 128 << 20;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) format: Format,
    /// Bytes written, zeros included.
    pub(super) bytes: u64,
    /// Bytes served.
    pub(super) fetched: u64,
    /// Lower-case hexadecimal SHA-256 of the bytes served.
    pub(super) sha256: String,
}

/// What the unpacked data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Qcow2,
    Raw,
}

/// How data is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

impl Packing {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(b"\x1f\x8b") {
            Self::Gzip
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
            Self::Zstd
        } else {
            Self::Plain
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// Why data was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// The source failed.
    #[error("{0}")]
    Source(io::Error),
    /// The data ends in the middle.
    #[error("the data ends too early")]
    Truncated,
    #[error("its {} data is damaged: {reason}", packing.name())]
    Damaged { packing: Packing, reason: io::Error },
    #[error(
        "it is {0}, which is no disk image that can be used: give raw or qcow2 data, plain or packed by gzip, xz or zstd"
    )]
    Unusable(&'static str),
    #[error("its virtual size is above the limit")]
    TooLarge,
    /// The target failed.
    #[error("{0}")]
    Target(io::Error),
}

/// Unpacks `source` into `target`, which is empty. `tick` is called with the number of bytes served so
/// far, often; its error ends the work.
pub(super) fn unpack<W: Write + Seek>(
    source: impl Read,
    target: &mut W,
    limit: u64,
    tick: impl FnMut(u64) -> io::Result<()>,
) -> Result<Unpacked, UnpackError> {
    let mut source = Metered { inner: source, digest: Sha256::new(), count: 0, tick, failure: None };
    let mut head = [0; 6];
    let length = fill(&mut source, &mut head).map_err(UnpackError::Source)?;
    let head = &head[..length];
    let packing = Packing::of(head);
    let packed = Cursor::new(head).chain(&mut source);
    let written = match packing {
        Packing::Plain => write(packed, target, limit),
        Packing::Gzip => write(flate2::read::MultiGzDecoder::new(packed), target, limit),
        Packing::Xz => xz(packed).and_then(|reader| write(reader, target, limit)),
        Packing::Zstd => {
            zstd::Decoder::new(packed).map_err(Stop::Read).and_then(|reader| write(reader, target, limit))
        }
    };
    let (format, bytes) = written.map_err(|stop| match (stop, source.failure.take()) {
        (Stop::Because(error), _) => error,
        (Stop::Read(_), Some(failure)) => UnpackError::Source(failure),
        (Stop::Read(reason), None) if reason.kind() == ErrorKind::UnexpectedEof => UnpackError::Truncated,
        (Stop::Read(reason), None) => UnpackError::Damaged { packing, reason },
    })?;
    io::copy(&mut source, &mut io::sink()).map_err(UnpackError::Source)?;
    Ok(Unpacked { format, bytes, fetched: source.count, sha256: format!("{:x}", source.digest.finalize()) })
}

fn xz<R: Read>(packed: R) -> Result<liblzma::read::XzDecoder<R>, Stop> {
    let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
        .map_err(|error| Stop::Read(error.into()))?;
    Ok(liblzma::read::XzDecoder::new_stream(packed, stream))
}

/// Why writing stopped; whose fault a failed read was is known only outside of the decoder.
enum Stop {
    Read(io::Error),
    Because(UnpackError),
}

/// Writes the unpacked data, leaving out blocks of zeros.
fn write<W: Write + Seek>(mut reader: impl Read, target: &mut W, limit: u64) -> Result<(Format, u64), Stop> {
    let mut block = vec![0; BLOCK];
    let mut length = fill(&mut reader, &mut block).map_err(Stop::Read)?;
    let (format, most) = judge(&block[..length.min(SNIFF)], limit).map_err(Stop::Because)?;
    let mut bytes = 0_u64;
    while length > 0 {
        let part = &block[..length];
        bytes += length as u64;
        if bytes > most {
            return Err(Stop::Because(UnpackError::TooLarge));
        }
        let moved = if part.iter().all(|byte| *byte == 0) {
            target.seek(SeekFrom::Start(bytes)).map(|_| ())
        } else {
            target.write_all(part)
        };
        moved.map_err(|error| Stop::Because(UnpackError::Target(error)))?;
        length = if length < BLOCK { 0 } else { fill(&mut reader, &mut block).map_err(Stop::Read)? };
    }
    Ok((format, bytes))
}

/// What data is by its start, and how long it may be.
fn judge(head: &[u8], limit: u64) -> Result<(Format, u64), UnpackError> {
    if head.is_empty() {
        return Err(UnpackError::Unusable("empty"));
    }
    if let Some(what) = unusable(head) {
        return Err(UnpackError::Unusable(what));
    }
    if !head.starts_with(&qcow2::MAGIC) {
        return Ok((Format::Raw, limit));
    }
    let size = head.get(24..32).and_then(|size| size.try_into().ok()).map(u64::from_be_bytes);
    if size.is_none_or(|size| size > limit) {
        return Err(size.map_or(UnpackError::Truncated, |_| UnpackError::TooLarge));
    }
    // Tables and counters take up to a thirty-second of the data, with the smallest clusters.
    Ok((Format::Qcow2, limit.saturating_add(limit / 32).saturating_add(16 << 20)))
}

/// Names data that is neither a disk nor qcow2, though it would pass for a raw disk.
fn unusable(head: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 11] = [
        (b"KDMV", "a VMDK file"),
        (b"# Disk DescriptorFile", "a VMDK file"),
        (b"vhdxfile", "a VHDX file"),
        (b"conectix", "a VHD file"),
        (b"<<< ", "a VDI file"),
        (b"QED\0", "a QED file"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"BZh", "bzip2 data"),
        (b"\x1f\x8b", "gzip data packed twice"),
        (b"\xfd7zXZ\0", "xz data packed twice"),
        (b"\x28\xb5\x2f\xfd", "zstd data packed twice"),
    ];
    let page = head.trim_ascii_start().to_ascii_lowercase();
    if page.starts_with(b"<!doctype") || page.starts_with(b"<html") || page.starts_with(b"<?xml") {
        return Some("a web page");
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    FORMATS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// Reads until the buffer is full or the data ends.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Counts and hashes what passes, and remembers its failure, which decoders report as their own.
struct Metered<R, T> {
    inner: R,
    digest: Sha256,
    count: u64,
    tick: T,
    failure: Option<io::Error>,
}

impl<R: Read, T: FnMut(u64) -> io::Result<()>> Read for Metered<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = (self.tick)(self.count).and_then(|()| self.inner.read(buffer));
        match outcome {
            Ok(length) => {
                self.digest.update(&buffer[..length]);
                self.count += length as u64;
                Ok(length)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.failure = Some(error);
                Err(copy)
            }
        }
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
