//! `fobctl freeze set` and `lift`: stops something at once, or lets it go on.

use crate::{
    acted,
    fault::Fault,
    output::Output,
    own_key::{connect, unlock},
    pin::PinSource,
};
use clap::ValueEnum;
use keysvc_client::{
    ClientConfig,
    protocol::{
        freeze::Scope,
        name::{Name, Reason},
        request::Operation,
    },
};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl freeze set terminal terminal-1 --reason 'stolen last night'
  fobctl freeze set card 04782e21801d80 --programme coffee --reason 'lost'
  fobctl freeze set job nfc-2026-11 --reason 'cards are missing'
  fobctl freeze set all --reason 'something is wrong'
  fobctl freeze lift terminal terminal-1 --reason 'found, and looked at'";

/// `fobctl freeze set` and `fobctl freeze lift`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FreezeArgs {
    /// What kind of thing it is: card, job, terminal, station, programme, store, profile, key or all.
    #[arg(value_enum, value_name = "SCOPE", hide_possible_values = true)]
    scope: Kind,
    /// Its name; a card's UID, hexadecimal; nothing for all.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The programme in which a card's value is stopped; everything about the card when left out.
    #[arg(long, value_name = "NAME")]
    programme: Option<Name>,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

/// The kinds of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One card, in one programme or everywhere.
    Card,
    /// All that is made for a personalization job.
    Job,
    /// All that a terminal asks to change.
    Terminal,
    /// All that a station asks to change.
    Station,
    /// The value of one programme.
    Programme,
    /// All that one organisation's terminals and offices ask to change.
    Store,
    /// The cards of one profile.
    Profile,
    /// Everything done with a key.
    Key,
    /// Value and cards altogether.
    All,
}

impl FreezeArgs {
    fn scope(&self) -> Result<Scope, Fault> {
        let wrong = |what: String| Fault::usage(what, "see the examples with --help");
        if self.programme.is_some() && self.scope != Kind::Card {
            return Err(wrong("--programme goes with a card alone".into()));
        }
        let Some(text) = &self.name else {
            return match self.scope {
                Kind::All => Ok(Scope::All),
                _ => Err(wrong("what is it? its name is missing".into())),
            };
        };
        if self.scope == Kind::Card {
            let card = text.parse().map_err(|error| wrong(format!("{text} is no card: {error}")))?;
            return Ok(Scope::Card { card, programme: self.programme.clone() });
        }
        let name: Name = text.parse().map_err(|error| wrong(format!("{text} is no name: {error}")))?;
        Ok(match self.scope {
            Kind::Job => Scope::Job { name },
            Kind::Terminal => Scope::Terminal { name },
            Kind::Station => Scope::Station { name },
            Kind::Programme => Scope::Programme { name },
            Kind::Store => Scope::Store { name },
            Kind::Profile => Scope::Profile { name },
            Kind::Key => Scope::Key { name },
            Kind::Card | Kind::All => return Err(wrong("all has no name".into())),
        })
    }
}

pub(super) async fn set<W: Write>(
    config: &ClientConfig,
    args: FreezeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let scope = args.scope()?;
    let persona = connect(config).await?;
    let persona = unlock(&persona, config, &args.pin)?;
    let outcome = persona.freeze(scope, args.reason).await;
    acted::report(&persona, Operation::FreezeSet, outcome, output).await
}

pub(super) async fn lift<W: Write>(
    config: &ClientConfig,
    args: FreezeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let scope = args.scope()?;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.lift(scope, args.reason).await;
    acted::report(&officer, Operation::FreezeLift, outcome, output).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(kind: Kind, name: Option<&str>, programme: Option<&str>) -> Result<String, u8> {
        let args = FreezeArgs {
            scope: kind,
            name: name.map(str::to_owned),
            programme: programme.map(|name| name.parse().unwrap()),
            reason: "why".parse().unwrap(),
            pin: PinSource::default(),
        };
        args.scope().map(|scope| scope.to_string()).map_err(|fault| fault.exit_code())
    }

    #[test]
    fn a_scope_is_a_kind_with_a_name() {
        assert_eq!(scope(Kind::Terminal, Some("terminal-1"), None).unwrap(), "terminal terminal-1");
        assert_eq!(scope(Kind::Card, Some("04782e21801d80"), None).unwrap(), "card 04782e21801d80");
        let card = scope(Kind::Card, Some("04782e21801d80"), Some("coffee"));
        assert_eq!(card.unwrap(), "card 04782e21801d80 in programme coffee");
        assert_eq!(scope(Kind::Job, Some("nfc-1"), None).unwrap(), "job nfc-1");
        assert_eq!(scope(Kind::All, None, None).unwrap(), "all");
    }

    #[test]
    fn a_scope_that_says_too_little_or_too_much_is_refused_before_anything_is_asked() {
        assert_eq!(scope(Kind::Terminal, None, None), Err(2));
        assert_eq!(scope(Kind::All, Some("all"), None), Err(2));
        assert_eq!(scope(Kind::Card, Some("terminal-1"), None), Err(2));
        assert_eq!(scope(Kind::Key, Some("No Name"), None), Err(2));
        assert_eq!(scope(Kind::Key, Some("value-1"), Some("coffee")), Err(2));
    }
}
