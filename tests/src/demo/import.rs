//! A key from elsewhere in the demo: two components, each with one custodian, given to the token sealed; and one of them
//! in the other's place.

use super::{
    cards::{cmac, hex},
    narrator::Narrator,
    people::{self, REFUSED, all_agree, asked},
    persona::{alone, fobctl},
};
use crate::ground::{Failed, Ground};
use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, time::Duration};

const KEY: &str = "demo-imported";
/// Who holds which component; the first officer holds none, and must agree as well.
const CUSTODIANS: [&str; 2] = ["officer-2", "officer-3"];

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// A component as its custodian has it; a file stands in for the envelope.
struct Held {
    custodian: &'static str,
    check: String,
    file: PathBuf,
    value: [u8; 16],
}

/// Splits a key, has the import agreed to, and has the components given.
///
/// # Errors
/// [`Failed`] when a swapped component is taken, or another key comes out than went in.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator
        .chapter("A key from elsewhere: two custodians bring a component each, and one officer holds none");
    let (check, held) = split(narrator, ground)?;
    let order = |one: &Held| format!("{}={}", one.custodian, one.check);
    let mut import = people::officer(ground, "officer-1", &["key", "import", KEY, "--check-value", &check]);
    import.args(held.iter().flat_map(|one| ["--component".to_owned(), order(one)]));
    let proposal = asked(narrator, import.args(["--reason", "the cards of the former service"]))?;
    all_agree(narrator, ground, &proposal)?;
    let took = given(narrator, ground, &proposal, &held)?;
    narrator.measured(
        "components sealed to the token's one-time key, judged in the token, recorded",
        held.len(),
        took,
    );
    let (said, _) = narrator.run(&mut fobctl(ground, "officer-1", &["key", "get", KEY]))?;
    narrator.say(said.lines().take(5).collect::<Vec<_>>().join("\n").as_str());
    let sum =
        held.iter().fold([0; 16], |sum: [u8; 16], one| std::array::from_fn(|at| sum[at] ^ one.value[at]));
    let by_software = hex(cmac(sum, &[&[0; 16]])?.get(..5).unwrap_or_default());
    if by_software != check || !said.contains(&check) {
        return Err(Failed(format!("the components' sum has the check value {by_software}, the key not")));
    }
    narrator
        .say(&format!("RustCrypto's CMAC under the two components' sum has the same check value, {check}"));
    held.iter().try_for_each(|one| std::fs::remove_file(&one.file).map_err(failed))
}

/// A fresh key in two components: the check value of the key, and what each custodian holds.
fn split(narrator: &Narrator, ground: &Ground) -> Result<(String, Vec<Held>), Failed> {
    narrator.say("a fresh key is split, on what stands in for a machine without a network; files stand in for envelopes:");
    let (said, _) = narrator.run(&mut alone(
        ground,
        &["--json", "component", "generate", "--components", "2", "--key", KEY, "--show"],
    ))?;
    let said: serde_json::Value = serde_json::from_str(&said).map_err(failed)?;
    let text = |value: &serde_json::Value, name: &str| {
        let text = value.get(name).and_then(serde_json::Value::as_str);
        text.map(str::to_owned).ok_or_else(|| Failed(format!("the components come without {name}")))
    };
    let check = text(&said, "check_value")?;
    let none = Vec::new();
    let components = said.get("components").and_then(serde_json::Value::as_array).unwrap_or(&none);
    let mut held = Vec::new();
    for (custodian, component) in CUSTODIANS.into_iter().zip(components) {
        let (digits, check) = (text(component, "value")?.replace(' ', ""), text(component, "check_value")?);
        let file = ground.site().home(custodian).folder().join("component");
        let mut open = std::fs::OpenOptions::new();
        let open = open.write(true).create_new(true).mode(0o600).open(&file);
        open.and_then(|mut file| file.write_all(digits.as_bytes())).map_err(failed)?;
        let value = keysvc_protocol::bytes::from_hex(&digits).and_then(|bytes| bytes.try_into().ok());
        let value = value.ok_or_else(|| failed("a component of another length"))?;
        narrator.say(&format!("{custodian} holds a component with check value {check}"));
        held.push(Held { custodian, check, file, value });
    }
    Ok((check, held))
}

/// Both give theirs; before that the second one gives what belongs to the first.
fn given(narrator: &Narrator, ground: &Ground, proposal: &str, held: &[Held]) -> Result<Duration, Failed> {
    let [first, second] = held else { return Err(failed("there are not two components")) };
    let enter = |by: &Held, component: &Held| {
        let mut enter = people::officer(ground, by.custodian, &["component", "enter", proposal]);
        enter.arg("--file").arg(&component.file).arg("--yes");
        enter
    };
    narrator
        .say(&format!("\nthe forms are swapped: {} enters what is {}'s", second.custodian, first.custodian));
    narrator.refused(&mut enter(second, first), REFUSED)?;
    narrator.say("\nand each their own:");
    let mut all = Duration::ZERO;
    for one in held {
        let (said, took) = narrator.run(&mut enter(one, one))?;
        narrator.say(said.split("\n\n").next().unwrap_or_default());
        all = all.saturating_add(took);
    }
    Ok(all)
}
