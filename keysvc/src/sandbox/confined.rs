//! How far a half is confined: each part of the sandbox, and whether it is on.

use super::Role;
use crate::error::Fault;
use std::fmt;

/// A part of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// No privilege is gained by running a program (`no_new_privs`).
    Privileges,
    /// Root's rights are given up, but for what the half needs.
    Rights,
    /// Files: those of the plan.
    Files,
    /// TCP ports: those of the plan.
    Network,
    /// Processes and abstract sockets outside the half cannot be reached.
    Signals,
    /// System calls: those of the half's list.
    Calls,
    /// No core dump, and no look into memory by another process of the same user.
    Cores,
    /// No memory in the swap.
    Memory,
    /// Nothing open but what the half was given.
    Descriptors,
}

impl Part {
    /// Every part, in the order in which they are said.
    pub const ALL: [Self; 9] = [
        Self::Privileges,
        Self::Rights,
        Self::Files,
        Self::Network,
        Self::Signals,
        Self::Calls,
        Self::Cores,
        Self::Memory,
        Self::Descriptors,
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::Rights => "rights",
            Self::Files => "files",
            Self::Network => "network",
            Self::Signals => "signals",
            Self::Calls => "calls",
            Self::Cores => "cores",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
        }
    }
}

/// Whether a part is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is; in a few words how, where there is more to say.
    On(String),
    /// It is not, and why.
    Off(String),
}

impl From<Result<(), String>> for State {
    fn from(done: Result<(), String>) -> Self {
        done.map_or_else(Self::Off, |()| Self::On(String::new()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(how) if how.is_empty() => f.write_str("on"),
            Self::On(how) => write!(f, "on: {how}"),
            Self::Off(why) => write!(f, "off: {why}"),
        }
    }
}

/// A half in its sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    role: Role,
    parts: Vec<(Part, State)>,
}

impl Confined {
    pub(super) const fn new(role: Role) -> Self {
        Self { role, parts: Vec::new() }
    }

    pub(super) fn note(&mut self, part: Part, state: State) {
        self.parts.push((part, state));
    }

    /// Every part that this half has, and whether it is on, in the order of [`Part::ALL`].
    pub fn parts(&self) -> impl Iterator<Item = (Part, &State)> {
        Part::ALL.into_iter().filter_map(|part| {
            self.parts.iter().find(|(known, _)| *known == part).map(|(part, state)| (*part, state))
        })
    }

    /// What is off, each with why; empty where all is on.
    #[must_use]
    pub fn lacking(&self) -> String {
        let off = self.parts().filter_map(|(part, state)| match state {
            State::On(_) => None,
            State::Off(why) => Some(format!("{} ({why})", part.name())),
        });
        off.collect::<Vec<_>>().join(", ")
    }

    /// The same half, where every part is on.
    ///
    /// # Errors
    /// [`Fault::Refusing`] naming what is off.
    pub(super) fn whole(self) -> Result<Self, Fault> {
        let lacking = self.lacking();
        if lacking.is_empty() {
            return Ok(self);
        }
        Err(Fault::Refusing(format!(
            "the sandbox of the {} lacks {lacking}, and [sandbox] require asks for all of it; mend what is lacking, or set \
             require = false",
            self.role.name()
        )))
    }

    /// Says in the log how far this half is confined, in one line.
    pub fn tell(&self) {
        let on: Vec<_> = self.parts().filter(|(_, state)| matches!(state, State::On(_))).collect();
        let on = on.into_iter().map(|(part, _)| part.name()).collect::<Vec<_>>().join(", ");
        let (half, off) = (self.role.name(), self.lacking());
        if off.is_empty() {
            tracing::info!(half, on, "in its sandbox");
        } else {
            tracing::warn!(half, on, off, "in its sandbox, but for what is off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_that_lacks_a_part_says_which_and_why_and_is_not_whole() {
        let mut confined = Confined::new(Role::Front);
        confined.note(Part::Calls, State::On(String::new()));
        assert_eq!(confined.clone().whole().unwrap(), confined);
        confined.note(Part::Files, State::Off("no Landlock".to_owned()));
        assert_eq!(confined.lacking(), "files (no Landlock)");
        let fault = confined.whole().unwrap_err().to_string();
        assert!(fault.contains("the front lacks files (no Landlock)"), "{fault}");
    }
}
