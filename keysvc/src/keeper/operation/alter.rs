//! What moves principals, keys' states, freezes, thresholds and policies, and what anchors a ceremony: recorded, and
//! thereby done.
//!
//! What each of them does is the protocol's ([`keysvc_protocol::control`]), which the ledger asks inside its transaction.

use super::{Means, Operation, signed};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        action::Action,
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    bytes::Idem,
    leaf::ChangedLeaf,
    receipt::Receipt,
    reply::ChangedReply,
    request::{
        ActivateKey, CompromiseKey, ConfirmClock, DestroyKey, DisablePrincipal, EnablePrincipal,
        EnrolPrincipal, LiftFreeze, ProposePolicy, RecordCeremony, RetireKey, RotatePrincipal, SetFreeze,
        SetQuorum, SuspendKey,
    },
    schema::Schema,
};

/// The change that a request of this kind is.
///
/// # Errors
/// [`NotRecorded::Refused`] when it came unsigned.
pub(super) fn alteration<A: Action>(permit: &Permit<A>, idem: Idem) -> Result<Change, NotRecorded> {
    let (statement, retry) = signed(permit, idem)?;
    let principal = permit.caller().id.clone();
    let leaf = ChangedLeaf { schema: Schema, principal, operation: A::OPERATION, statement };
    Ok(Change::Alter { retry, leaf })
}

macro_rules! done_by_recording {
    ($($type:ty)*) => {
        $(
            impl Record for $type {
                fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
                    alteration(permit, permit.action().idem)
                }
            }

            impl Operation for $type {
                type Done = ();
                type Reply = ChangedReply;
                const SHOWS_LEAF: bool = true;
                const ALTERS: bool = true;

                async fn perform(_: &Recorded<Self>, _: &Means<'_>) -> Result<(), NotDone> {
                    Ok(())
                }

                fn reply((): (), receipt: Receipt) -> Result<ChangedReply, Fault> {
                    Ok(ChangedReply { schema: Schema, receipt })
                }
            }
        )*
    };
}

done_by_recording! {
    EnrolPrincipal RotatePrincipal DisablePrincipal EnablePrincipal
    ActivateKey SuspendKey RetireKey CompromiseKey DestroyKey
    SetFreeze LiftFreeze SetQuorum ConfirmClock
    ProposePolicy RecordCeremony
}
