//! The way of a component into the service: one at a time.
//!
//! Apart because no other request brings bytes beside it, and because what is judged of all components together must
//! still be so when the last one is recorded.

use super::{Ended, Keeper};
use crate::keeper::site::Enrolled;
use keysvc_protocol::request::{Envelope, GiveComponent};
use std::sync::Arc;

impl Keeper {
    /// A custodian's component.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn give(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let _one_at_a_time = self.giving.lock().await;
        self.change::<GiveComponent>(envelope, caller).await
    }
}
