//! `component.key`: the one-time key to which a custodian seals a component.
//!
//! Apart from the other reads because it may have the token make that key: nothing of it is in the log, and it is gone
//! with the keeper.

use super::{Query, View};
use crate::{
    error::{Fault, NotDone},
    keeper::gate::Permit,
};
use keysvc_protocol::{
    bytes::Blob, component::ComponentKeyOffer, list::List, refusal::Refusal, reply::ComponentKeyReply,
    request::ReadComponentKey, schema::Schema,
};

impl Query for ReadComponentKey {
    type Reply = ComponentKeyReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ComponentKeyReply, NotDone> {
        let (proposal, caller) = (permit.action().proposal, permit.caller());
        let (_, order, import) = view.control.import(&proposal)?;
        let number = import.number_of(&caller.id).ok_or(Refusal::Forbidden)?;
        if view.now_ms > import.expires_ms {
            view.imports.forget(&proposal)?;
            return Err(Refusal::Expired.into());
        }
        let running = view.imports.begin(view.token, (view.control, import), view.now_ms)?;
        let too_long = |_| Fault::Invariant("a one-time key is longer than its offer");
        let offer = ComponentKeyOffer {
            schema: Schema,
            proposal,
            custodian: caller.id.clone(),
            number,
            name: order.name.clone(),
            version: order.version,
            components: u8::try_from(import.components.len()).unwrap_or(u8::MAX),
            public: Blob::try_from(running.spki().to_vec()).map_err(too_long)?,
            expires_ms: import.expires_ms,
        };
        let held = List::try_from(running.held()?);
        let held = held.map_err(|_| Fault::Invariant("a key has too many components"))?;
        Ok(ComponentKeyReply { schema: Schema, offer: view.keyring.sign_offer(&offer)?, held })
    }
}
