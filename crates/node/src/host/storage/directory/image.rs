//! Images: fetched, judged, brought to qcow2 and put in place.
//!
//! The record of an image is durable before the image has its name, so an image with a fitting record is
//! finished, and one without is of unknown origin and is fetched again. Under clones nothing is replaced
//! but by the very same data.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use freehold_types::Id;
use freehold_types::agent::{Detail, Image};
use freehold_types::size;
use nix::sys::statvfs::statvfs;
use tempfile::NamedTempFile;
use tokio::sync::watch;

use super::layout::backing_name;
use super::record::{Record, check_digest, digest_of};
use super::{Directory, files};
use crate::host::HostError;
use crate::host::storage::blocking;
use crate::host::storage::fetch::Source;
use crate::host::storage::qcow2::{self, Header};
use crate::host::storage::qemu_img::{self, Info, Soundness};
use crate::host::storage::unpack::{self, Format, UnpackError, Unpacked};

/// Least time between two reports of progress.
const REPORT: Duration = Duration::from_millis(200);

/// How far an image is.
enum Standing {
    Finished(Record),
    Wanted,
    /// Its file is gone while volumes stand on it: only the very same data may take its place.
    Lost {
        sha256: String,
    },
}

/// Ends a fetch, wherever it is, when the call that wanted it is dropped.
struct EndOnDrop {
    ended: Arc<AtomicBool>,
    agent: ureq::Agent,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.agent.clone().shutdown();
    }
}

impl Directory {
    pub(super) async fn make_image(
        &self,
        id: Id,
        image: &Image,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<Detail, HostError> {
        let desired = image.clone();
        let lost = match self.files(move |pool| pool.stands(id, &desired)).await? {
            Standing::Finished(record) => return Ok(record.detail()),
            Standing::Wanted => None,
            Standing::Lost { sha256 } => Some(sha256),
        };
        let source = Source::parse(&image.source).map_err(HostError::Refused)?;
        check_digest(image.sha256.as_deref())?;
        let shown = source.display();
        let (file, unpacked) = self.fetch(id, image, source, progress).await?;
        if let Some(wanted) = &image.sha256
            && !unpacked.sha256.eq_ignore_ascii_case(wanted.trim())
        {
            return Err(HostError::Refused(format!(
                "what {shown} serves has the SHA-256 {}, not {}: correct the checksum or the URL",
                unpacked.sha256,
                wanted.trim()
            )));
        }
        if let Some(lost) = lost.filter(|lost| *lost != unpacked.sha256) {
            return Err(HostError::Refused(format!(
                "its file was lost, volumes stand on it, and {shown} now serves other data (SHA-256 {}, not {lost}): restore the file from a backup",
                unpacked.sha256
            )));
        }
        let (file, virtual_size) = match unpacked.format {
            Format::Qcow2 => self.judge(file, image.limit).await?,
            Format::Raw => self.convert(id, file).await?,
        };
        let record = Record {
            source: shown,
            source_digest: digest_of(&image.source),
            sha256: unpacked.sha256,
            fetched: unpacked.fetched,
            virtual_size,
        };
        let detail = record.detail();
        self.files(move |pool| pool.put_image(id, file, &record)).await?;
        self.changed();
        Ok(detail)
    }

    /// How far the image is. Clears the way when it is to be fetched.
    fn stands(&self, id: Id, image: &Image) -> Result<Standing, HostError> {
        let images = self.layout.images();
        let there = self.layout.image(id).exists();
        let record = self.record(id)?;
        let serves = record.as_ref().is_some_and(|record| record.serves(image));
        if let Some(record) = record.as_ref().filter(|_| there && serves) {
            return Ok(Standing::Finished(record.clone()));
        }
        self.require_ready()?;
        files::clear_partial(&images, id).map_err(self.io(&images))?;
        let clones = self.clones(id)?;
        if clones.is_empty() {
            return Ok(Standing::Wanted);
        }
        match record.filter(|_| !there) {
            Some(record) if serves => Ok(Standing::Lost { sha256: record.sha256 }),
            _ => Err(HostError::Refused(format!(
                "it was made from another source, and the volumes {} stand on it: make a new image for the new source",
                names(&clones)
            ))),
        }
    }

    /// Fetches and unpacks into an unfinished file.
    async fn fetch(
        &self,
        id: Id,
        image: &Image,
        source: Source,
        progress: watch::Sender<Option<Detail>>,
    ) -> Result<(NamedTempFile, Unpacked), HostError> {
        let shared = Arc::clone(&self.shared);
        // Without a checksum the encryption on the way is all that vouches for the data.
        let encrypted = source.is_encrypted() && image.sha256.is_none();
        let agent = blocking(move || shared.fetcher.agent(encrypted)).await?;
        let ended = Arc::new(AtomicBool::new(false));
        let _guard = EndOnDrop { ended: Arc::clone(&ended), agent: agent.clone() };
        let limit = image.limit;
        self.files(move |pool| {
            let shown = source.display();
            let opened = pool.shared.fetcher.open(&source, &agent).map_err(|error| at(error, &shown))?;
            let images = pool.layout.images();
            room_for(&images, opened.total)?;
            let mut file = files::partial(&images, id).map_err(pool.io(&images))?;
            let mut reported = Instant::now();
            let total = opened.total;
            progress.send_replace(Some(Detail::Image { virtual_size: 0, fetched: 0, total }));
            let tick = |fetched: u64| {
                if ended.load(Ordering::Relaxed) {
                    return Err(io::Error::other("the fetch was called off"));
                }
                if reported.elapsed() >= REPORT {
                    reported = Instant::now();
                    progress.send_replace(Some(Detail::Image { virtual_size: 0, fetched, total }));
                }
                Ok(())
            };
            let unpacked = unpack::unpack(opened.reader, file.as_file_mut(), limit, tick)
                .map_err(|error| pool.unpack_failure(error, &shown, limit))?;
            if let Some(total) = total.filter(|total| *total != unpacked.fetched) {
                return Err(HostError::Failed(format!(
                    "{shown} ended after {} of {total} bytes",
                    unpacked.fetched
                )));
            }
            // Zeros at the end were left out.
            file.as_file().set_len(unpacked.bytes).map_err(pool.io(file.path()))?;
            let fetched = unpacked.fetched;
            progress.send_replace(Some(Detail::Image { virtual_size: 0, fetched, total: Some(fetched) }));
            Ok((file, unpacked))
        })
        .await
    }

    fn unpack_failure(&self, error: UnpackError, shown: &str, limit: u64) -> HostError {
        match error {
            UnpackError::Source(error) => HostError::Failed(format!("{shown} could not be fetched: {error}")),
            UnpackError::Truncated => HostError::Failed(format!("{shown}: {error}")),
            UnpackError::Target(error) => self.io(&self.layout.images())(error),
            UnpackError::TooLarge => HostError::Refused(format!(
                "{shown} unpacks to more than the limit of {}: raise the limit or use a smaller image",
                size::display(limit)
            )),
            UnpackError::Damaged { .. } | UnpackError::Unusable(_) => {
                HostError::Refused(format!("{shown} cannot be used: {error}"))
            }
        }
    }

    /// Sees that a qcow2 file of a stranger stands for itself and is sound. The header is read by our
    /// own code first, since QEMU's tools open what a header names.
    async fn judge(&self, file: NamedTempFile, limit: u64) -> Result<(NamedTempFile, u64), HostError> {
        let path = file.path().to_owned();
        let header = self.files(move |pool| qcow2::read(&path).map_err(pool.io(&path))).await?;
        match header {
            Some(Ok(header)) => Flaw::of_header(&header).map_or(Ok(()), |flaw| Err(flaw.refusal()))?,
            Some(Err(fault)) => return Err(HostError::Refused(format!("it cannot be used: {fault}"))),
            None => return Err(HostError::Failed("its unfinished file was removed meanwhile".to_owned())),
        }
        let info = qemu_img::info(file.path()).await?;
        Flaw::of_info(&info).map_or(Ok(()), |flaw| Err(flaw.refusal()))?;
        if info.virtual_size > limit {
            return Err(HostError::Refused(format!(
                "its virtual size of {} is above the limit of {}: raise the limit or use a smaller image",
                size::display(info.virtual_size),
                size::display(limit)
            )));
        }
        match qemu_img::check(file.path()).await? {
            Soundness::Sound => Ok((file, info.virtual_size)),
            Soundness::Damaged(reason) => Err(HostError::Refused(format!(
                "it is damaged inside ({reason}): repair it at its source by `qemu-img check -r all`"
            ))),
        }
    }

    /// Brings raw data to qcow2.
    async fn convert(&self, id: Id, raw: NamedTempFile) -> Result<(NamedTempFile, u64), HostError> {
        let images = self.layout.images();
        let target = files::partial(&images, id).map_err(self.io(&images))?;
        qemu_img::convert(raw.path(), target.path()).await?;
        let size = qemu_img::info(target.path()).await?.virtual_size;
        Ok((target, size))
    }

    fn put_image(&self, id: Id, file: NamedTempFile, record: &Record) -> Result<(), HostError> {
        let path = self.layout.image(id);
        let _references = self.references();
        // A record must never describe an image that it does not belong to.
        files::remove(&path).map_err(self.io(&path))?;
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| HostError::Failed(format!("its record cannot be written: {error}")))?;
        let images = self.layout.images();
        let mut beside = files::partial(&images, id).map_err(self.io(&images))?;
        beside.write_all(&text).map_err(self.io(&images))?;
        files::publish(beside, &self.layout.record(id), 0o600).map_err(self.io(&images))?;
        files::publish(file, &path, 0o644).map_err(self.io(&path))
    }

    pub(super) fn drop_image(&self, id: Id) -> Result<(), HostError> {
        let images = self.layout.images();
        let _references = self.references();
        let clones = self.clones(id)?;
        if !clones.is_empty() {
            return Err(HostError::Failed(format!(
                "the volumes {} are clones of it: remove them first",
                names(&clones)
            )));
        }
        files::clear_partial(&images, id).map_err(self.io(&images))?;
        for path in [self.layout.image(id), self.layout.record(id)] {
            files::remove(&path).map_err(self.io(&path))?;
        }
        self.changed();
        Ok(())
    }

    /// Volumes of the pool that are clones of the image. A file that cannot be read is an error, since
    /// it may be one.
    fn clones(&self, image: Id) -> Result<Vec<Id>, HostError> {
        let root = self.layout.root();
        let backing = backing_name(image);
        let mut clones = Vec::new();
        for volume in files::disks(root).map_err(self.io(root))? {
            let path = self.layout.volume(volume);
            let header = qcow2::read(&path).map_err(self.io(&path))?;
            if matches!(header, Some(Ok(header)) if header.backing.as_deref() == Some(&backing)) {
                clones.push(volume);
            }
        }
        Ok(clones)
    }

    /// Virtual size of an image that is in place, in bytes.
    pub(super) fn image_size(&self, id: Id) -> Result<Option<u64>, HostError> {
        if !self.layout.image(id).exists() {
            return Ok(None);
        }
        Ok(self.record(id)?.map(|record| record.virtual_size))
    }

    fn record(&self, id: Id) -> Result<Option<Record>, HostError> {
        let path = self.layout.record(id);
        match std::fs::read(&path) {
            // One that cannot be understood is as good as none: the image is fetched again.
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(&path)(error)),
        }
    }

    pub(super) fn references(&self) -> MutexGuard<'_, ()> {
        self.shared.references.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a sound qcow2 file is refused all the same: QEMU would open other files of this host for it, or
/// cannot read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Backing,
    ExternalData,
    Encrypted,
    Damaged,
}

impl Flaw {
    fn of_header(header: &Header) -> Option<Self> {
        [
            (header.backing.is_some(), Self::Backing),
            (header.external_data, Self::ExternalData),
            (header.encrypted, Self::Encrypted),
            (header.corrupt, Self::Damaged),
        ]
        .into_iter()
        .find_map(|(present, flaw)| present.then_some(flaw))
    }

    fn of_info(info: &Info) -> Option<Self> {
        [
            (info.backing_filename.is_some(), Self::Backing),
            (info.format_specific.data.data_file.is_some(), Self::ExternalData),
            (info.encrypted, Self::Encrypted),
            (info.format != "qcow2" || info.format_specific.data.corrupt, Self::Damaged),
        ]
        .into_iter()
        .find_map(|(present, flaw)| present.then_some(flaw))
    }

    fn refusal(self) -> HostError {
        HostError::Refused(
            match self {
                Self::Backing => "it refers to a backing file: flatten it by `qemu-img convert -O qcow2`",
                Self::ExternalData => "it refers to a data file: flatten it by `qemu-img convert -O qcow2`",
                Self::Encrypted => "it is encrypted: decrypt it by `qemu-img convert -O qcow2`",
                Self::Damaged => "it is marked as damaged: repair it by `qemu-img check -r all`",
            }
            .to_owned(),
        )
    }
}

fn at(error: HostError, shown: &str) -> HostError {
    match error {
        HostError::Refused(text) => HostError::Refused(format!("{shown} cannot be fetched: {text}")),
        HostError::Failed(text) => HostError::Failed(format!("{shown} could not be fetched: {text}")),
    }
}

fn room_for(directory: &Path, total: Option<u64>) -> Result<(), HostError> {
    let (Some(total), Ok(found)) = (total, statvfs(directory)) else { return Ok(()) };
    let available = found.blocks_available().saturating_mul(found.fragment_size());
    if total <= available {
        return Ok(());
    }
    Err(HostError::Failed(format!(
        "it takes at least {} and {} has {}: make room on the disk of the pool",
        size::display(total),
        directory.display(),
        size::display(available)
    )))
}

fn names(ids: &[Id]) -> String {
    ids.iter().map(Id::to_string).collect::<Vec<_>>().join(", ")
}
