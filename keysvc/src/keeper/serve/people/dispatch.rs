//! From an approved request's operation to its type: the one list that executing proposals needs.

use super::{
    super::{Ended, Keeper},
    Agreed,
};
use crate::error::Fault;
use keysvc_protocol::{
    merkle::TreeHead,
    request::{
        ActivateKey, CompromiseKey, ConfirmClock, CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, ImportKey, LiftFreeze, MoveCards, OpenJob, Operation, ProposePolicy,
        PutProfile, RecordCeremony, ResumeJob, RetireKey, RotatePrincipal, SetFreeze, SetQuorum, SuspendKey,
        UpdateValue,
    },
};

macro_rules! by_operation {
    ($($operation:ident => $type:ty,)*) => {
        impl Keeper {
            /// Performs an approved request, and gives its own reply.
            pub(super) async fn performed(
                &self,
                operation: Operation,
                agreed: Agreed,
                seen: TreeHead,
            ) -> Result<Vec<u8>, Ended> {
                match operation {
                    $(Operation::$operation => self.perform_agreed::<$type>(agreed, seen).await,)*
                    _ => Err(Fault::Invariant("a proposal of an operation that is never signed").into()),
                }
            }
        }
    };
}

by_operation! {
    JobOpen => OpenJob,
    JobResume => ResumeJob,
    CardDerive => DeriveCardKeys,
    CardTransition => MoveCards,
    ValueUpdate => UpdateValue,
    PrincipalEnrol => EnrolPrincipal,
    PrincipalRotate => RotatePrincipal,
    PrincipalDisable => DisablePrincipal,
    PrincipalEnable => EnablePrincipal,
    KeyCreate => CreateKey,
    KeyActivate => ActivateKey,
    KeySuspend => SuspendKey,
    KeyRetire => RetireKey,
    KeyCompromise => CompromiseKey,
    KeyDestroy => DestroyKey,
    FreezeSet => SetFreeze,
    FreezeLift => LiftFreeze,
    QuorumSet => SetQuorum,
    ClockConfirm => ConfirmClock,
    ProfilePut => PutProfile,
    PolicyPropose => ProposePolicy,
    CeremonyRecord => RecordCeremony,
    KeyImport => ImportKey,
}
