//! The encoder's program as a child of this one, spoken to in lines ([`super::line`]).
//!
//! What the client library's line asks of an encoder, it is asked; what it says is believed of cards and machine, and
//! nothing else. It inherits stderr, for its own words.

use super::line::{self, Heard, LINE_LEN_MAX};
use crate::fault::Fault;
use keysvc_client::{
    personalization::{CardFault, CardWriter, MachineFault, Tray},
    protocol::{bytes::ShortCheck, card::CardUid, job::Outcome},
    station::DeliveredCard,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{self, BufRead, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What is said to a program that is to take a card.
const NEXT: &str = "{\"next\":true}\n";

/// The child.
#[derive(Debug)]
pub(crate) struct EncoderProgram {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    ended: bool,
    /// What was read back of cards that are written and not put out.
    read: BTreeMap<CardUid, Vec<ShortCheck>>,
    samples: BTreeSet<CardUid>,
}

impl EncoderProgram {
    /// Starts a program.
    ///
    /// # Errors
    /// [`Fault::Usage`] for one that does not start.
    pub(crate) fn start(words: &[OsString]) -> Result<Self, Fault> {
        let none = |why: String| {
            let name = words.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Fault::usage(format!("the encoder's program {name} does not start: {why}"), "correct --writer")
        };
        let (program, args) = words.split_first().ok_or_else(|| none("it has no name".into()))?;
        let child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| none(error.to_string()))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(none("it has no stdin and stdout".into()));
        };
        Ok(Self {
            child,
            to: Some(to),
            from: BufReader::new(from),
            ended: false,
            read: BTreeMap::new(),
            samples: BTreeSet::new(),
        })
    }

    /// Says why no more cards are wanted, and waits until the program has ended.
    pub(crate) fn stop(mut self, why: &str) {
        // One that has ended already needs no word.
        let _: Result<(), MachineFault> = self.say(&line::stop(why));
        self.to = None;
        let _: io::Result<_> = self.child.wait();
    }

    fn say(&mut self, line: &str) -> Result<(), MachineFault> {
        let gone = |error: io::Error| MachineFault(format!("its program takes no more words ({error})"));
        let Some(to) = &mut self.to else { return Err(MachineFault("its program has ended".into())) };
        to.write_all(line.as_bytes()).and_then(|()| to.flush()).map_err(gone)
    }

    fn hear(&mut self) -> Result<Heard, MachineFault> {
        let mut text = String::new();
        let read = (&mut self.from).take(LINE_LEN_MAX).read_line(&mut text);
        match read {
            Ok(0) => Err(MachineFault(format!("its program ended ({})", self.status()))),
            Err(error) => Err(MachineFault(format!("its program cannot be heard ({error})"))),
            Ok(_) => match line::read(text.trim_end()) {
                Ok(Heard::Jam(cause)) => Err(MachineFault(format!("jam: {cause}"))),
                Ok(heard) => Ok(heard),
                Err(why) => Err(MachineFault(format!("its program said what is no message: {why}"))),
            },
        }
    }

    fn status(&mut self) -> String {
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl CardWriter for EncoderProgram {
    fn next_card(&mut self) -> Result<Option<CardUid>, MachineFault> {
        if self.ended {
            return Ok(None);
        }
        self.say(NEXT)?;
        match self.hear()? {
            Heard::Card(card) => Ok(Some(card)),
            Heard::End => {
                self.ended = true;
                Ok(None)
            }
            Heard::Result { .. } | Heard::Jam(_) => {
                Err(MachineFault("its program gave a result that nobody asked for".into()))
            }
        }
    }

    fn write(&mut self, card: &DeliveredCard) -> Result<(), CardFault> {
        self.say(&line::keys(card))?;
        match self.hear()? {
            Heard::Result { card: of, outcome, readback } if of.is_none_or(|of| of == card.card) => {
                match outcome {
                    Outcome::Reject { cause } => Err(CardFault::Card { cause }),
                    outcome => {
                        if outcome == Outcome::Sample {
                            self.samples.insert(card.card);
                        }
                        self.read.insert(card.card, readback);
                        Ok(())
                    }
                }
            }
            _ => Err(MachineFault(
                "its program did not answer with the result of the card it got keys for".into(),
            )
            .into()),
        }
    }

    fn read_back(&mut self, card: &CardUid) -> Result<Vec<ShortCheck>, CardFault> {
        Ok(self.read.get(card).cloned().unwrap_or_default())
    }

    fn is_sample(&mut self, card: &CardUid) -> bool {
        self.samples.contains(card)
    }

    fn put_out(&mut self, card: &CardUid, tray: Tray) -> Result<(), MachineFault> {
        self.read.remove(card);
        self.samples.remove(card);
        self.say(&line::tray(card, tray))
    }
}

impl Drop for EncoderProgram {
    fn drop(&mut self) {
        // A child that was not stopped in good order is not left behind.
        let _: io::Result<()> = self.child.kill();
        let _: io::Result<_> = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that says these lines, whatever it is told.
    fn program(lines: &str) -> EncoderProgram {
        let script = format!("printf '%s\\n' {lines}; cat >/dev/null");
        EncoderProgram::start(&["sh".into(), "-c".into(), script.into()]).unwrap()
    }

    #[test]
    fn a_program_presents_cards_until_it_has_none() {
        let mut encoder = program(r#"'{"card":"04782e21801d80"}' '{"end":true}'"#);
        assert_eq!(encoder.next_card().unwrap().unwrap().to_string(), "04782e21801d80");
        assert_eq!(encoder.next_card(), Ok(None));
        // It is not asked again.
        assert_eq!(encoder.next_card(), Ok(None));
        encoder.stop("over");
    }

    #[test]
    fn a_card_has_the_result_that_the_program_gives() {
        let card = DeliveredCard { card: "04782e21801d80".parse().unwrap(), keys: Vec::new(), data: None };
        let lines = r#"'{"result":"sample","readback":["0102030405"]}' '{"result":"reject","cause":"bent"}' '{"end":true}'"#;
        let mut encoder = program(lines);
        encoder.write(&card).unwrap();
        assert_eq!(encoder.read_back(&card.card).unwrap(), [ShortCheck::new([1, 2, 3, 4, 5])]);
        assert!(encoder.is_sample(&card.card));
        encoder.put_out(&card.card, Tray::Sample).unwrap();
        assert!(!encoder.is_sample(&card.card));
        assert!(matches!(encoder.write(&card), Err(CardFault::Card { cause }) if cause.as_str() == "bent"));
        assert!(matches!(encoder.write(&card), Err(CardFault::Machine(_))), "an end is no result");
    }

    #[test]
    fn a_jam_and_a_program_that_ends_stop_the_line() {
        assert_eq!(program(r#"'{"jam":"stuck"}'"#).next_card(), Err(MachineFault("jam: stuck".into())));
        let mut ended = EncoderProgram::start(&["sh".into(), "-c".into(), "read x; exit 3".into()]).unwrap();
        let why = ended.next_card().unwrap_err().to_string();
        assert!(why.contains("its program ended (exit status: 3)"), "{why}");
        assert_eq!(EncoderProgram::start(&["/nonexistent/encoder".into()]).unwrap_err().exit_code(), 2);
    }
}
