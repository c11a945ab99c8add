//! `fobctl card`: what state a card is in, and putting cards into another.

use crate::{
    acted,
    fault::Fault,
    output::{Output, Report},
    proposal_view::NeedView,
    shown::rows,
};
use clap::ValueEnum;
use keysvc_client::{
    ClientConfig, Office, Outcome,
    card_move::CardsMove,
    protocol::{
        bytes::from_hex,
        card::{CardState, CardUid, HolderRef, ShownCard},
        name::Name,
        reply::CardReply,
    },
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl --context terminal-1 card move --to active 04782e21801d80 --holder 00a1b2c3d4
  fobctl --context office-1 card move --to retired 04782e21801d80 04782e21801d81
  fobctl --context office-1 card move --to awaiting-destruction 04782e21801d80 --location vault";

/// `fobctl card check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The card's UID, hexadecimal.
    #[arg(value_name = "UID")]
    card: CardUid,
}

/// `fobctl card move`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MoveArgs {
    /// The state: active for what is sold; retired or awaiting-destruction for what is taken back, by offices alone.
    #[arg(long, value_enum, value_name = "STATE")]
    to: To,
    /// The cards' UIDs, hexadecimal: all of them or none.
    #[arg(value_name = "UID", required = true)]
    cards: Vec<CardUid>,
    /// The holder of a card that is sold, at most 32 bytes in hexadecimal: opaque, no personal data.
    #[arg(long, value_name = "HEX", value_parser = holder)]
    holder: Option<HolderRef>,
    /// Where they are from now on; your own organisation when left out.
    #[arg(long, value_name = "NAME")]
    location: Option<Name>,
}

/// What cards are put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// Sold, or given to its holder.
    Active,
    /// Out of service.
    Retired,
    /// Put aside to be destroyed.
    AwaitingDestruction,
}

fn holder(text: &str) -> Result<HolderRef, String> {
    let bytes = from_hex(text).filter(|bytes| !bytes.is_empty()).ok_or("give bytes in hexadecimal")?;
    bytes.try_into().map(HolderRef).map_err(|_| "a holder's reference has at most 32 bytes".to_owned())
}

#[derive(Debug, Serialize)]
struct CheckReport {
    card: String,
    /// Whether only the ends of the identifier are shown.
    masked: bool,
    state: &'static str,
    generation: u32,
    profile: Option<String>,
    location: Option<String>,
    job: Option<String>,
    holder: Option<String>,
    #[serde(skip)]
    words: String,
}

#[derive(Debug, Serialize)]
struct MoveReport {
    cards: Vec<String>,
    state: &'static str,
    location: Option<String>,
}

/// Shows a card.
///
/// # Errors
/// [`Fault`] of the service.
pub(super) async fn check<W: Write>(
    config: &ClientConfig,
    args: &CheckArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let reader = super::connect(config).await?;
    let reply = reader.card(&args.card).await.map_err(|error| Fault::client("check the card", error))?;
    output.print(&CheckReport::from(reply))
}

/// Puts cards into another state.
///
/// # Errors
/// [`Fault`] of the service; [`Fault::Waits`] where it takes people first.
pub(super) async fn transition<W: Write>(
    config: &ClientConfig,
    args: MoveArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let to = match args.to {
        To::Active => CardState::Active,
        To::Retired => CardState::Retired,
        To::AwaitingDestruction => CardState::AwaitingDestruction,
    };
    if args.holder.is_some() && (to != CardState::Active || args.cards.len() > 1) {
        let next = "leave --holder out, or put one card alone into the state active";
        return Err(Fault::usage("a holder goes with one card that is given out", next));
    }
    let office = Office::connect(config).await.map_err(|error| Fault::client("connect", error))?;
    let order =
        CardsMove { cards: args.cards.clone(), to, location: args.location.clone(), holder: args.holder };
    let moved = office.move_cards(order).await;
    match moved.map_err(|error| Fault::client("move the cards", error))? {
        Outcome::Done(()) => output.print(&MoveReport {
            cards: args.cards.iter().map(ToString::to_string).collect(),
            state: to.name(),
            location: args.location.as_ref().map(ToString::to_string),
        }),
        Outcome::Pending(pending) => {
            let need = NeedView::from(&pending.need).words();
            Err(acted::waits(&pending, &need))
        }
    }
}

impl From<CardReply> for CheckReport {
    fn from(reply: CardReply) -> Self {
        Self {
            card: reply.card.to_string(),
            masked: matches!(reply.card, ShownCard::Masked { .. }),
            state: reply.state.name(),
            generation: reply.generation,
            profile: reply.profile.map(|name| name.to_string()),
            location: reply.location.map(|name| name.to_string()),
            job: reply.job.map(|name| name.to_string()),
            holder: reply.holder.map(|holder| crate::shown::hex(holder.0.as_bytes())),
            words: reply.state.to_string(),
        }
    }
}

impl Report for CheckReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-card-check/1"
    }

    fn text(&self) -> String {
        let loud =
            if self.state == CardState::Frozen.name() { "FROZEN".to_owned() } else { self.words.clone() };
        let mut lines = vec![("card", self.card.clone()), ("state", loud)];
        if self.generation > 0 {
            lines.push(("generation", self.generation.to_string()));
        }
        let more = [
            ("profile", &self.profile),
            ("location", &self.location),
            ("job", &self.job),
            ("holder", &self.holder),
        ];
        lines.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        rows(lines)
    }
}

impl Report for MoveReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-card-move/1"
    }

    fn text(&self) -> String {
        let cards = match &self.cards[..] {
            [one] => one.clone(),
            several => format!("{} cards", several.len()),
        };
        let mut lines = vec![("moved", cards), ("state", self.state.to_owned())];
        lines.extend(self.location.clone().map(|location| ("location", location)));
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::schema::Schema;

    fn reply(state: CardState) -> CardReply {
        CardReply {
            schema: Schema,
            card: ShownCard::masked(&"04782e21801d80".parse().unwrap()),
            state,
            generation: u32::from(state != CardState::Blank),
            profile: None,
            location: Some("station-1".parse().unwrap()),
            job: None,
            holder: None,
        }
    }

    #[test]
    fn a_card_is_shown_as_its_reader_may_see_it() {
        let text = CheckReport::from(reply(CardState::InProduction)).text();
        assert!(text.contains("0478..1d80") && text.contains("in production"), "{text}");
        assert!(text.contains("station-1") && !text.contains("holder"), "{text}");
        assert!(CheckReport::from(reply(CardState::Frozen)).text().contains("FROZEN"));
        assert!(!CheckReport::from(reply(CardState::Blank)).text().contains("generation"));
    }

    #[test]
    fn a_holder_is_opaque_bytes_of_at_most_32() {
        assert!(holder("00a1").is_ok());
        for bad in ["", "ann", "0", &"00".repeat(33)] {
            assert!(holder(bad).is_err(), "{bad}");
        }
    }
}
