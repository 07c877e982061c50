//! Simulated networks: names of bridges.

use async_trait::async_trait;
use freehold_types::Id;
use freehold_types::agent::{ObjectKey, ObjectKind, Segment};

use super::{Sim, Verb, violation};
use crate::host::{HostError, Network};

#[async_trait]
impl Network for Sim {
    async fn ensure_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Segment, id };
        self.call(Verb::Ensure, key, |world| {
            let taken =
                world.segments.iter().any(|(other, held)| *other != id && held.bridge == segment.bridge);
            if taken {
                return Err(HostError::Refused(format!(
                    "segment {id}: bridge {} belongs to another segment",
                    segment.bridge
                )));
            }
            world.segments.insert(id, segment.clone());
            Ok(())
        })
        .await
    }

    async fn remove_segment(&self, id: Id, segment: &Segment) -> Result<(), HostError> {
        let key = ObjectKey { kind: ObjectKind::Segment, id };
        self.call(Verb::Remove, key, |world| {
            if world.domains.values().any(|domain| domain.uses_bridge(&segment.bridge)) {
                return violation(world, format!("segment {id} was to be removed while a machine used it"));
            }
            world.segments.remove(&id);
            Ok(())
        })
        .await
    }
}
