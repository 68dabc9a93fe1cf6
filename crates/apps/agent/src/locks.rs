//! One lock per member (its data and journal volumes share a claim), made when wanted and forgotten when unused.
//!
//! Order: the lock of a service as such (for names without a member) before the lock of one of its members; never two
//! members.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use futures::lock::{Mutex as AsyncMutex, OwnedMutexGuard};
use om_model::{MemberName, ServiceId};

type Key = (ServiceId, Option<MemberName>);

/// The locks.
#[derive(Default)]
pub(crate) struct Locks {
    known: Mutex<HashMap<Key, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    /// Waits for, and takes, the lock of a member, or of a service as such. Dropping the guard gives it back.
    pub(crate) async fn hold(&self, service: &ServiceId, member: Option<&MemberName>) -> OwnedMutexGuard<()> {
        let lock = {
            let mut known = self.known.lock().expect("no holder of this lock panics");
            known.retain(|_, lock| lock.strong_count() > 0);
            let entry = known.entry((service.clone(), member.cloned())).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let lock = Arc::new(AsyncMutex::new(()));
                *entry = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }
}
