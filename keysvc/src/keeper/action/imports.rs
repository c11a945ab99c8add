//! What the policies are asked about keys that come in as components.
//!
//! Apart from the other requests about keys because custodians take part in it, who need not be officers. That a caller
//! is the custodian of just this component, no policy is asked: the log's state says it.

use super::{Action, Around};
use keysvc_policies::{ContextFacts, ResourceFacts};
use keysvc_protocol::{
    bytes::Idem,
    control::Change,
    refusal::Refusal,
    request::{GiveComponent, ImportKey, Operation, ReadComponentKey},
};

impl Action for ImportKey {
    const OPERATION: Operation = Operation::KeyImport;

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let context = ContextFacts::Key { kind: self.kind.name(), officers: around.officers() };
        Ok((ResourceFacts::Service, context))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn alters(&self) -> Option<Change> {
        Some(Change::Import { request: self.clone() })
    }
}

impl Action for ReadComponentKey {
    const OPERATION: Operation = Operation::ComponentKey;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::None))
    }
}

impl Action for GiveComponent {
    const OPERATION: Operation = Operation::ComponentGive;

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        Ok((ResourceFacts::Service, ContextFacts::None))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn alters(&self) -> Option<Change> {
        Some(Change::Component { request: self.clone() })
    }
}
