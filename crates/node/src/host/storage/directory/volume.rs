//! Volumes: empty disks and clones of images, made and grown.

use freehold_types::Id;
use freehold_types::agent::{Detail, Volume, VolumeContent};
use freehold_types::size;

use super::layout::backing_name;
use super::{Directory, files};
use crate::host::HostError;
use crate::host::storage::qcow2::{self, Header};
use crate::host::storage::qemu_img;

/// Disks are multiples of this.
const SECTOR: u64 = 512;

/// What a volume must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Desired {
    image: Option<Id>,
    /// Virtual size in bytes that the volume asks for.
    bytes: u64,
    /// Virtual size of its image in bytes; unknown when the image is not here.
    least: Option<u64>,
}

/// What is to be done about a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Make { bytes: u64 },
    Grow { bytes: u64 },
    Keep { bytes: u64 },
}

/// The difference between what a volume must be and what was found. Pure.
fn plan(desired: &Desired, observed: Option<&Header>) -> Result<Step, HostError> {
    let wanted = desired.bytes.max(desired.least.unwrap_or(0)).next_multiple_of(SECTOR);
    let Some(observed) = observed else {
        return match (desired.image, desired.least) {
            (Some(image), None) => Err(HostError::Failed(format!(
                "image {image} is not in the pool yet: it is made when the image is"
            ))),
            _ if wanted == 0 => Err(HostError::Refused("its size is zero: give it a size".to_owned())),
            _ => Ok(Step::Make { bytes: wanted }),
        };
    };
    let backing = desired.image.map(backing_name);
    if observed.backing != backing {
        let found = observed.backing.as_deref().unwrap_or("nothing");
        return Err(HostError::Refused(format!(
            "it is a clone of {found}, not of {}: make a new volume for other content",
            backing.as_deref().unwrap_or("nothing")
        )));
    }
    let bytes = observed.virtual_size;
    if bytes < wanted {
        return Ok(Step::Grow { bytes: wanted });
    }
    // Without its image it is not known whether the volume asks for less than it can have.
    if bytes > wanted && (desired.image.is_none() || desired.least.is_some()) {
        return Err(HostError::Refused(format!(
            "it has {} and cannot shrink to {}: ask for at least what it has, or make a new volume",
            size::display(bytes),
            size::display(wanted)
        )));
    }
    Ok(Step::Keep { bytes })
}

impl Directory {
    pub(super) async fn make_volume(&self, id: Id, volume: &Volume) -> Result<Detail, HostError> {
        let image = match volume.content {
            VolumeContent::Empty => None,
            VolumeContent::Clone { image } => Some(image),
        };
        let asked = volume.bytes;
        let step = self
            .files(move |pool| {
                let least = image.map(|image| pool.image_size(image)).transpose()?.flatten();
                let step = plan(&Desired { image, bytes: asked, least }, pool.volume_header(id)?.as_ref())?;
                if matches!(step, Step::Make { .. }) {
                    pool.require_ready()?;
                }
                Ok(step)
            })
            .await?;
        let bytes = match step {
            Step::Keep { bytes } => bytes,
            Step::Make { bytes } => {
                self.create(id, image, bytes).await?;
                self.changed();
                bytes
            }
            Step::Grow { bytes } => {
                if !self.shared.libvirt.grow(id, bytes).await? {
                    qemu_img::grow(&self.layout.volume(id), bytes).await?;
                }
                self.changed();
                bytes
            }
        };
        Ok(Detail::Volume { bytes })
    }

    pub(super) async fn drop_volume(&self, id: Id) -> Result<(), HostError> {
        let users = self.shared.libvirt.users(id).await?;
        if !users.is_empty() {
            return Err(HostError::Failed(format!(
                "it is used by the running machine {}: stop or remove the machine first",
                users.join(", ")
            )));
        }
        self.files(move |pool| {
            let root = pool.layout.root();
            files::clear_partial(root, id).map_err(pool.io(root))?;
            let path = pool.layout.volume(id);
            files::remove(&path).map_err(pool.io(&path))
        })
        .await?;
        self.changed();
        Ok(())
    }

    /// Makes the file beside its final place, so that a run which is cut off leaves nothing under it.
    async fn create(&self, id: Id, image: Option<Id>, bytes: u64) -> Result<(), HostError> {
        let file = self
            .files(move |pool| {
                let root = pool.layout.root();
                files::clear_partial(root, id).and_then(|()| files::partial(root, id)).map_err(pool.io(root))
            })
            .await?;
        match image {
            None => qemu_img::create_empty(file.path(), bytes).await?,
            Some(image) => qemu_img::create_overlay(file.path(), &backing_name(image), bytes).await?,
        }
        self.files(move |pool| {
            let _references = pool.references();
            if let Some(image) = image
                && !pool.layout.image(image).exists()
            {
                return Err(HostError::Failed(format!("image {image} was removed meanwhile")));
            }
            let path = pool.layout.volume(id);
            files::publish(file, &path, 0o600).map_err(pool.io(&path))
        })
        .await
    }

    fn volume_header(&self, id: Id) -> Result<Option<Header>, HostError> {
        let path = self.layout.volume(id);
        qcow2::read(&path).map_err(self.io(&path))?.transpose().map_err(|fault| {
            HostError::Failed(format!(
                "{} is damaged ({fault}): restore it from a backup, or remove the volume",
                path.display()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(bytes: u64, backing: Option<Id>) -> Header {
        Header {
            version: 3,
            virtual_size: bytes,
            backing: backing.map(backing_name),
            encrypted: false,
            external_data: false,
            corrupt: false,
        }
    }

    #[test]
    fn an_image_larger_than_the_volume_decides() {
        let desired = Desired { image: Some(Id::from_u64(1)), bytes: 10, least: Some(4096) };
        assert_eq!(plan(&desired, None).unwrap(), Step::Make { bytes: 4096 });
    }

    #[test]
    fn a_clone_waits_for_its_image() {
        let desired = Desired { image: Some(Id::from_u64(1)), bytes: 512, least: None };
        assert!(matches!(plan(&desired, None), Err(HostError::Failed(_))));
        assert_eq!(plan(&desired, Some(&header(1024, desired.image))).unwrap(), Step::Keep { bytes: 1024 });
    }

    #[test]
    fn shrinking_and_other_content_are_refused() {
        let desired = Desired { image: None, bytes: 512, least: None };
        assert!(matches!(plan(&desired, Some(&header(1024, None))), Err(HostError::Refused(_))));
        assert!(matches!(
            plan(&desired, Some(&header(512, Some(Id::from_u64(1))))),
            Err(HostError::Refused(_))
        ));
        let zero = Desired { bytes: 0, ..desired };
        assert!(matches!(plan(&zero, None), Err(HostError::Refused(_))));
    }

    proptest! {
        #[test]
        fn after_its_steps_nothing_is_left_to_do(
            bytes in 1_u64..1 << 50,
            found in proptest::option::of(1_u64..1 << 50),
            least in proptest::option::of(1_u64..1 << 50),
        ) {
            let image = least.map(|_| Id::from_u64(1));
            let desired = Desired { image, bytes, least };
            let observed = found.map(|found| header(found.next_multiple_of(SECTOR), image));
            if let Ok(Step::Make { bytes } | Step::Grow { bytes } | Step::Keep { bytes }) =
                plan(&desired, observed.as_ref())
            {
                prop_assert!(bytes >= desired.bytes && bytes >= least.unwrap_or(0));
                prop_assert_eq!(plan(&desired, Some(&header(bytes, image))).unwrap(), Step::Keep { bytes });
            }
        }
    }
}
