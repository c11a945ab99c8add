//! What the policies of one layer come to together.
//! It is the rule of Cedar's authorizer and no more: what one forbids is denied, and so is what none permits.

use std::sync::Arc;

use cedar_policy::{Effect, Entities, Request};

use crate::error::PolicyError;
use crate::question::{Denied, Verdict};
use crate::rule::Rule;

/// Which kinds of policies apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    is_permitted: bool,
    is_forbidden: bool,
    /// One that forbids says nothing to the caller.
    is_silent: bool,
}

impl Tally {
    /// With what each of `rules` says about `request` as well. One that fails fails them all: left out, a forbid that
    /// fails would permit.
    pub(crate) fn with(
        mut self,
        rules: &[Arc<Rule>],
        request: &Request,
        entities: &Entities,
    ) -> Result<Self, PolicyError> {
        for rule in rules {
            if !rule.holds(request, entities)? {
                continue;
            }
            match rule.effect {
                Effect::Permit => self.is_permitted = true,
                Effect::Forbid => {
                    self.is_forbidden = true;
                    self.is_silent |= !rule.tells;
                }
            }
        }
        Ok(self)
    }

    /// Allowed, or denied and what the caller may be told. One forbid that says nothing makes the others silent: with
    /// another person the request would be denied all the same.
    pub(crate) fn verdict(self) -> Verdict {
        let Self { is_permitted, is_forbidden, is_silent } = self;
        match (is_forbidden, is_permitted) {
            (true, _) if is_silent => Verdict::Denied(Denied::Forbidden),
            (true, _) => Verdict::Denied(Denied::SamePerson),
            (false, true) => Verdict::Allowed,
            (false, false) => Verdict::Denied(Denied::Forbidden),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_forbids_or_none_permits_is_denied() {
        use Denied::{Forbidden, SamePerson};
        for (is_permitted, is_forbidden, is_silent, expected) in [
            (false, false, false, Verdict::Denied(Forbidden)),
            (true, false, false, Verdict::Allowed),
            (false, true, true, Verdict::Denied(Forbidden)),
            (true, true, true, Verdict::Denied(Forbidden)),
            (false, true, false, Verdict::Denied(SamePerson)),
            (true, true, false, Verdict::Denied(SamePerson)),
        ] {
            let tally = Tally { is_permitted, is_forbidden, is_silent };
            assert_eq!(tally.verdict(), expected, "{tally:?}");
        }
    }
}
