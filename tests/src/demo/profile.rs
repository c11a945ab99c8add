//! Card profiles in the demo: what a family of cards cannot be trusted with is refused before anybody is asked.

use super::{
    narrator::Narrator,
    persona::{alone, fobctl},
};
use crate::ground::{Failed, Ground};

/// The exit code of a file that says what it must not.
const WRONG_FILE: i32 = 2;
const FAMILY: &str = "family = \"desfire-ev2\"";
const CLASSIC: &str = "family = \"mifare-classic\"";

/// Takes the profile of the demo's cards, names another family in it, and has it checked.
///
/// # Errors
/// [`Failed`] when MIFARE Classic cards may hold value.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Card profiles: no value on MIFARE Classic, whatever a site says");
    narrator.tell(&mut fobctl(ground, "officer-1", &["profile", "list"]))?;
    let (profile, _) = narrator.run(&mut fobctl(ground, "officer-1", &["profile", "get", "generated"]))?;
    if !profile.contains(FAMILY) {
        return Err(Failed(format!("the profile names another family:\n{profile}")));
    }
    let file = ground.site().folder().join("classic.toml");
    std::fs::write(&file, profile.replace(FAMILY, CLASSIC)).map_err(|error| Failed(error.to_string()))?;
    narrator.say("the same profile, for cards whose cipher has been broken since 2008:");
    narrator.refused(alone(ground, &["profile", "check"]).arg(&file), WRONG_FILE)
}
